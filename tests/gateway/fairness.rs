//! Callers share the gateway, and Enterprise Manager's permits, although one of them asks for much more
//! than the others. All of them use one connection, as behind a proxy.

use std::future::Future;

use replica_session_gateway::{
    proto::v1::ListReplicaSessionsRequest,
    settings::{IdentitySource, Settings},
};
use simulator::Options;
use tokio::{task::JoinSet, time::timeout};
use tonic::{Request, Status};

use super::support::{
    FINISHED, SOON, Setup, event, eventually, fault, limit, metric, metric_becomes, reason,
    request, send, start_with, watch_request,
};

/// Requests at a time: three regular permits and the spare one.
const CONCURRENCY: usize = 4;

/// The most requests that Enterprise Manager may get while somebody else waits for one answer: a round
/// of the others, the read itself, and another round that begins meanwhile.
const FEW_REQUESTS: u64 = 3 * CONCURRENCY as u64;

fn settings(settings: &mut Settings) {
    settings.callers.source = IdentitySource::Xfcc;
    settings.enterprise_manager.concurrency = CONCURRENCY;
    settings.enterprise_manager.batch = 1;
    settings.calls.default_deadline = settings.calls.max_deadline;
    // Enough lists at a time.
    settings.calls.max_in_flight = 2048;
}

async fn start(change: impl FnOnce(&mut Settings)) -> Setup {
    let options = Options { history: 1000, ..Options::default() };
    let setup = start_with(options, |all| {
        settings(all);
        change(all);
    })
    .await;
    // Logged on.
    send(&setup.client, by("first", request(FINISHED))).await.unwrap();
    setup.simulator.set_faults([fault("latency=50ms")]);
    setup
}

/// The request of this caller, with what a proxy says of it.
fn by<R>(caller: &str, mut request: Request<R>) -> Request<R> {
    let header = format!("By=spiffe://mesh/gateway;Hash=00;URI=spiffe://mesh/{caller}");
    request.metadata_mut().insert("x-forwarded-client-cert", header.parse().unwrap());
    request
}

fn session(number: u32) -> String {
    format!("5e550000-0000-4000-8000-{number:012x}")
}

/// Makes all of these calls at once; returns when most of them are in flight.
async fn flood<F>(setup: &Setup, calls: impl Iterator<Item = F>) -> JoinSet<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let flood: JoinSet<()> = calls.collect();
    let most = u64::try_from(flood.len()).unwrap() * 3 / 4;
    let in_flight = async { while metric(setup, "gateway_calls_in_flight").await < most {} };
    timeout(SOON, in_flight).await.expect("most are in flight");
    flood
}

/// The number of requests that Enterprise Manager gets until this is answered.
async fn requests_during<T>(setup: &Setup, call: impl Future<Output = Result<T, Status>>) -> u64 {
    let before = setup.simulator.counts().requests;
    call.await.unwrap();
    setup.simulator.counts().requests - before
}

fn get_by(
    setup: &Setup,
    caller: &str,
    id: &str,
) -> impl Future<Output = Result<(), Status>> + use<> {
    let call = send(&setup.client, by(caller, request(id)));
    async move { call.await.map(drop) }
}

#[tokio::test]
async fn a_caller_waits_for_none_of_the_many_reads_of_another() {
    for batch in [1, 8] {
        let setup = start(|settings| settings.enterprise_manager.batch = batch).await;
        let many = (1..=800).map(|number| get_by(&setup, "many", &session(number)));
        let mut flood = flood(&setup, many.map(|call| async { drop(call.await) })).await;
        for _ in 0..5 {
            let requests = requests_during(&setup, get_by(&setup, "few", FINISHED)).await;
            assert!(requests <= FEW_REQUESTS, "{requests} requests, batches of {batch}");
        }
        // The same caller has to wait.
        let mut own = Box::pin(get_by(&setup, "many", FINISHED));
        let requests = requests_during(&setup, get_by(&setup, "few", FINISHED));
        tokio::select! {
            _ = &mut own => panic!("answered before the other caller, batches of {batch}"),
            _ = requests => {}
        }
        flood.abort_all();
    }
}

#[tokio::test]
async fn a_caller_that_asks_for_the_same_session_as_another_does_not_wait_in_its_line() {
    let setup = start(|_| {}).await;
    let ask = |caller: &str, id: &str| {
        let mut request = by(caller, request(id));
        // Joins a read that has begun.
        request.get_mut().max_age = None;
        let call = send(&setup.client, request);
        async move { call.await.map(drop) }
    };
    let many = (1..=400).map(|number| ask("many", &session(number)));
    let mut flood = flood(&setup, many.map(|call| async { drop(call.await) })).await;
    for number in [400, 399, 398] {
        let requests = requests_during(&setup, ask("few", &session(number))).await;
        assert!(requests <= FEW_REQUESTS, "{requests} requests");
    }
    assert!(flood.try_join_next().is_some());
    flood.abort_all();
}

#[tokio::test]
async fn a_caller_waits_for_none_of_the_many_lists_of_another() {
    let setup = start(|_| {}).await;
    let list = |caller: &str, page_size| {
        let mut client = setup.client.clone();
        let request =
            ListReplicaSessionsRequest { page_size, ..ListReplicaSessionsRequest::default() };
        let request = by(caller, Request::new(request));
        async move { client.list(request).await.map(drop) }
    };
    let many = (1..=100).map(|size| list("many", size));
    let mut flood = flood(&setup, many.map(|call| async { drop(call.await) })).await;
    for size in 101..104 {
        let requests = requests_during(&setup, list("few", size)).await;
        assert!(requests <= FEW_REQUESTS, "{requests} requests");
    }
    flood.abort_all();
}

#[tokio::test]
async fn a_caller_waits_for_none_of_the_many_first_reads_of_anothers_watches() {
    let setup = start(|_| {}).await;
    let watch = |caller: &str, id: &str| {
        let mut client = setup.client.clone();
        let request = by(caller, watch_request(id));
        async move {
            let mut events = client.watch(request).await?.into_inner();
            event(&mut events).await;
            Ok(())
        }
    };
    let many = (1..=200).map(|number| watch("many", &session(number)));
    let mut flood = flood(&setup, many.map(|call| async { drop(call.await) })).await;
    // One that nobody watches, and one that waits as one of the many.
    for number in [201, 200] {
        let requests = requests_during(&setup, watch("few", &session(number))).await;
        assert!(requests <= FEW_REQUESTS, "{requests} requests");
    }
    flood.abort_all();
}

#[tokio::test]
async fn a_caller_is_admitted_although_another_has_all_that_it_may() {
    let setup = start(|settings| {
        settings.calls.max_in_flight = 32;
        settings.calls.max_watches = 16;
    })
    .await;
    setup.simulator.set_faults([fault("silence")]);
    let mut calls: JoinSet<_> = (0..40).map(|_| get_by(&setup, "many", FINISHED)).collect();
    let mut refused = 0;
    while refused < 8 {
        let status = calls.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(reason(&status), "OVERLOADED");
        refused += 1;
    }
    metric_becomes(&setup, "gateway_calls_in_flight", 32).await;
    // Nobody else counts as that caller, and names cost nothing once their calls have ended.
    for number in 0..100 {
        let simulator = &setup.simulator;
        let call = tokio::spawn(get_by(&setup, &format!("few-{number}"), FINISHED));
        if number == 0 {
            eventually("its permit is kept for it", || simulator.counts().in_flight >= 4).await;
        }
        metric_becomes(&setup, "gateway_calls_in_flight", 33).await;
        call.abort();
        metric_becomes(&setup, "gateway_calls_in_flight", 32).await;
    }
    let status = get_by(&setup, "many", FINISHED).await.unwrap_err();
    assert_eq!(limit(&status), "calls_in_flight 32 caller");
    assert!(status.message().contains("this caller has its share of 32"), "{status:?}");

    let watch = |caller: &str| {
        let mut client = setup.client.clone();
        let request = by(caller, watch_request(FINISHED));
        async move { client.watch(request).await.map(drop) }
    };
    let _watches: JoinSet<_> = (0..16).map(|_| watch("many")).collect();
    metric_becomes(&setup, "gateway_watches", 16).await;
    let status = watch("many").await.unwrap_err();
    assert_eq!(limit(&status), "watches 16 caller");
    let mut other = JoinSet::new();
    other.spawn(watch("few"));
    metric_becomes(&setup, "gateway_watches", 17).await;
}
