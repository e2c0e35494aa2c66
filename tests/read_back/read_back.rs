//! Round trip: the gateway reads any session and task, in every style, as the simulator wrote it.
//!
//! The simulator and the gateway share no code, and `expected.rs` states the expected result
//! independently of both.

use std::{collections::HashSet, net::SocketAddr, time::Duration};

use futures_executor::block_on;
use jiff::Timestamp;
use proptest::{collection::vec, prelude::*};
use replica_session_gateway::{
    enterprise_manager::{
        Reading, SessionId, View, parse_replica_session, parse_session_page, parse_task_list,
        parse_task_page,
    },
    gateway::response,
    proto::v1::{
        self, GetReplicaSessionRequest, ListReplicaSessionsRequest, ReplicaSessionView,
        replica_session_service_client::ReplicaSessionServiceClient,
    },
    serve,
    settings::{EnterpriseManagerSettings, PasswordSource, Settings},
};
use tonic::transport::Channel;

use crate::{
    any::{session, style, text},
    expected::Expected,
};
use simulator::{Options, Session, Simulator, Style, document};

fn options(sessions: &[Session], style: Style, host: &str) -> Options {
    Options {
        sessions: sessions.to_vec(),
        style,
        href_host: host.to_owned(),
        listed_for: Duration::MAX,
        ..Options::default()
    }
}

/// Whether all ids are different. Random ids are; proptest's shrinking can make them equal.
fn are_different(sessions: &[Session]) -> bool {
    let ids: HashSet<_> = sessions.iter().map(|session| &session.id).collect();
    ids.len() == sessions.len()
}

fn ids(sessions: &[Session]) -> Vec<SessionId> {
    let ids = sessions.iter().map(|session| session.id.parse());
    ids.map(|id| id.expect("a GUID")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sessions_and_tasks_are_read_as_the_simulator_wrote_them(
        sessions in vec(session(), 1..4),
        style in style(),
        host in text(),
    ) {
        prop_assume!(are_different(&sessions));
        let written = |target: &str| {
            document(options(&sessions, style, &host), target).expect("a document")
        };
        let expected = Expected { style, host: &host };
        for session in &sessions {
            let id = session.id.parse().unwrap();
            let path = format!("/api/replicaSessions/{}", session.id);
            for (view, target) in [
                (View::Entity, format!("{path}?format=Entity")),
                (View::Reference, path.clone()),
            ] {
                let read = parse_replica_session(&written(&target), id, view);
                prop_assert_eq!(read, Ok(expected.session(session, view)));
            }
            let tasks: Vec<_> = session.tasks.iter().map(|task| expected.task(session, task)).collect();
            let query = format!(
                "/api/query?type=ReplicaTaskSession&format=Entities&filter=JobSessionUid==\"{}\"",
                session.id
            );
            let page = block_on(parse_task_page(&written(&query), Some(id), 1000));
            prop_assert_eq!(page.map(|page| page.items), Ok(tasks.clone()));
            let list = block_on(parse_task_list(&written(&format!("{path}/replicaTaskSessions?format=Entity")), id));
            prop_assert_eq!(list.map(|list| list.items), Ok(tasks));
        }
        for (view, target) in [
            (View::Entity, "/api/query?type=ReplicaJobSession&format=Entities"),
            (View::Reference, "/api/query?type=ReplicaJobSession"),
        ] {
            let mut read = block_on(parse_session_page(&written(target), view, 1000)).unwrap().items;
            let ours = ids(&sessions);
            read.retain(|session| ours.contains(&session.id));
            let expected = sessions.iter().map(|session| expected.session(session, view));
            prop_assert_eq!(read, expected.collect::<Vec<_>>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn callers_receive_sessions_as_the_simulator_wrote_them(
        sessions in vec(session(), 1..20),
        style in style(),
        host in text(),
    ) {
        prop_assume!(are_different(&sessions));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let expected = Expected { style, host: &host };
        let expected = |view| {
            let sessions = sessions.iter().map(|session| {
                let session = expected.session(session, view);
                let reading = Reading { session, read_at: Timestamp::UNIX_EPOCH };
                response(reading).replica_session.expect("a session")
            });
            sessions.collect::<Vec<_>>()
        };
        let expected = [expected(View::Entity), expected(View::Reference)];
        let arrived = runtime.block_on(arrived(options(&sessions, style, &host)));
        prop_assert_eq!(&arrived, &expected);
    }
}

/// These sessions in both views. Each is read alone, and a page is checked to contain the same.
async fn arrived(options: Options) -> [Vec<v1::ReplicaSession>; 2] {
    let ids = ids(&options.sessions);
    let simulator = Simulator::start(options).await.expect("a free port");
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let gateway = serve::start(Settings {
        listen: free,
        admin_listen: free,
        lame_duck: Duration::ZERO,
        ..Settings::new(EnterpriseManagerSettings::new(
            simulator.url().parse().expect("a URL"),
            r"TECH\gateway".to_owned(),
            PasswordSource::Value("simulated".into()),
        ))
    });
    let gateway = gateway.await.expect("a free port");
    let channel =
        Channel::from_shared(format!("http://{}", gateway.address())).expect("an address");
    let client = ReplicaSessionServiceClient::new(channel.connect().await.expect("a gateway"));
    let mut client = client.max_decoding_message_size(usize::MAX);
    let mut arrived = [Vec::new(), Vec::new()];
    let views = [ReplicaSessionView::Entity, ReplicaSessionView::Reference];
    for (view, arrived) in views.into_iter().zip(&mut arrived) {
        let page = client.list(ListReplicaSessionsRequest {
            page_size: 1000,
            view: view.into(),
            ..ListReplicaSessionsRequest::default()
        });
        let page = page.await.expect("a page").into_inner().replica_sessions;
        for id in &ids {
            let one = client.get(GetReplicaSessionRequest {
                id: id.to_string(),
                view: view.into(),
                ..GetReplicaSessionRequest::default()
            });
            let one = one.await.expect("a session").into_inner().replica_session;
            assert!(page.contains(one.as_ref().expect("a session")), "{one:?} in {page:?}");
            arrived.extend(one);
        }
    }
    gateway.stop().await;
    simulator.stop().await;
    arrived
}
