//! Writes messages as proto3 JSON, like every protobuf library. prost has no JSON support;
//! prost-reflect derives it from the contract's descriptors.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};

use crate::proto::FILE_DESCRIPTOR_SET;

/// Over several lines. `name` is the message's name in the contract.
pub(super) fn pretty(name: &str, message: &impl Message) -> String {
    serde_json::to_string_pretty(&dynamic(name, message)).expect(VALID) + "\n"
}

/// On one line.
pub(super) fn line(name: &str, message: &impl Message) -> String {
    serde_json::to_string(&dynamic(name, message)).expect(VALID) + "\n"
}

/// As a part of an object that is not in the contract.
pub(super) fn part(name: &str, message: &impl Message) -> serde_json::Value {
    serde_json::to_value(dynamic(name, message)).expect(VALID)
}

const VALID: &str = "its times are within the years that proto3 JSON can write";

fn dynamic(name: &str, message: &impl Message) -> DynamicMessage {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the build made it");
    let descriptor = pool
        .get_message_by_name(&format!("enterprisemanager.v1.{name}"))
        .expect("the contract has it");
    DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .expect("it was just encoded")
}
