//! The generated code of the contract in `proto/`, and the names of the kinds of calls
//! and of the status codes, which both sides of a call use.

mod call_kind;
pub(crate) mod codes;
pub(crate) mod time;

pub(crate) use call_kind::CallKind;

/// The service of the contract.
pub(crate) const SERVICE_NAME: &str = "enterprisemanager.v1.ReplicaSessionService";

/// Package `enterprisemanager.v1`.
#[allow(missing_docs, clippy::pedantic, clippy::large_enum_variant, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("enterprisemanager.v1");
}

/// The contract's descriptors, with comments and imports, as an encoded `FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/file_descriptor_set.bin"));
