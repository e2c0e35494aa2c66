//! Retries hide transient failures of EM from callers, within a budget that limits the extra load.

use futures_util::future::join_all;
use simulator::Options;
use tonic::Code;

use super::support::{FINISHED, fault, get, reason, start, start_with};

#[tokio::test]
async fn a_transient_failure_is_hidden_from_the_caller() {
    for trouble in
        ["502=1", "503=2", "504=2", "500=1", "drop=2", "half=1", "empty=1", "503=1,retry-after=1"]
    {
        let setup = start().await;
        setup.simulator.set_faults([fault(trouble)]);
        get(&setup.client, FINISHED).await.expect(trouble);
        assert_eq!(setup.simulator.counts().logons_accepted, 1, "{trouble}");
    }
}

#[tokio::test]
async fn an_internal_error_of_em_is_retried_once() {
    let setup = start().await;
    setup.simulator.set_faults([fault("500")]);
    let status = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(reason(&status), "EM_INTERNAL_ERROR");
    assert_eq!(setup.simulator.counts().session_reads, 2);
}

#[tokio::test]
async fn an_em_that_fails_every_request_gets_at_most_a_tenth_more_requests_than_calls() {
    let setup = start_with(Options::default(), |settings| {
        settings.enterprise_manager.batch = 1;
    })
    .await;
    setup.simulator.set_faults([fault("503")]);
    let calls = (0..200).map(|_| get(&setup.client, FINISHED));
    for answer in join_all(calls).await {
        assert_eq!(reason(&answer.unwrap_err()), "EM_UNAVAILABLE");
    }
    let reads = setup.simulator.counts().session_reads;
    assert!((200..=220).contains(&reads), "{reads}");

    // Ten reads that succeed earn a retry.
    setup.simulator.set_faults([]);
    for _ in 0..10 {
        get(&setup.client, FINISHED).await.unwrap();
    }
    setup.simulator.set_faults([fault("503=1")]);
    get(&setup.client, FINISHED).await.unwrap();
}

#[tokio::test]
async fn half_an_answer_that_looks_whole_is_asked_for_again_once() {
    for trouble in ["half", "empty"] {
        let setup = start().await;
        setup.simulator.set_faults([fault(trouble)]);
        let status = get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!(reason(&status), "EM_BAD_RESPONSE_TRUNCATED", "{trouble}");
        assert_eq!(setup.simulator.counts().session_reads, 2, "{trouble}");
    }
}

#[tokio::test]
async fn no_call_notices_that_em_ends_connections_with_a_reset_after_a_few_answers() {
    let setup = start().await;
    setup.simulator.set_faults([fault("answers=3"), fault("reset")]);
    for _ in 0..30 {
        get(&setup.client, FINISHED).await.unwrap();
    }
    let counts = setup.simulator.counts();
    assert_eq!((counts.logons_accepted, counts.session_reads), (1, 30));
    assert!(counts.connections >= 10, "{counts:?}");
}

#[tokio::test]
async fn permanent_failures_are_not_retried() {
    for trouble in ["400", "403", "404", "501", "html"] {
        let setup = start().await;
        setup.simulator.set_faults([fault(trouble)]);
        get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!(setup.simulator.counts().session_reads, 1, "{trouble}");
    }
}
