//! The request for one session, and the query for several with its answer by session.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use uuid::Uuid;

use crate::enterprise_manager::{
    SessionId,
    error::BadResponse,
    guard::RequestKind,
    model::{Reading, ReplicaSession, View},
    query::{
        filter::sessions_of,
        list::MAX_PAGE_SIZE,
        path::{Order, Query},
    },
    read_request::ReadRequest,
    xml::{parse_replica_session, parse_session_rows},
};

/// One session, by its id.
pub(super) struct SessionRequest {
    pub(super) id: SessionId,
    pub(super) view: View,
}

impl ReadRequest for SessionRequest {
    type Answer = Arc<Reading>;

    const KIND: RequestKind = RequestKind::Entity;

    fn path(&self) -> String {
        let query = match self.view {
            View::Reference => "",
            View::Entity => "?format=Entity",
        };
        let mut id = Uuid::encode_buffer();
        let id = self.id.uuid().hyphenated().encode_lower(&mut id);
        ["api/replicaSessions/", id, query].concat()
    }

    async fn parse(&self, body: &[u8]) -> Result<Arc<Reading>, BadResponse> {
        let session = parse_replica_session(body, self.id, self.view)?;
        let read_at = Timestamp::now();
        // Moved to the heap at once: it is a third of a kilobyte.
        Ok(Arc::new(Reading { session, read_at }))
    }
}

/// Requests these sessions in one page.
pub(super) struct BatchRequest {
    pub(super) ids: Vec<SessionId>,
    pub(super) view: View,
    /// Whether a 401 means that the logon session is over. If not, whoever asks finds that out with a
    /// single read: it may be the query that is refused.
    pub(super) renews_logon: bool,
}

impl BatchRequest {
    fn size(&self) -> u16 {
        u16::try_from(self.ids.len()).unwrap_or(u16::MAX)
    }
}

/// The sessions of a page that were asked for.
pub(super) struct Rows {
    /// One that cannot be parsed has its error.
    pub(super) sessions: HashMap<SessionId, Result<ReplicaSession, BadResponse>>,
    /// Whether there are more pages, although one should suffice.
    pub(super) is_cut: bool,
}

impl ReadRequest for BatchRequest {
    type Answer = Rows;

    const KIND: RequestKind = RequestKind::Batch;

    fn renews_logon(&self) -> bool {
        self.renews_logon
    }

    fn path(&self) -> String {
        let query = Query {
            r#type: "ReplicaJobSession",
            view: self.view,
            filter: sessions_of(&self.ids),
            order: Order::NewestFirst,
            page_size: self.size(),
            page: 1,
        };
        query.path()
    }

    async fn parse(&self, body: &[u8]) -> Result<Self::Answer, BadResponse> {
        // More than were asked for are no harm: strangers and duplicates are left out below.
        let page = parse_session_rows(body, self.view, MAX_PAGE_SIZE.into()).await?;
        let (is_cut, rows) = (!page.is_last(1, u16::MAX), page.items);
        let is_empty = rows.is_empty();
        let mut sessions = HashMap::with_capacity(rows.len());
        for row in rows {
            // Without an id, it is nobody's: whose it was is read alone.
            if let Some(id) = row.id
                && self.ids.contains(&id)
            {
                sessions.entry(id).or_insert(row.session);
            }
        }
        if sessions.is_empty() && !is_empty {
            // The filter is ignored: no batch would help.
            let found = "sessions of other ids only".to_owned();
            return Err(BadResponse::WrongSession { found });
        }
        let is_cut = is_cut && sessions.len() < self.ids.len();
        Ok(Rows { sessions, is_cut })
    }
}
