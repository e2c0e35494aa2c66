//! The step that says whether sessions will be read together: it compares one session of a query as
//! large as `--em-batch` with the same session read by its id.
//!
//! The gateway works without such queries, only with more requests. So nothing that this step finds is a
//! failure of the check.

use std::time::Duration;

use tokio::time::Instant;

use super::{output::Success, problem::of_error, target::Target};
use crate::enterprise_manager::{
    Error, ReadContext, ReplicaSession, SessionId, View, differences, length_of_query,
};

/// What a request has returned, and how long that took.
type Timed = (ReplicaSession, Duration);

/// Reads the session by its id, in a query, and by its id again, since it may change meanwhile.
///
/// # Errors
///
/// Why the session cannot be read by its id.
pub(super) async fn compare(target: Target<'_>, id: SessionId) -> Result<Success<()>, Error> {
    let size = target.settings.batch;
    let (before, took_alone) = alone(target, id).await?;
    let (mut count, mut refused) = (size, None);
    let found = loop {
        match together(target, id, count).await {
            Err(error) if count > 2 && !error.is_transient() => {
                refused.get_or_insert(error);
                count /= 2;
            }
            outcome => break outcome,
        }
    };
    let (after, _) = alone(target, id).await?;
    let (row, took) = match found {
        Ok(Some(found)) => found,
        Ok(None) => {
            let why = "a query by UID does not return the session that was just read";
            return Ok(unused(why, "report it, with `check --report`"));
        }
        Err(error) => {
            let error = refused.as_ref().unwrap_or(&error);
            let problem = of_error(error, target.settings);
            let why = format!("a query for {size} sessions: {}", problem.text);
            let remedy = if error.may_be_of_the_query() { REFUSED } else { &problem.remedy };
            return Ok(unused(&why, remedy));
        }
    };
    let between = differences(&row, &after);
    let differing: Vec<_> =
        differences(&row, &before).into_iter().filter(|field| between.contains(field)).collect();
    if !differing.is_empty() {
        let text = format!(
            "sessions will be read together, but in a query these differ from a single read: {}",
            differing.join(", ")
        );
        return Ok(Success::new((), text)
            .but("set --em-batch 1 until that is explained; report it, with `check --report`"));
    }
    let times = format!("{} ms, against {} ms", took.as_millis(), took_alone.as_millis());
    if let Some(error) = refused {
        let problem = of_error(&error, target.settings);
        let text = format!(
            "a query for {size} sessions: {}. One for {count} returns what a single read does ({times})",
            problem.text
        );
        let remedy = format!(
            "set --em-batch {count}, or let what is before Enterprise Manager accept addresses of {} bytes",
            target.settings.url.path().len() + length_of_query(size)
        );
        return Ok(Success::new((), text).but(remedy));
    }
    if took > took_alone.max(Duration::from_millis(1)) * u32::try_from(size).unwrap_or(u32::MAX) {
        let why = format!(
            "a query for {size} sessions takes longer than as many single reads ({times} for one)"
        );
        return Ok(unused(&why, SLOW));
    }
    let meaning = what_it_means(target, took, took_alone);
    Ok(Success::new(
        (),
        format!(
            "sessions will be read together: a query for {size} returns what a single read does \
             ({times}){meaning}"
        ),
    ))
}

/// What a slow query means for calls; nothing if it is about as fast as a single read.
fn what_it_means(target: Target<'_>, query: Duration, single: Duration) -> String {
    let single = single.max(Duration::from_millis(1));
    let least = query.as_millis().div_ceil(single.as_millis());
    if least <= 2 {
        return String::new();
    }
    let (size, concurrency) = (target.settings.batch, target.settings.concurrency);
    let rounds = u32::try_from(size.div_ceil(concurrency.max(1))).unwrap_or(u32::MAX);
    let alone = single.saturating_mul(rounds);
    let burst = if query > alone {
        format!(
            ". {size} single reads take {} ms, {concurrency} at a time: queries save requests, and a \
             burst of calls is answered no sooner",
            alone.as_millis()
        )
    } else {
        String::new()
    };
    format!(", if {least} or more wait: it takes as long as so many single reads{burst}")
}

/// What to do if queries are slow.
pub(super) const SLOW: &str =
    "ask Enterprise Manager's administrator whether it or its database is overloaded";

/// What to do if a query is refused, and a read by id is not.
const REFUSED: &str = "look for a proxy that changes or refuses long addresses";

/// Sessions will not be read together, for this reason.
pub(super) fn unused(why: &str, remedy: &str) -> Success<()> {
    Success::new((), format!("sessions will be read one by one: {why}")).but(format!(
        "that works, with more requests; {remedy}; to leave out the attempts, set --em-batch 1"
    ))
}

async fn alone(target: Target<'_>, id: SessionId) -> Result<Timed, Error> {
    let sent = Instant::now();
    let context = ReadContext::until(sent + target.time_limit);
    let reading = target.enterprise_manager.replica_session(id, View::Entity, &context).await?;
    Ok((reading.session.clone(), sent.elapsed()))
}

/// The session in a query for `count` sessions, of which no other exists. `None` if it is not returned.
async fn together(target: Target<'_>, id: SessionId, count: usize) -> Result<Option<Timed>, Error> {
    let nobody = (1..count).map(|number| {
        let number = u128::try_from(number).unwrap_or_default();
        SessionId::from_bytes((0x5a5a_5a5a_5a5a_4a5a_8a5a_0000_0000_0000 + number).to_be_bytes())
    });
    let sent = Instant::now();
    let context = ReadContext::until(sent + target.time_limit);
    let ids = [id].into_iter().chain(nobody).collect();
    let mut rows =
        target.enterprise_manager.sessions_by_query(ids, View::Entity, &context, None).await?;
    let took = sent.elapsed();
    rows.remove(&id).transpose().map(|row| row.map(|row| (row, took))).map_err(Error::from)
}
