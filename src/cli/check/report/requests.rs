//! The requests of a report: reads, and the logons and logoffs that they need.
//!
//! Each is here because nobody is known to have published how Enterprise Manager answers it, or because
//! sources or releases differ. `docs/report.md` lists what each answer shows.

use Credentials::{Nothing, Password, Token};

/// The credentials of a request.
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
    /// Method and path, and any header besides the usual ones. `{session}` and the like stand for ids from
    /// earlier answers.
    pub line: &'static str,
}

impl Request {
    /// Method, path and the header of the line.
    pub(super) fn parts(&self) -> (&'static str, &'static str, &'static str) {
        let (request, header) = self.line.split_once(" with ").unwrap_or((self.line, ""));
        let (method, path) = request.split_once(" /").unwrap_or((request, ""));
        (method, path, header)
    }
}

const fn request(name: &'static str, credentials: Credentials, line: &'static str) -> Request {
    Request { name, credentials, line }
}

/// All requests in their order: a logon comes before the requests that need its token, and a page
/// of sessions before the requests about one of them.
#[rustfmt::skip]
pub const REQUESTS: [Request; 36] = [
    request("root", Nothing, "GET /api/"),
    request("logon without credentials", Nothing, "POST /api/sessionMngr/?v={version}"),
    request("logon, unknown version", Password, "POST /api/sessionMngr/?v=v9_9"),
    request("logon", Password, "POST /api/sessionMngr/?v={version}"),
    request("newest sessions", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&sortDesc=CreationTime&pageSize=20&page=1"),
    request("running sessions", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&filter=State!%3DStopped&pageSize=5"),
    request("running or lately ended", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&filter=%28State%21%3D%22Stopped%22%2CEndTime%3E%3D%222100-01-01T00:00:00Z%22%29&pageSize=5"),
    request("failed sessions", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&filter=Result%3D%3DFailed&pageSize=5"),
    request("oldest session", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&sortAsc=CreationTime&pageSize=1&page=1"),
    request("page of the usual size", Token, "GET /api/query?type=ReplicaJobSession"),
    request("page of 1000", Token, "GET /api/query?type=ReplicaJobSession&pageSize=1000"),
    request("page of 2000", Token, "GET /api/query?type=ReplicaJobSession&pageSize=2000"),
    request("page past the end", Token,
        "GET /api/query?type=ReplicaJobSession&pageSize=100&page=100000"),
    request("nothing found", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&filter=Name%3D%3D%22{nobody}%22"),
    request("malformed filter", Token, "GET /api/query?type=ReplicaJobSession&filter=Name%3D%3D"),
    request("sorted both ways", Token,
        "GET /api/query?type=ReplicaJobSession&pageSize=1&sortAsc=CreationTime&sortDesc=CreationTime"),
    request("newest tasks", Token,
        "GET /api/query?type=ReplicaTaskSession&format=Entities&sortDesc=CreationTime&pageSize=20"),
    request("failed tasks", Token,
        "GET /api/query?type=ReplicaTaskSession&format=Entities&filter=Result%3D%3DFailed&pageSize=5"),
    request("list of sessions", Token, "GET /api/replicaSessions?format=Entity"),
    request("session", Token, "GET /api/replicaSessions/{session}?format=Entity"),
    request("sessions by UID", Token,
        "GET /api/query?type=ReplicaJobSession&format=Entities&filter=UID%3D%3D%22urn:veeam:ReplicaJobSession:{session}%22,UID%3D%3D%22{oldest}%22&pageSize=2&page=1"),
    request("session, reference", Token, "GET /api/replicaSessions/{session}"),
    request("session, id in upper case", Token, "GET /api/replicaSessions/{SESSION}?format=Entity"),
    request("session, UID for id", Token,
        "GET /api/replicaSessions/urn:veeam:ReplicaJobSession:{session}?format=Entity"),
    request("session, gzip accepted", Token,
        "GET /api/replicaSessions/{session}?format=Entity with Accept-Encoding: gzip, deflate"),
    request("session, JSON", Token,
        "GET /api/replicaSessions/{session}?format=Entity with Accept: application/json"),
    request("session, oldest", Token, "GET /api/replicaSessions/{oldest}?format=Entity"),
    request("tasks", Token, "GET /api/replicaSessions/{session}/replicaTaskSessions?format=Entity"),
    request("tasks, misspelt", Token,
        "GET /api/replicaSessions/{session}/repicaTaskSessions?format=Entity"),
    request("unknown session", Token, "GET /api/replicaSessions/{nobody}?format=Entity"),
    request("malformed id", Token, "GET /api/replicaSessions/nonsense?format=Entity"),
    request("unknown task", Token, "GET /api/replicaTaskSessions/{nobody}?format=Entity"),
    request("unknown logon session", Token, "GET /api/logonSessions/{nobody}"),
    request("logoff", Token, "DELETE /api/logonSessions/{logon}"),
    request("logoff, again", Token, "DELETE /api/logonSessions/{logon}"),
    request("token after logoff", Token, "GET /api/replicaSessions/{nobody}"),
];
