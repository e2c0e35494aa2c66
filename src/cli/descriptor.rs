//! `descriptor`: prints the contract as a descriptor set.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::{CommandError, ExitCode};
use crate::proto::FILE_DESCRIPTOR_SET;

/// Print the contract as a descriptor set, for Envoy, grpcurl and buf
///
/// Writes an encoded google.protobuf.FileDescriptorSet with comments and imports to standard output:
/// the contract, grpc.health.v1, and google.rpc's Status and error details, which errors carry.
///
/// Examples:
///   replica-session-gateway descriptor > replica_session.pb
///   grpcurl -protoset replica_session.pb describe enterprisemanager.v1.ReplicaSessionService
///
/// Exit codes: 0 printed, 64 standard output is a terminal, 73 it cannot be written to.
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
#[expect(clippy::doc_markdown, reason = "these comments are help texts")]
pub struct DescriptorOptions {}

/// Prints the descriptor set.
pub(super) fn run(_: &DescriptorOptions) -> Result<ExitCode, CommandError> {
    let mut output = io::stdout();
    if output.is_terminal() {
        let advice =
            "a descriptor set is binary: write it to a file, as with `> replica_session.pb`";
        return Err(CommandError::usage(&advice));
    }
    output.write_all(&descriptor_set().encode_to_vec()).and_then(|()| output.flush()).map_err(
        |error| CommandError::new(ExitCode::CANNOT_CREATE, format!("standard output: {error}")),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The files of all sets, each once. A file comes after those that it imports: Envoy reads them in order.
fn descriptor_set() -> FileDescriptorSet {
    let mut merged = FileDescriptorSet::default();
    for set in [
        FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_types::pb::FILE_DESCRIPTOR_SET,
    ] {
        let set = FileDescriptorSet::decode(set).expect("a build made it");
        for mut file in set.file {
            // tonic's crates leave out the folders of the names under which everybody imports these files.
            if !file.name().contains('/') {
                file.name = Some(format!("{}/{}", file.package().replace('.', "/"), file.name()));
            }
            if merged.file.iter().all(|known| known.name() != file.name()) {
                merged.file.push(file);
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn the_set_has_comments_and_each_file_after_its_imports() {
        let set = descriptor_set();
        for (place, file) in set.file.iter().enumerate() {
            for import in &file.dependency {
                let known = set.file[..place].iter().any(|earlier| earlier.name() == import);
                assert!(known, "{} before {import}", file.name());
            }
        }
        let contract = set.file.iter().find(|file| file.package() == "enterprisemanager.v1");
        let comments = contract.and_then(|file| file.source_code_info.as_ref());
        assert!(comments.is_some_and(|info| {
            info.location
                .iter()
                .any(|location| location.leading_comments().contains("Gets one session"))
        }));
    }

    #[test]
    fn the_set_has_what_errors_carry() {
        let pool = DescriptorPool::from_file_descriptor_set(descriptor_set()).expect("complete");
        for name in [
            "google.rpc.Status",
            "google.rpc.ErrorInfo",
            "google.rpc.RetryInfo",
            "grpc.health.v1.HealthCheckRequest",
        ] {
            assert!(pool.get_message_by_name(name).is_some(), "{name}");
        }
        for file in [
            "google/rpc/status.proto",
            "google/rpc/error_details.proto",
            "grpc/health/v1/health.proto",
        ] {
            assert!(pool.get_file_by_name(file).is_some(), "{file}");
        }
    }
}
