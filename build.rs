//! Compiles the protos in pure Rust, so that no `protoc` is needed, and keeps the descriptor set
//! with comments and imports for server reflection and for JSON output.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_file("enterprisemanager/v1/replica_session_service.proto")?;

    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("file_descriptor_set.bin"), compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        // Sorted maps: the same session always prints and encodes the same way.
        .btree_map(".")
        .codec_path("crate::proto::codec::Codec")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
