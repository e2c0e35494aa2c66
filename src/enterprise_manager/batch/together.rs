//! Reads the sessions of a batch in one query, and gives each read its answer.

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    sync::Arc,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    queue::{Member, Reply},
    request::BatchRequest,
    support,
};
use crate::enterprise_manager::{
    EnterpriseManager, ReadContext,
    error::Error,
    guard::Permit,
    model::{Reading, View},
};

impl EnterpriseManager {
    /// Reads these sessions, first with this permit. Ends early if all who wait for them have left.
    pub(super) async fn read_batch(
        &self,
        view: View,
        mut members: Vec<Member>,
        permit: Permit,
        context: ReadContext,
    ) {
        // Several may wait for the same session, if each wants an answer newer than its call.
        let ids: BTreeSet<_> = members.iter().map(|member| member.id).collect();
        let request = BatchRequest { ids: ids.into_iter().collect(), view };
        let outcome = {
            let read = pin!(self.read_with(&request, &context, Some(permit)));
            let all_left = join_all(members.iter_mut().map(Member::left));
            tokio::select! {
                outcome = read => outcome,
                _ = all_left => return,
            }
        };
        let read_at = Timestamp::now();
        match outcome {
            Ok(rows) => {
                let read = |session| Arc::new(Reading { session, read_at });
                let rows: HashMap<_, _> = rows
                    .into_iter()
                    .map(|(id, row)| (id, row.map(read).map_err(Error::from)))
                    .collect();
                for member in members {
                    let reply = rows.get(&member.id).cloned().map_or(Reply::ReadAlone, Reply::Read);
                    if matches!(reply, Reply::Read(Ok(_))) {
                        self.batches.sessions.inc();
                    }
                    member.reply(reply);
                }
            }
            Err(error) if support::meets_all(&error) => {
                for member in members {
                    member.reply(Reply::Read(Err(error.clone())));
                }
            }
            Err(error) => {
                if support::is_missing(&error) {
                    self.batches.support.suspend(&error, Instant::now());
                }
                for member in members {
                    member.reply(Reply::ReadAlone);
                }
            }
        }
    }
}
