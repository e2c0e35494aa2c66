//! What a report asks of Enterprise Manager: requests that read, and the logons and logoffs that they need.
//!
//! Each is here because nobody is known to have published how Enterprise Manager answers it, or because
//! sources or releases differ.

use Credentials::{Nothing, Password, Token};

/// With which credentials a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credentials {
    Nothing,
    /// User name and password: a logon.
    Password,
    /// The token of the report's logon session.
    Token,
}

/// A request of a report.
#[derive(Debug)]
pub struct Request {
    /// Unique.
    pub name: &'static str,
    pub(super) credentials: Credentials,
    /// Method and path, and a header if there is one beside the usual ones. `{session}` and the like stand for
    /// ids that earlier answers name.
    pub line: &'static str,
    /// What the answer shows.
    pub shows: &'static str,
}

impl Request {
    /// Method, path and the header of the line.
    pub(super) fn parts(
        &self,
    ) -> (&'static str, &'static str, Option<(&'static str, &'static str)>) {
        let (request, header) = self.line.split_once(" with ").unwrap_or((self.line, ""));
        let (method, path) = request.split_once(" /").unwrap_or((request, ""));
        (method, path, header.split_once(": "))
    }
}

const fn request(
    name: &'static str,
    credentials: Credentials,
    line: &'static str,
    shows: &'static str,
) -> Request {
    Request { name, credentials, line, shows }
}

/// All of them in their order: a logon comes before what is asked with its token, and a page of
/// sessions before what is asked about one of them.
#[rustfmt::skip]
pub const REQUESTS: [Request; 34] = [
    request("root", Nothing, "GET /api/", "versions of the API, and the headers of an answer without a logon"),
    request("logon without credentials", Nothing, "POST /api/sessionMngr/?v={version}", "the 401 and its challenge"),
    request("logon, unknown version", Password, "POST /api/sessionMngr/?v=v9_9", "whether it is refused, and how"),
    request("logon", Password, "POST /api/sessionMngr/?v={version}",
        "status, cookie, Location, and whether the token is made of the SessionId"),
    request("newest sessions", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&sortDesc=CreationTime&pageSize=20&page=1",
        "elements and values of sessions, their links, and whether the newest come first"),
    request("running sessions", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&filter=State!%3DStopped&pageSize=5",
        "State, Result and Progress of sessions that are not over"),
    request("failed sessions", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&filter=Result%3D%3DFailed&pageSize=5",
        "whether they have a FailureMessage"),
    request("oldest session", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&sortAsc=CreationTime&pageSize=1&page=1",
        "how long sessions are kept, and times that stand for none"),
    request("page of the usual size", Token, "GET /api/query?type=ReplicaJobSession",
        "the usual page size, references"),
    request("page of 1000", Token, "GET /api/query?type=ReplicaJobSession&pageSize=1000",
        "whether it is given, time, size"),
    request("page of 2000", Token, "GET /api/query?type=ReplicaJobSession&pageSize=2000", "whether there is a limit"),
    request("page past the end", Token, "GET /api/query?type=ReplicaJobSession&pageSize=100&page=100000",
        "an empty page, or a refusal"),
    request("nothing found", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&filter=Name%3D%3D%22{nobody}%22",
        "the form of an empty result"),
    request("malformed filter", Token, "GET /api/query?type=ReplicaJobSession&filter=Name%3D%3D", "how it is refused"),
    request("sorted both ways", Token,
        "GET /api/query?type=ReplicaJobSession&pageSize=1&sortAsc=CreationTime&sortDesc=CreationTime",
        "whether that is refused"),
    request("newest tasks", Token,
        "GET /api/query?type=ReplicaTaskSession&format=Entities&sortDesc=CreationTime&pageSize=20",
        "elements and values of tasks"),
    request("failed tasks", Token,
        "GET /api/query?type=ReplicaTaskSession&format=Entities&filter=Result%3D%3DFailed&pageSize=5",
        "whether they have a Reason"),
    request("list of sessions", Token, "GET /api/replicaSessions?format=Entity",
        "its order, and whether it ends at 30 days"),
    request("session", Token, "GET /api/replicaSessions/{session}?format=Entity",
        "the document that a Get reads, and caching"),
    request("session, reference", Token, "GET /api/replicaSessions/{session}", "the reference form"),
    request("session, id in upper case", Token, "GET /api/replicaSessions/{SESSION}?format=Entity",
        "whether it is found"),
    request("session, UID for id", Token,
        "GET /api/replicaSessions/urn:veeam:ReplicaJobSession:{session}?format=Entity",
        "whether it is found, else the form of an error"),
    request("session, gzip accepted", Token,
        "GET /api/replicaSessions/{session}?format=Entity with Accept-Encoding: gzip, deflate",
        "whether it is compressed"),
    request("session, JSON", Token, "GET /api/replicaSessions/{session}?format=Entity with Accept: application/json",
        "keys, nulls, byte order mark"),
    request("session, oldest", Token, "GET /api/replicaSessions/{oldest}?format=Entity",
        "whether one beyond 30 days is found"),
    request("tasks", Token, "GET /api/replicaSessions/{session}/replicaTaskSessions?format=Entity",
        "the list of tasks"),
    request("tasks, misspelt", Token, "GET /api/replicaSessions/{session}/repicaTaskSessions?format=Entity",
        "whether the path that links name is served"),
    request("unknown session", Token, "GET /api/replicaSessions/{nobody}?format=Entity", "404, or 500 and its words"),
    request("malformed id", Token, "GET /api/replicaSessions/nonsense?format=Entity", "400, 404 or 500"),
    request("unknown task", Token, "GET /api/replicaTaskSessions/{nobody}?format=Entity", "404, or 500 and its words"),
    request("unknown logon session", Token, "GET /api/logonSessions/{nobody}", "404, or 500 and its words"),
    request("logoff", Token, "DELETE /api/logonSessions/{logon}", "the status"),
    request("logoff, again", Token, "DELETE /api/logonSessions/{logon}", "what a second one is answered with"),
    request("token after logoff", Token, "GET /api/replicaSessions/{nobody}",
        "the 401, and whether it has a challenge"),
];
