//! The methods of the service, as the contract names them, so that nobody can fill the metrics with
//! made-up names and no list has to be kept.

use std::sync::{Arc, LazyLock};

use prost::Message as _;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};

use super::status::TABLE;
use crate::{
    operations::metrics::{MethodMetrics, Metrics},
    proto::FILE_DESCRIPTOR_SET,
};

/// Stands for every method that does not exist.
pub(super) const UNKNOWN: &str = "unknown";

/// The contract. Names of methods live as long as the process.
static CONTRACT: LazyLock<FileDescriptorSet> = LazyLock::new(|| {
    FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the build has made it")
});

/// What is counted of each method of a service; the last one stands for all that do not exist.
#[derive(Debug)]
pub(super) struct Methods(Vec<Arc<MethodMetrics>>);

impl Methods {
    /// The methods of the service of this full name.
    pub(super) fn of_service(service: &'static str, metrics: &Metrics) -> Self {
        let named = |package: &str, name: &str| {
            service
                .strip_prefix(package)
                .and_then(|rest| rest.strip_prefix('.'))
                == Some(name)
        };
        let services = CONTRACT.file.iter().flat_map(|file| {
            let is_meant =
                |found: &&prost_types::ServiceDescriptorProto| named(file.package(), found.name());
            file.service.iter().filter(is_meant)
        });
        let methods =
            services.flat_map(|service| service.method.iter().map(MethodDescriptorProto::name));
        let methods = methods.chain([UNKNOWN]);
        let methods = methods.map(|name| Arc::new(metrics.calls.method(service, name)));
        let methods = methods.collect();
        let reasons = TABLE.iter().map(|row| row.reason);
        metrics.calls.reasons(reasons);
        Self(methods)
    }

    /// The method of a path such as `/package.Service/Method`.
    pub(super) fn of_path(&self, path: &str) -> &Arc<MethodMetrics> {
        let (unknown, methods) = self.0.split_last().expect("there is always the last one");
        let is_last = |name: &str| {
            let rest = path.strip_suffix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        let method = methods.iter().find(|method| is_last(method.name));
        method.unwrap_or(unknown)
    }
}
