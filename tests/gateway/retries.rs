//! A passing fault of EM is not the caller's business; a lasting one gets EM no further load.

use futures_util::future::join_all;
use tonic::Code;

use super::support::{FINISHED, fault, get, reason, start};

#[tokio::test]
async fn a_fault_that_passes_is_not_seen_by_the_caller() {
    for trouble in [
        "502=1",
        "503=2",
        "504=2",
        "500=1",
        "drop=2",
        "503=1,retry-after=1",
    ] {
        let setup = start().await;
        setup.simulator.set_faults([fault(trouble)]);
        get(&setup.client, FINISHED).await.expect(trouble);
        assert_eq!(setup.simulator.counts().logons_accepted, 1, "{trouble}");
    }
}

#[tokio::test]
async fn an_internal_error_of_em_is_tried_again_once() {
    let setup = start().await;
    setup.simulator.set_faults([fault("500")]);
    let told = get(&setup.client, FINISHED).await.unwrap_err();
    assert_eq!(told.code(), Code::Internal);
    assert_eq!(reason(&told), "EM_INTERNAL_ERROR");
    assert_eq!(setup.simulator.counts().session_reads, 2);
}

#[tokio::test]
async fn an_em_that_fails_everything_gets_at_most_a_tenth_more_requests_than_calls() {
    let setup = start().await;
    setup.simulator.set_faults([fault("503")]);
    let calls = (0..200).map(|_| get(&setup.client, FINISHED));
    for answer in join_all(calls).await {
        assert_eq!(reason(&answer.unwrap_err()), "EM_UNAVAILABLE");
    }
    let reads = setup.simulator.counts().session_reads;
    assert!((200..=220).contains(&reads), "{reads}");
}

#[tokio::test]
async fn answers_that_will_not_change_are_not_asked_for_again() {
    for trouble in ["400", "403", "404", "501", "html"] {
        let setup = start().await;
        setup.simulator.set_faults([fault(trouble)]);
        get(&setup.client, FINISHED).await.unwrap_err();
        assert_eq!(setup.simulator.counts().session_reads, 1, "{trouble}");
    }
}
