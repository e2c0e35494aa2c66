//! Text from a caller cannot inject anything into a filter for EM. The simulator's parser, which
//! shares no code with the gateway, reads back the expression that the gateway writes.

use proptest::{prelude::*, sample::subsequence};
use replica_session_gateway::enterprise_manager::{
    InvalidName, Name, Period, RunResult, SessionFilter, SessionId, SessionState, TaskFilter,
    TaskState,
};
use simulator::{Comparison, Filter, Operator};

/// Text for injection attempts: fragments of the filter language and of URLs, and arbitrary text.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "\"",
            "\"\"",
            "\";",
            ";",
            ",",
            "(",
            ")",
            "==",
            "!=",
            "<",
            ">",
            "'",
            "\\",
            "\\\"",
            "%",
            "%22",
            "%3b",
            "&",
            "&type=",
            "#",
            "+",
            " ",
            "  ",
            "?",
            "/",
            "..",
            "*",
            "\u{201d}",
            "\u{ff02}",
            "é",
            "\u{1f4be}",
            "\u{200b}",
            "State==\"Stopped\"",
            "urn:veeam:Job:",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_filter("EM cannot say it", |c| !c.is_control()).prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn name() -> impl Strategy<Value = Option<Name>> {
    prop::option::of(hostile().prop_map(|text| Name::new(&text).expect("a valid name")))
}

prop_compose! {
    fn filters()(
        job_id in prop::option::of(any::<u128>().prop_map(uuid::Uuid::from_u128)),
        job_name in name(),
        backup_server_name in name(),
        states in subsequence(vec![SessionState::Starting, SessionState::Working, SessionState::Stopped], 0..=3),
        results in subsequence(vec![RunResult::None, RunResult::Failed], 0..=2),
        is_retry: Option<bool>,
        seconds in prop::option::of(-60_000_000_000_i64..250_000_000_000),
    ) -> SessionFilter {
        let from = seconds.map(|seconds| jiff::Timestamp::from_second(seconds).expect("in range"));
        SessionFilter {
            job_id,
            job_name,
            backup_server_id: None,
            backup_server_name,
            states,
            results,
            is_retry,
            created: Period { from, before: None },
            ended: Period { from: None, before: from },
            lately: None,
        }
    }
}

prop_compose! {
    fn task_filters()(
        vm_names in prop::collection::vec(hostile().prop_map(|text| Name::new(&text).expect("a valid name")), 0..4),
        sessions in prop::collection::vec(any::<[u8; 16]>().prop_map(SessionId::from_bytes), 0..3),
        job_name in name(),
        states in subsequence(vec![TaskState::Pending, TaskState::Completed], 0..=2),
        results in subsequence(vec![RunResult::None, RunResult::Success, RunResult::Failed], 0..=3),
    ) -> TaskFilter {
        TaskFilter { vm_names, sessions, job_name, states, results, ..TaskFilter::default() }
    }
}

/// The meaning that the expression for tasks must have, for a task with these values.
fn means(filter: &TaskFilter, task: &TaskValues) -> bool {
    let vm_is = |name: &Name| name.text() == task.vm_name;
    // A task that is not completed has no result, whatever EM reports.
    let result = if task.state == TaskState::Completed { task.result } else { RunResult::None };
    (filter.vm_names.is_empty() || filter.vm_names.iter().any(vm_is))
        && (filter.sessions.is_empty() || filter.sessions.contains(&task.session))
        && filter.job_name.as_ref().is_none_or(|name| name.text() == task.job_name)
        && (filter.states.is_empty() || filter.states.contains(&task.state))
        && (filter.results.is_empty() || filter.results.contains(&result))
}

/// What EM knows of a task.
#[derive(Debug)]
struct TaskValues {
    vm_name: String,
    session: SessionId,
    job_name: String,
    state: TaskState,
    result: RunResult,
}

/// Whether a task matches an expression, as EM compares.
fn holds(expression: &Filter, task: &TaskValues) -> bool {
    match expression {
        Filter::All(all) => all.iter().all(|part| holds(part, task)),
        Filter::Any(any) => any.iter().any(|part| holds(part, task)),
        Filter::Compare(Comparison { property, operator, value }) => {
            let session = format!("urn:veeam:ReplicaJobSession:{}", task.session);
            let own = match property.as_str() {
                "VmDisplayName" => &task.vm_name,
                "JobSessionUid" => &session,
                "JobName" => &task.job_name,
                "State" => task.state.text(),
                "Result" => task.result.text(),
                other => panic!("{other}"),
            };
            match operator {
                Operator::Equal => own == value,
                Operator::NotEqual => own != value,
                other => panic!("{other:?}"),
            }
        }
    }
}

/// The meaning that the expression must have.
fn expected(filter: &SessionFilter) -> Vec<Filter> {
    let compare = |property: &str, operator, value: &str| {
        Filter::Compare(Comparison {
            property: property.to_owned(),
            operator,
            value: value.to_owned(),
        })
    };
    let equal = |property: &str, value: &str| compare(property, Operator::Equal, value);
    let any = |property: &str, values: &[&str]| match values {
        [] => None,
        [value] => Some(equal(property, value)),
        values => Some(Filter::Any(values.iter().map(|value| equal(property, value)).collect())),
    };
    let mut all = Vec::new();
    let uid = filter.job_id.map(|id| format!("urn:veeam:Job:{id}"));
    all.extend(uid.map(|uid| equal("JobUid", &uid)));
    all.extend(filter.job_name.as_ref().map(|name| equal("JobName", name.text())));
    let server = filter.backup_server_name.as_ref();
    all.extend(server.map(|name| equal("BackupServerName", name.text())));
    let states: Vec<_> = filter.states.iter().map(|state| state.text()).collect();
    all.extend(any("State", &states));
    let results: Vec<_> = filter.results.iter().map(|result| result.text()).collect();
    all.extend(any("Result", &results));
    all.extend(filter.is_retry.map(|is_retry| equal("IsRetry", &is_retry.to_string())));
    let time = |time: jiff::Timestamp| time.to_string();
    let from = filter.created.from.map(time);
    all.extend(from.map(|time| compare("CreationTime", Operator::GreaterOrEqual, &time)));
    let before = filter.ended.before.map(time);
    all.extend(before.map(|time| compare("EndTime", Operator::Less, &time)));
    all
}

#[test]
fn times_are_rounded_up_to_the_microseconds_that_em_stores() {
    let mut filter = SessionFilter::default();
    filter.created.from = Some("2025-10-07T20:00:02.4200001Z".parse().unwrap());
    assert_eq!(filter.expression(), r#"CreationTime>="2025-10-07T20:00:02.420001Z""#);
}

#[test]
fn a_name_has_255_characters_at_most() {
    assert!(Name::new(&"é".repeat(255)).is_ok());
    assert_eq!(Name::new(&"é".repeat(256)), Err(InvalidName::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_keeps_its_meaning_whatever_its_values_contain(filter in filters()) {
        let expression = filter.expression();
        let mut meant = expected(&filter);
        if meant.is_empty() {
            prop_assert_eq!(expression, "");
            return Ok(());
        }
        let meant = if meant.len() == 1 { meant.remove(0) } else { Filter::All(meant) };
        prop_assert_eq!(Filter::parse(&expression), Ok(meant), "{}", expression);
    }

    #[test]
    fn a_filter_of_tasks_selects_what_it_means(
        filter in task_filters(),
        other_name in hostile(),
        picks in any::<[bool; 3]>(),
        state in prop::sample::select(vec![TaskState::Pending, TaskState::InProgress, TaskState::Completed]),
        result in prop::sample::select(vec![RunResult::None, RunResult::Success, RunResult::Failed]),
    ) {
        let expression = filter.expression();
        let other = SessionId::from_bytes([7; 16]);
        let pick = |name: Option<&Name>, is_own: bool| {
            name.filter(|_| is_own).map_or(other_name.clone(), |name| name.text().to_owned())
        };
        let task = TaskValues {
            vm_name: pick(filter.vm_names.last(), picks[0]),
            session: filter.sessions.last().filter(|_| picks[1]).copied().unwrap_or(other),
            job_name: pick(filter.job_name.as_ref(), picks[2]),
            state,
            result,
        };
        let found = expression.is_empty() || holds(&Filter::parse(&expression).expect("valid"), &task);
        prop_assert_eq!(found, means(&filter, &task), "{}: {:?}", expression, task);
    }
}
