//! The documentation of the contract: its generated page, the code samples in the documents for
//! callers, the client configuration, and the names that stay.

#![expect(clippy::unwrap_used, reason = "in a test, a failing unwrap is a failing test")]

#[path = "contract/generated.rs"]
mod generated;
#[path = "contract/names.rs"]
mod names;

use std::{collections::HashMap, fmt::Write as _, fs, path::Path};

use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto,
    field_descriptor_proto::{Label, Type},
};
use replica_session_gateway::proto::FILE_DESCRIPTOR_SET;
use serde_json::{Value, json};

use self::generated::assert_up_to_date;

const PACKAGE: &str = "enterprisemanager.v1";

/// The introduction of `docs/api.md`, before the text that comes from the contract.
const PREFACE: &str = "\
# The contract

<!-- Generated from proto/ by `UPDATE_DOCS=1 cargo test --test contract`; do not edit. -->

";

#[test]
fn the_page_of_the_contract_is_up_to_date() {
    assert_up_to_date("docs/api.md", &page(), "proto/", "contract");
}

#[test]
fn the_code_in_the_documents_is_that_of_the_example_clients() {
    for client in [
        "python/errors.py",
        "typescript/errors.ts",
        "connect/client.ts",
        "go/client/client.go",
        "java/GetSession.java",
        "cpp/get_session.cc",
        "ruby/get_session.rb",
        "rust/src/client.rs",
    ] {
        assert_shown("docs/errors.md", client, "errors");
    }
    for client in ["python/errors.py", "go/client/client.go"] {
        assert_shown("docs/clients.md", client, "reasons");
    }
    for client in ["python/watch_session.py", "connect/client.ts"] {
        assert_shown("docs/clients.md", client, "again");
    }
    for client in ["python/watch_session.py", "connect/client.ts"] {
        assert_shown("docs/clients.md", client, "alive");
    }
    for client in ["python/errors.py", "typescript/errors.ts", "connect/client.ts"] {
        assert_shown("docs/clients.md", client, "patience");
    }
}

/// Libraries would end a stream after the timeout of other calls, and would repeat it behind the program's back.
#[test]
fn the_service_config_of_the_examples_ends_and_repeats_no_stream() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/service-config.json");
    let config: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    let service = files.iter().find(|file| file.package() == PACKAGE).unwrap().service[0].clone();
    let full_name = format!("{PACKAGE}.{}", service.name());
    for method in &service.method {
        let name = json!({ "service": full_name, "method": method.name() });
        let entries = config["methodConfig"].as_array().unwrap();
        let own = entries.iter().find(|entry| entry["name"].as_array().unwrap().contains(&name));
        let has_no_limits =
            own.is_some_and(|own| own["timeout"].is_null() && own["retryPolicy"].is_null());
        assert_eq!(has_no_limits, method.server_streaming(), "{}", method.name());
    }
}

/// Asserts that the document contains what the client has between the marks `begin` and `end`.
fn assert_shown(document: &str, client: &str, marks: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shown = fs::read_to_string(root.join(document)).unwrap();
    let source = fs::read_to_string(root.join("examples").join(client)).unwrap();
    let lines: Vec<_> = source.lines().collect();
    let position = |mark: &str| lines.iter().position(|line| line.contains(mark));
    let begin = position(&format!("{marks}: begin")).expect("begins") + 1;
    let end = position(&format!("{marks}: end")).expect("ends");
    let indent = lines[begin].len() - lines[begin].trim_start().len();
    let code = lines[begin..end]
        .iter()
        .fold(String::new(), |code, line| code + line.get(indent..).unwrap_or_default() + "\n");
    let code = code.trim_end();
    assert!(
        shown.contains(&format!("\n{code}\n```\n")),
        "{document} does not show this code of {client}:\n{code}"
    );
}

/// The whole page.
fn page() -> String {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    let mut page = PREFACE.to_owned();
    for file in files.iter().filter(|file| file.package() == PACKAGE) {
        FilePage::new(file).write(&mut page);
    }
    page
}

/// One file of the contract, with its comments by the path of the item they belong to.
struct FilePage<'f> {
    file: &'f FileDescriptorProto,
    comments: HashMap<&'f [i32], String>,
}

// Field numbers of descriptor.proto, of which paths consist.
const FILE_PACKAGE: i32 = 2;
const FILE_MESSAGES: i32 = 4;
const FILE_ENUMS: i32 = 5;
const FILE_SERVICES: i32 = 6;
const SERVICE_METHODS: i32 = 2;
const MESSAGE_FIELDS: i32 = 2;
const MESSAGE_MESSAGES: i32 = 3;
const MESSAGE_ENUMS: i32 = 4;
const MESSAGE_ONEOFS: i32 = 8;
const ENUM_VALUES: i32 = 2;

impl<'f> FilePage<'f> {
    fn new(file: &'f FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comments = locations
            .filter(|location| location.leading_comments.is_some())
            .map(|location| (&location.path[..], markdown(location.leading_comments())))
            .collect();
        Self { file, comments }
    }

    fn comment(&self, path: &[i32]) -> &str {
        self.comments.get(path).map_or("", String::as_str)
    }

    fn write(&self, page: &mut String) {
        let name = self.file.name();
        writeln!(page, "`{name}`, package `{PACKAGE}`\n").unwrap();
        writeln!(page, "{}", self.comment(&[FILE_PACKAGE])).unwrap();
        for (service, number) in self.file.service.iter().zip(0..) {
            let path = [FILE_SERVICES, number];
            writeln!(page, "## {}\n\n{}", service.name(), self.comment(&path)).unwrap();
            for (method, number) in service.method.iter().zip(0..) {
                let path = [&path[..], &[SERVICE_METHODS, number]].concat();
                self.write_method(page, method, &path);
            }
        }
        for (message, number) in self.file.message_type.iter().zip(0..) {
            self.write_message(page, message, "", &[FILE_MESSAGES, number]);
        }
        for (values, number) in self.file.enum_type.iter().zip(0..) {
            self.write_enum(page, values, "", &[FILE_ENUMS, number]);
        }
    }

    fn write_method(&self, page: &mut String, method: &MethodDescriptorProto, path: &[i32]) {
        let streams = |is_stream| if is_stream { "stream of " } else { "" };
        writeln!(
            page,
            "### {}\n\n{}{} → {}{}\n\n{}",
            method.name(),
            streams(method.client_streaming()),
            link(method.input_type()),
            streams(method.server_streaming()),
            link(method.output_type()),
            self.comment(path),
        )
        .unwrap();
    }

    fn write_message(
        &self,
        page: &mut String,
        message: &DescriptorProto,
        outer: &str,
        path: &[i32],
    ) {
        let name = format!("{outer}{}", message.name());
        writeln!(page, "## {name}\n\n{}", self.comment(path)).unwrap();
        for (index, oneof) in message.oneof_decl.iter().enumerate() {
            self.write_oneof(page, message, index, oneof.name(), path);
        }
        if !message.field.is_empty() {
            page.push_str("| field | type | number | |\n| --- | --- | --- | --- |\n");
            for (field, number) in message.field.iter().zip(0..) {
                let path = [path, &[MESSAGE_FIELDS, number]].concat();
                let (name, kind) = (field.name(), kind(field, message));
                let comment = cell(self.comment(&path));
                writeln!(page, "| `{name}` | {kind} | {} | {comment} |", field.number()).unwrap();
            }
            page.push('\n');
        }
        let outer = format!("{name}.");
        for (values, number) in message.enum_type.iter().zip(0..) {
            let path = [path, &[MESSAGE_ENUMS, number]].concat();
            self.write_enum(page, values, &outer, &path);
        }
        for (inner, number) in message.nested_type.iter().zip(0..) {
            if !is_map_entry(inner) {
                let path = [path, &[MESSAGE_MESSAGES, number]].concat();
                self.write_message(page, inner, &outer, &path);
            }
        }
    }

    /// Which fields exclude each other. Nothing for an `optional` field, which protoc wraps into a oneof of its own.
    fn write_oneof(
        &self,
        page: &mut String,
        message: &DescriptorProto,
        index: usize,
        name: &str,
        path: &[i32],
    ) {
        let index = i32::try_from(index).unwrap();
        let members = message
            .field
            .iter()
            .filter(|field| field.oneof_index == Some(index) && !field.proto3_optional());
        let members: Vec<_> = members.map(|field| format!("`{}`", field.name())).collect();
        if !members.is_empty() {
            let comment = self.comment(&[path, &[MESSAGE_ONEOFS, index]].concat());
            let members = members.join(", ");
            writeln!(page, "`{name}`, which is one of {members}: {comment}").unwrap();
        }
    }

    fn write_enum(
        &self,
        page: &mut String,
        values: &EnumDescriptorProto,
        outer: &str,
        path: &[i32],
    ) {
        let comment = self.comment(path);
        writeln!(page, "## {outer}{}\n\n{comment}", values.name()).unwrap();
        page.push_str("| value | number | |\n| --- | --- | --- |\n");
        for (value, number) in values.value.iter().zip(0..) {
            let path = [path, &[ENUM_VALUES, number]].concat();
            let comment = cell(self.comment(&path));
            writeln!(page, "| `{}` | {} | {comment} |", value.name(), value.number()).unwrap();
        }
        page.push('\n');
    }
}

/// A comment as Markdown. Escapes angle brackets, which would be read as HTML.
fn markdown(comment: &str) -> String {
    let lines = comment.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
    lines.fold(String::new(), |text, line| text + &line.replace('<', "\\<") + "\n")
}

/// A comment as a table cell.
fn cell(comment: &str) -> String {
    let words: Vec<_> = comment.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry)
}

/// The type of a field, as the contract writes it.
fn kind(field: &FieldDescriptorProto, message: &DescriptorProto) -> String {
    let entry = message.nested_type.iter().find(|entry| {
        is_map_entry(entry) && field.type_name().ends_with(&format!(".{}", entry.name()))
    });
    if let Some(entry) = entry {
        let [key, value] = [0, 1].map(|part| kind(&entry.field[part], entry));
        return format!("map of {key} to {value}");
    }
    let name = match field.r#type() {
        Type::Message | Type::Enum => link(field.type_name()),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    match field.label() {
        Label::Repeated => format!("repeated {name}"),
        _ if field.proto3_optional() => format!("optional {name}"),
        _ => name,
    }
}

/// The name of a type, linked to its heading if the type is part of the contract.
fn link(full_name: &str) -> String {
    let full_name = full_name.trim_start_matches('.');
    match full_name.strip_prefix(PACKAGE) {
        Some(name) => {
            let name = name.trim_start_matches('.');
            format!("[{name}](#{})", name.to_lowercase().replace('.', ""))
        }
        None => full_name.to_owned(),
    }
}
