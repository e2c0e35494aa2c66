//! The standard health and reflection services.

use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{
    v1,
    v1alpha::{self, server_reflection_response::MessageResponse},
};

use super::support::{channel, start};

const SERVICE: &str = "enterprisemanager.v1.ReplicaSessionService";

#[tokio::test]
async fn health_is_reported_for_the_server_and_for_the_service() {
    let setup = start().await;
    let channel = channel(setup.gateway.address()).await;
    let mut health = HealthClient::new(channel);
    for service in ["", SERVICE] {
        let service = service.to_owned();
        let answer = health.check(HealthCheckRequest { service }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }
    let service = "nobody".to_owned();
    let status = health.check(HealthCheckRequest { service }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let setup = start().await;
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(
        channel(setup.gateway.address()).await,
    );
    let answers = client.server_reflection_info(tokio_stream::iter([request]));
    let answer = answers.await.unwrap().into_inner().next().await;
    let status = format!("{:?}", answer.unwrap().unwrap());
    for name in [SERVICE, "grpc.health.v1.Health"] {
        assert!(status.contains(name), "{status}");
    }
}

#[tokio::test]
async fn reflection_v1alpha_returns_the_contract_with_its_comments() {
    let setup = start().await;
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                SERVICE.to_owned(),
            ),
        ),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(
        channel(setup.gateway.address()).await,
    );
    let answers = client.server_reflection_info(tokio_stream::iter([request]));
    let answer = answers.await.unwrap().into_inner().next().await;
    let answer = answer.unwrap().unwrap().message_response;
    let Some(MessageResponse::FileDescriptorResponse(files)) = answer else {
        panic!("{answer:?}");
    };
    let file = String::from_utf8_lossy(&files.file_descriptor_proto[0]).into_owned();
    assert!(file.contains("Gets one session by its id"), "comments are kept");
}
