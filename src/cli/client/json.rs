//! Messages as proto3 JSON, field for field as every protobuf library writes it.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};

use crate::proto::FILE_DESCRIPTOR_SET;

/// Pretty, over several lines. `name` is the message's name in the contract.
pub(super) fn pretty(name: &str, message: &impl Message) -> String {
    serde_json::to_string_pretty(&dynamic(name, message)).expect(SAYABLE) + "\n"
}

/// On one line.
pub(super) fn line(name: &str, message: &impl Message) -> String {
    serde_json::to_string(&dynamic(name, message)).expect(SAYABLE) + "\n"
}

const SAYABLE: &str = "its times are within what JSON can say";

fn dynamic(name: &str, message: &impl Message) -> DynamicMessage {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the build has made it");
    let descriptor = pool
        .get_message_by_name(&format!("enterprisemanager.v1.{name}"))
        .expect("the contract has it");
    DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .expect("it has just been encoded")
}
