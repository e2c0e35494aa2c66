//! Generates the stubs, with `protoc`.

fn main() -> std::io::Result<()> {
    tonic_prost_build::configure().build_server(false).compile_protos(
        &["../../proto/enterprisemanager/v1/replica_session_service.proto"],
        &["../../proto"],
    )
}
