"""Replays of what public clients do, in code of our own: plain sockets, so that every byte is seen."""

import base64
import json
import re
import socket
import ssl
import urllib.parse

USER = "TECH\\gateway"
PASSWORD = "simulated"
BASIC = "Authorization: Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Connection:
    """One connection, kept alive."""

    def __init__(self, em):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        tcp = socket.create_connection(("127.0.0.1", em.port), timeout=10)
        self.socket = context.wrap_socket(tcp, server_hostname="localhost")
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def send(self, *lines, body=b""):
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def answer(self):
        """Status, the header lines as they are, and the body."""
        status = int(self.stream.readline().split()[1])
        lines = list(iter(lambda: self.stream.readline().decode().rstrip("\r\n"), ""))
        length = next((int(l.split(":")[1]) for l in lines if l.lower().startswith("content-length:")), 0)
        return status, lines, self.stream.read(length).decode()

    def get(self, target, *headers):
        self.send(f"GET {target} HTTP/1.1", "Host: em", *headers)
        return self.answer()

    def log_on(self, *headers):
        self.send("POST /api/sessionMngr/?v=latest HTTP/1.1", "Host: em", BASIC, "Content-Length: 0", *headers)
        return self.answer()

    def token(self):
        """The header with the token, found by the exact letters of its name."""
        status, lines, _ = self.log_on()
        assert status == 201, status
        return next(line for line in lines if re.match(r"X-RestSvcSessionId: \S+$", line))


def text_of(name, xml):
    return re.search(rf"<{name}>([^<]*)</{name}>", xml)[1]


def a_token_computed_from_the_session_id(em):
    with Connection(em) as here:
        _, _, body = here.log_on()
        token = base64.b64encode(text_of("SessionId", body).encode()).decode()
        status, _, body = here.get("/api/replicaSessions", f"X-RestSvcSessionId: {token}")
        assert (status, "<Ref " in body) == (200, True), status


def header_names_matched_by_their_letters(em):
    with Connection(em) as here:
        here.token()
    with Connection(em) as other:
        other.send("POST /api/sessionMngr/ HTTP/1.1", "Host: em", "Content-Length: 0")
        status, lines, _ = other.answer()
        assert (status, "WWW-Authenticate: Basic Realm=RestSvc" in lines) == (401, True), lines


def a_query_url_taken_from_the_query_service(em):
    with Connection(em) as here:
        status, lines, body = here.log_on("Accept: application/json")
        links = {k.lower(): v for k, v in json.loads(body.lstrip("\ufeff")).items()}["links"]
        href = next(
            href for link in links for href, kind in [(link.get("Href", link.get("href")), link.get("Type", link.get("type")))]
            if kind == "QueryService"
        )  # fmt: skip
        token = next(line for line in lines if line.startswith("X-RestSvcSessionId: "))
        path = urllib.parse.urlsplit(href).path
        status, _, body = here.get(path, token)
        assert status == 200, status
        query = next(href for href in re.findall(r'Href="([^"]+)"', body) if "type=ReplicaJobSession&" in href)
        target = urllib.parse.urlsplit(query.replace("&amp;", "&"))
        status, _, body = here.get(f"{target.path}?{target.query}", token)
        assert (status, body.count("<Ref ")) == (200, 15), status
        # The other way: the service's path, cut to that of queries.
        status, _, _ = here.get(path.replace("querySvc", "query") + "?type=ReplicaJobSession", token)
        assert status == 200, status


def a_chunked_logon_that_waits_to_continue(em):
    with Connection(em) as here:
        here.send(
            "POST /api/sessionMngr/?v=latest HTTP/1.1", "Host: em", BASIC,
            "Expect: 100-continue", "Transfer-Encoding: chunked",
        )  # fmt: skip
        status, _, _ = here.answer()
        assert status == 100, status
        here.socket.sendall(b"0\r\n\r\n")
        status, _, _ = here.answer()
        assert status == 201, status


def paging_until_the_number_is_the_count(em):
    with Connection(em) as here:
        token = here.token()
        page, found = 1, set()
        while True:
            target = f"/api/query?type=ReplicaJobSession&format=Entities&sortDesc=CreationTime&page={page}"
            status, _, body = here.get(target, token)
            assert status == 200, status
            found |= set(re.findall(r'<ReplicaJobSession [^>]*UID="([^"]+)"', body))
            info = re.search(r'<PagingInfo PageNum="(\d+)" PageSize="100" PagesCount="(\d+)"', body)
            if info[1] == info[2]:
                break
            page += 1
        assert (page, len(found)) == (3, 257), (page, len(found))


def a_cookie_alone(em):
    with Connection(em) as here:
        _, lines, _ = here.log_on()
        cookie = next(line for line in lines if line.startswith("Set-Cookie: "))
        cookie = cookie.removeprefix("Set-Cookie: ").split(";")[0]
        status, _, _ = here.get("/api/replicaSessions", f"Cookie: {cookie}")
        assert status == 200, status


def a_filter_that_is_not_escaped(em):
    with Connection(em) as here:
        token = here.token()
        target = '/api/query?type=ReplicaJobSession&format=Entities&filter=CreationTime>="2025-01-01";Result=="Failed"'
        status, _, body = here.get(target, token)
        assert (status, body.count("<Result>Failed</Result>")) == (200, 2), status


def logoff_by_the_location_of_the_logon(em):
    with Connection(em) as here:
        _, lines, _ = here.log_on()
        headers = dict(line.split(": ", 1) for line in lines)
        path = urllib.parse.urlsplit(headers["Location"]).path
        token = f"X-RestSvcSessionId: {headers['X-RestSvcSessionId']}"
        here.send(f"DELETE {path} HTTP/1.1", "Host: em", token)
        assert here.answer()[0] == 204
        assert here.get("/api/replicaSessions", token)[0] == 401


def a_form_as_the_body_of_a_logon(em):
    expected = 415 if em.release == 13 else 201
    with Connection(em) as here:
        here.send(
            "POST /api/sessionMngr/?v=latest HTTP/1.1", "Host: em", BASIC, "Content-Length: 3",
            "Content-Type: application/x-www-form-urlencoded", body=b"a=b",
        )  # fmt: skip
        assert here.answer()[0] == expected


HABITS = [
    a_token_computed_from_the_session_id,
    header_names_matched_by_their_letters,
    a_query_url_taken_from_the_query_service,
    a_chunked_logon_that_waits_to_continue,
    paging_until_the_number_is_the_count,
    a_cookie_alone,
    a_filter_that_is_not_escaped,
    logoff_by_the_location_of_the_logon,
    a_form_as_the_body_of_a_logon,
]
