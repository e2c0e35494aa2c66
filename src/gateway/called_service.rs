//! Which service a request's path names.
//!
//! It is known before the request is routed, since identity and completion depend on it: a probe may
//! do what a client that is not allowed may not.

use crate::proto::SERVICE_NAME;

const HEALTH: &str = "grpc.health.v1.Health";

const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Both versions, since clients know one or the other.
const REFLECTION: [&str; 2] =
    ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// The service of a path `/service/method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CalledService {
    /// `ReplicaSessionService`.
    Sessions,
    /// Probes may have a certificate of their own, which nobody has to allow.
    Health,
    Reflection,
    /// None that the gateway has.
    Unknown,
}

impl CalledService {
    pub(super) fn of_path(path: &str) -> Self {
        let service = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        match service.filter(|(_, method)| !method.is_empty()) {
            Some((SERVICE_NAME, _)) => Self::Sessions,
            Some((HEALTH, _)) => Self::Health,
            Some((service, _)) if REFLECTION.contains(&service) => Self::Reflection,
            _ => Self::Unknown,
        }
    }

    /// Whether calls of this service with this path last as long as their clients like: those of health and
    /// reflection that are streams.
    pub(super) fn lasts(self, path: &str) -> bool {
        self == Self::Reflection || path == HEALTH_WATCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_service_if_it_names_a_method_as_well() {
        let sessions = format!("/{SERVICE_NAME}/Get");
        assert_eq!(CalledService::of_path(&sessions), CalledService::Sessions);
        let check = format!("/{HEALTH}/Check");
        assert_eq!(CalledService::of_path(&check), CalledService::Health);
        for path in ["", "/", SERVICE_NAME, &sessions[1..], &format!("/{SERVICE_NAME}/")] {
            assert_eq!(CalledService::of_path(path), CalledService::Unknown, "{path}");
        }
        for path in [format!("/{SERVICE_NAME}c/Get"), format!("/x/{SERVICE_NAME}/Get")] {
            assert_eq!(CalledService::of_path(&path), CalledService::Unknown, "{path}");
        }
    }
}
