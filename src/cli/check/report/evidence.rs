//! What was seen of Enterprise Manager for a report.

use std::time::Duration;

use crate::{
    cli::check::outline::{Element, Outline},
    enterprise_manager::{Answer, Handshake},
};

macro_rules! asks {
    ($($(#[doc = $doc:literal])* $ask:ident = $name:literal;)*) => {
        /// A request, by what it is for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Ask {
            $($(#[doc = $doc])* $ask,)*
        }

        impl Ask {
            /// The request's name in a report.
            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$ask => $name,)*
                }
            }
        }
    };
}

asks! {
    Root = "/api/";
    BareLogon = "logon without credentials";
    Logon = "logon";
    OddVersion = "logon, unknown version";
    Page = "query, 100 entities";
    DefaultPage = "query, no page size";
    Page1000 = "query, page size 1000";
    Page2000 = "query, page size 2000";
    PastEnd = "query, page past the end";
    Nothing = "query, nothing matches";
    BadFilter = "query, malformed filter";
    BothSorts = "query, sorted both ways";
    Oldest = "query, the oldest";
    TaskPage = "query, 100 tasks";
    List = "plain list";
    Entity = "session, entity";
    Reference = "session, reference";
    OddFormat = "session, unknown format";
    UpperCase = "session, id in upper case";
    Urn = "session, id as urn";
    Gzip = "session, gzip accepted";
    OldSession = "session, the oldest";
    Json = "session, in JSON";
    Tasks = "tasks of a session";
    MisspeltTasks = "tasks, misspelt path";
    UnknownId = "session, unknown id";
    MalformedId = "session, malformed id";
    UnknownTask = "task, unknown id";
    UnknownLogon = "logon session, unknown id";
    LogOff = "logoff";
    LogOffAgain = "logoff, again";
    DeadToken = "session, token after logoff";
}

/// An answer, with its outline if it is XML.
pub(super) struct Seen {
    pub(super) ask: Ask,
    pub(super) answer: Answer,
    pub(super) outline: Outline,
    pub(super) took: Duration,
}

/// Everything that was seen.
#[derive(Default)]
pub(super) struct Evidence {
    pub(super) handshake: Option<Handshake>,
    pub(super) all: Vec<Seen>,
    /// Host and port that were asked, to compare with and never to be written.
    pub(super) host: String,
}

impl Evidence {
    /// The answer to this request, if there is one.
    pub(super) fn get(&self, ask: Ask) -> Option<&Seen> {
        self.all.iter().find(|seen| seen.ask == ask)
    }

    /// The sessions on the first page of the query, each with what is inside it.
    pub(super) fn sessions(&self) -> Vec<&[Element]> {
        let page = self.get(Ask::Page);
        page.map_or_else(Vec::new, |page| {
            page.outline.whole("ReplicaJobSession").collect()
        })
    }

    /// The tasks on the first page of theirs.
    pub(super) fn tasks(&self) -> Vec<&[Element]> {
        let page = self.get(Ask::TaskPage);
        page.map_or_else(Vec::new, |page| {
            page.outline.whole("ReplicaTaskSession").collect()
        })
    }
}
