use tokio::time::advance;

use super::*;

const READ: Duration = Duration::from_millis(100);

fn planner() -> Arc<Planner> {
    let planner = Arc::<Planner>::default();
    planner.read_alone(READ);
    planner
}

/// A query that takes this long.
async fn query(planner: &Arc<Planner>, took: Duration) {
    let attempt = planner.begin(planner.plan(64).unwrap(), 64);
    advance(took).await;
    attempt.answered(8);
}

#[tokio::test(start_paused = true)]
async fn the_first_query_is_a_trial_and_everything_else_goes_alone_meanwhile() {
    let planner = planner();
    let trial = planner.plan(64).unwrap();
    assert_eq!(trial, Plan { least: 2, most: TRIAL, time: None, needs: 6 * READ });
    let attempt = planner.begin(trial, 8);
    assert_eq!(planner.plan(64), Ok(Plan::ALONE));
    drop(attempt);
    assert_eq!(planner.plan(64), Ok(trial));
    query(&planner, READ).await;
    assert_eq!(
        planner.plan(64),
        Ok(Plan { least: 2, most: 64, time: Some(READ), needs: 4 * READ })
    );
    advance(KNOWN_FOR).await;
    assert_eq!(planner.plan(64), Ok(trial));
}

#[tokio::test(start_paused = true)]
async fn a_query_is_for_as_many_sessions_as_could_be_read_alone_in_its_time() {
    let planner = planner();
    query(&planner, 10 * READ).await;
    assert_eq!(planner.plan(64).unwrap().least, 10);
    // It becomes faster.
    for _ in 0..20 {
        query(&planner, READ).await;
    }
    assert_eq!(planner.plan(9).unwrap().least, 2);
}

#[tokio::test(start_paused = true)]
async fn queries_that_take_longer_than_single_reads_are_suspended() {
    let planner = planner();
    query(&planner, 10 * READ).await;
    let why = planner.plan(9).unwrap_err();
    assert!(
        why.contains("(1000 ms) than for reading 9 of them one after another (100 ms"),
        "{why}"
    );
    // After the pause.
    assert_eq!(planner.plan(9).unwrap().most, TRIAL);
}

#[tokio::test(start_paused = true)]
async fn a_slow_query_is_given_up_while_its_sessions_can_still_be_read_alone() {
    let planner = planner();
    let attempt = planner.begin(planner.plan(64).unwrap(), 8);
    let until = |attempt: &Attempt, ahead, seconds| {
        let deadline = attempt.began + Duration::from_secs(seconds);
        attempt.until(Alone { permits: 4, ahead, deadline }) - attempt.began
    };
    // Two rounds with four permits, and two more.
    assert_eq!(until(&attempt, 0, 1), Duration::from_millis(600));
    assert_eq!(until(&attempt, 8, 1), Duration::from_millis(400));
    assert_eq!(until(&attempt, 0, 60), 16 * READ);
    assert_eq!(until(&attempt, 0, 0), 3 * READ);
    // The sessions of all queries may have to be read alone at the same time.
    let other = planner.begin(planner.plan(64).unwrap(), 32);
    assert_eq!(until(&attempt, 0, 2), Duration::from_millis(800));
    drop((attempt, other));

    query(&planner, 10 * READ).await;
    let attempt = planner.begin(planner.plan(64).unwrap(), 64);
    assert_eq!(until(&attempt, 0, 60), 40 * READ);
    assert_eq!(until(&attempt, 0, 2), 20 * READ);
}

#[tokio::test(start_paused = true)]
async fn however_often_a_query_is_not_answered_the_next_is_given_up_no_later() {
    let planner = planner();
    query(&planner, READ).await;
    let mut waits = Vec::new();
    let why = loop {
        let plan = planner.plan(64).unwrap();
        let attempt = planner.begin(plan, plan.most);
        let deadline = Instant::now() + Duration::from_secs(60);
        let until = attempt.until(Alone { permits: 8, ahead: 0, deadline });
        waits.push(until - attempt.began);
        tokio::time::sleep_until(until).await;
        planner.read_alone(READ);
        if let Some(why) = attempt.given_up() {
            break why;
        }
    };
    assert_eq!(waits, [LEAST_TIME, 16 * READ]);
    assert!(why.ends_with("they are not answered within 1600 ms"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_query_is_given_up_after_two_seconds_while_nothing_is_known_of_what_a_read_takes() {
    let planner = Arc::<Planner>::default();
    let attempt = planner.begin(planner.plan(64).unwrap(), 8);
    let deadline = attempt.began + Duration::from_secs(60);
    let until = attempt.until(Alone { permits: 8, ahead: 0, deadline });
    assert_eq!(until - attempt.began, 2 * LEAST_TIME);
}

#[tokio::test(start_paused = true)]
async fn failures_count_only_if_single_reads_are_answered() {
    let planner = planner();
    let fail = async || {
        advance(READ).await;
        let attempt = planner.begin(planner.plan(64).unwrap(), 8);
        advance(READ).await;
        attempt.failed("status 503")
    };
    for _ in 0..5 {
        assert_eq!(fail().await, None, "Enterprise Manager answers nothing at all");
    }
    assert_eq!(planner.read_alone(READ), None, "the first failure that is only the query's");
    assert_eq!(fail().await, None);
    assert!(planner.read_alone(READ).unwrap().ends_with("status 503"));
    // After the pause, one is enough; and after an answer, two.
    assert_eq!(fail().await, None);
    assert!(planner.read_alone(READ).is_some());
    query(&planner, READ).await;
    assert_eq!(fail().await, None);
    assert_eq!(planner.read_alone(READ), None);
}

#[tokio::test(start_paused = true)]
async fn the_failures_of_queries_that_were_under_way_together_are_one() {
    let planner = planner();
    query(&planner, READ).await;
    let attempts: Vec<_> = (0..5).map(|_| planner.begin(planner.plan(64).unwrap(), 64)).collect();
    for attempt in attempts {
        advance(READ).await;
        planner.read_alone(READ);
        assert_eq!(attempt.given_up(), None);
    }
    assert_eq!(planner.plan(64).unwrap().most, TRIAL);
}

#[tokio::test(start_paused = true)]
async fn queries_that_leave_out_most_of_what_is_there_are_suspended() {
    let planner = planner();
    let attempt = planner.begin(planner.plan(64).unwrap(), 64);
    attempt.answered(20);
    assert!((0..60).all(|_| planner.left_out().is_none()));
    assert!(planner.left_out().unwrap().contains("returned 20 of 81"));
    assert!((1..MOST_LEFT_OUT).all(|_| planner.left_out().is_none()));
    assert!(planner.left_out().unwrap().contains("returned 0 of 32"));
}

#[tokio::test(start_paused = true)]
async fn no_more_go_together_than_fit_on_a_page() {
    let planner = planner();
    query(&planner, READ).await;
    assert!(planner.has_pages_of(10));
    assert!(!planner.has_pages_of(10), "known");
    assert_eq!(planner.plan(64).unwrap().most, 10);
    assert_eq!(planner.plan(4).unwrap().most, 4);
    advance(KNOWN_FOR).await;
    query(&planner, READ).await;
    assert_eq!(planner.plan(64).unwrap().most, 64);
}
