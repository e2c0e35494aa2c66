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
}

impl BatchRequest {
    fn size(&self) -> u16 {
        u16::try_from(self.ids.len()).unwrap_or(u16::MAX)
    }
}

impl ReadRequest for BatchRequest {
    /// Sessions that were asked for. One that cannot be parsed has its error.
    type Answer = HashMap<SessionId, Result<ReplicaSession, BadResponse>>;

    const KIND: RequestKind = RequestKind::Batch;

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
        let rows = parse_session_rows(body, self.view, MAX_PAGE_SIZE.into()).await?.items;
        let is_empty = rows.is_empty();
        let mut sessions = HashMap::with_capacity(rows.len());
        for row in rows {
            if self.ids.contains(&row.id) {
                sessions.entry(row.id).or_insert(row.session);
            }
        }
        if sessions.is_empty() && !is_empty {
            // The filter is ignored: no batch would help.
            let found = "sessions of other ids only".to_owned();
            return Err(BadResponse::WrongSession { found });
        }
        Ok(sessions)
    }
}
