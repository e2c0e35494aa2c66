//! Strategies for the simulator's sessions, tasks and styles.

use jiff::Timestamp;
use proptest::{collection::vec, option, prelude::*, sample::select};
use replica_session_gateway::enterprise_manager::{RunResult, SessionState, TaskState};

use simulator::{Generation, Layout, Link, NamedResource, Session, Style, Task, TimeFormat};

/// Text that XML writers and readers are known to mishandle.
const PIECES: [&str; 24] = [
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\"",
    "'",
    "<",
    ">",
    "&",
    "&amp;",
    "&#10;",
    "]]>",
    "<![CDATA[",
    "<!--",
    "-->",
    "</JobName>",
    "\u{a0}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{1f}",
    "\u{ffff}",
];

pub const STATES: [SessionState; 13] = [
    SessionState::Starting,
    SessionState::Working,
    SessionState::Pausing,
    SessionState::Resuming,
    SessionState::Stopping,
    SessionState::Stopped,
    SessionState::Idle,
    SessionState::Postprocessing,
    SessionState::Pending,
    SessionState::WaitingRepository,
    SessionState::WaitingSlot,
    SessionState::WaitingTape,
    SessionState::ActionRequired,
];
pub const RESULTS: [RunResult; 4] =
    [RunResult::None, RunResult::Success, RunResult::Warning, RunResult::Failed];
pub const TASK_STATES: [TaskState; 3] =
    [TaskState::Pending, TaskState::InProgress, TaskState::Completed];

/// Any text that XML can represent, if only by references.
pub fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => select(&PIECES[..]).prop_map(str::to_owned),
        2 => any::<char>().prop_map(String::from),
        1 => "[a-zA-Z0-9 @\\\\]{1,8}",
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Usually a known word, otherwise any text.
fn word(known: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    prop_oneof![
        3 => select(known.to_vec()).prop_map(str::to_owned),
        1 => text(),
    ]
}

/// A GUID in lower case.
fn guid() -> impl Strategy<Value = String> {
    any::<u128>().prop_map(|bits| {
        let hex = format!("{bits:032x}");
        let part = |from: usize, to: usize| &hex[from..to];
        let [first, last] = [part(0, 8), part(20, 32)];
        let middle = [part(8, 12), part(12, 16), part(16, 20)].join("-");
        format!("{first}-{middle}-{last}")
    })
}

/// Any time in the years 2 to 9998, with nanoseconds.
fn time() -> impl Strategy<Value = Timestamp> {
    let second = prop_oneof![
        2 => 1_400_000_000..1_800_000_000_i64,
        1 => -62_100_000_000..253_300_000_000_i64,
    ];
    // Often with few digits.
    let fraction = prop_oneof![
        Just(0),
        (0..1000).prop_map(|milliseconds| milliseconds * 1_000_000),
        0..1_000_000_000_i32,
    ];
    (second, fraction).prop_map(|(second, fraction)| {
        Timestamp::new(second, fraction).expect("a time of these years")
    })
}

fn named() -> impl Strategy<Value = NamedResource> {
    (guid(), text()).prop_map(|(id, name)| NamedResource { id, name })
}

fn link() -> impl Strategy<Value = Link> {
    (text(), option::of(text()), text(), option::of(text()))
        .prop_map(|(rel, kind, href, name)| Link { rel, kind, href, name })
}

fn task() -> impl Strategy<Value = Task> {
    let states = word(&TASK_STATES.map(TaskState::text));
    let results = word(&RESULTS.map(RunResult::text));
    let what = (guid(), text(), option::of(text()), option::of(named()));
    let when = (time(), option::of(time()));
    let how = (states, results, option::of(text()), any::<i64>());
    (what, when, how).prop_map(|(what, when, how)| Task {
        id: what.0,
        vm: what.1,
        vm_uid: what.2,
        created: when.0,
        ended: when.1,
        state: how.0,
        result: how.1,
        reason: how.2,
        total_size: how.3,
        replica_point: what.3,
    })
}

pub fn session() -> impl Strategy<Value = Session> {
    let states = word(&STATES.map(SessionState::text));
    let results = word(&RESULTS.map(RunResult::text));
    let what = (guid(), named(), named(), word(&["Replica"]));
    let when = (time(), option::of(time()));
    let how = (states, results, any::<i32>(), any::<bool>());
    let rest = (option::of(text()), vec(link(), 0..3), vec(task(), 0..4));
    (what, when, how, rest).prop_map(|(what, when, how, rest)| Session {
        id: what.0,
        server: what.1,
        job: what.2,
        job_type: what.3,
        created: when.0,
        ended: when.1,
        state: how.0,
        result: how.1,
        progress: how.2,
        is_retry: how.3,
        failure_message: rest.0,
        more_links: rest.1,
        tasks: rest.2,
    })
}

pub fn style() -> impl Strategy<Value = Style> {
    let generations =
        select(vec![Generation::Version11, Generation::Version12, Generation::Version13]);
    let layouts = select(vec![Layout::Recorded, Layout::Manual]);
    let times = select(vec![
        TimeFormat::Milliseconds,
        TimeFormat::Microseconds,
        TimeFormat::Ticks,
        TimeFormat::Local,
    ]);
    (generations, layouts, times, any::<bool>(), any::<bool>()).prop_map(
        |(generation, layout, times, misspelt_task_links, byte_order_mark)| Style {
            generation,
            layout,
            times,
            misspelt_task_links,
            byte_order_mark,
        },
    )
}
