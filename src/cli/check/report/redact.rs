//! Redacts answers, so that strangers may read a report.
//!
//! The redactor keeps the structure of a body (elements, keys, attributes, their order, quotes,
//! blanks) and replaces the contents by their shape. The output consists of nothing but:
//!
//! * words of the lists below, in the places where they are expected: `Stopped` is kept as a
//!   `State`, but not as the name of a job;
//! * times and small numbers, in the few elements and attributes that contain one;
//! * GUIDs, numbered in the order of their appearance, so that references still match;
//! * ASCII punctuation, blanks and control characters;
//! * one character for each other character, which shows only its kind.
//!
//! Therefore neither a mistake of the lexer nor a malformed document can let a text through. Libraries
//! for XML and JSON would refuse malformed documents and normalise the others, and a report has to show
//! exactly such details.

use std::collections::HashMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use uuid::Uuid;

use crate::enterprise_manager::{parse_time, parse_uuid};

/// The known elements, attributes and JSON keys, without those in [`VALUES`].
const NAMES: &str = "Entities EntityRef EntityReferences Error Fault FailureMessage \
    FirstChanceExceptionMessage JobName Link Links LogonSessions PagingInfo QueryResult Reason Ref Refs \
    ReplicaJobSessions ReplicaTaskSessions Resources SessionId StackTrace Status SupportedVersion \
    SupportedVersions Text TotalSize UserName VmDisplayName xml standalone CDATA DOCTYPE \
    html head title meta style script body div p a hr h1 h2 h3 span form input class content";

/// Kinds of resources in Enterprise Manager. A kind followed by `List`, `Reference` or both is the
/// type of a link.
const KINDS: &str = "Backup BackupFile BackupJobSession BackupServer BackupTaskSession CatalogVm \
    CloudConnectService EnterpriseManager EnterpriseSecuritySettings FailoverPlan HierarchyRoot Job LogonSession \
    LookupService ManagedServer QueryService Replica ReplicaJobSession ReplicaTaskSession Report Repository \
    RestorePoint RestoreSession Task VAppRestorePoint VCloudService VmReplicaPoint VmRestorePoint WanAccelerator";

/// Words in the addresses of requests.
const URL_WORDS: &str = "http https localhost 443 9398 9399 api backupServers jobs logonSessions query \
    repicaTaskSessions replicaSessions replicaTaskSessions sessionMngr type format Entity Entities ReplicaJobSession \
    ReplicaTaskSession filter sortAsc sortDesc CreationTime IsRetry Name Result State pageSize page v latest v1_7";

/// What is kept of a value.
#[derive(Clone, Copy)]
enum Keeps {
    /// These words.
    Words(&'static str),
    /// Words of this kind.
    Like(fn(&str) -> bool),
    /// A time, alone or after the last `@`; or a version of the API.
    Time,
    /// Known words, and the numbers of pages.
    Url,
    /// The kind of token.
    Token,
}

/// What is kept of a value, by its element, attribute, JSON key or header.
#[rustfmt::skip]
const VALUES: &[(&str, Keeps)] = &[
    ("State", Keeps::Words(
        "Starting Working Pausing Resuming Stopping Stopped Idle Postprocessing Pending WaitingRepository WaitingSlot \
         WaitingTape ActionRequired InProgress Completed",
    )),
    ("Result", Keeps::Words("None Success Warning Failed")),
    ("JobType", Keeps::Words("Replica CdpReplica CloudReplica ReplicaV2 Backup BackupCopy FailoverPlan")),
    ("IsRetry nil", Keeps::Words("true false 1 0")),
    ("Rel", Keeps::Words("Up Down Alternate Related Create Delete Start Stop First Next Previous Prev Last")),
    ("version", Keeps::Words("1.0 1.1")),
    ("encoding", Keeps::Words("utf-8 utf-16 us-ascii iso-8859-1")),
    ("xmlns xsd xsi", Keeps::Words(
        "http www.veeam.com ent v1.0 www.w3.org 2001 XMLSchema XMLSchema-instance schemas.microsoft.com ws 2005 05 \
         envelope none",
    )),
    ("Type", Keeps::Like(is_type)),
    ("PageNum PageSize PagesCount Progress StatusCode Content-Length Retry-After", Keeps::Like(is_small_number)),
    ("Name CreationTimeUTC EndTimeUTC", Keeps::Time),
    ("Href Location", Keeps::Url),
    ("UID JobUid JobSessionUid VmUid", Keeps::Words(
        "urn veeam BackupServer Job ReplicaJobSession ReplicaTaskSession Vm",
    )),
    // The gateway recognises an unknown id by these words.
    ("Message", Keeps::Words("There is no with id")),
    ("X-RestSvcSessionId", Keeps::Token),
    ("Allow Cache-Control Connection Content-Encoding Content-Type Date ETag Expires Keep-Alive Last-Modified Pragma \
      Server Set-Cookie Strict-Transport-Security Transfer-Encoding Vary WWW-Authenticate X-Content-Type-Options \
      X-Frame-Options X-XSS-Protection", Keeps::Words(
        "application text xml json html plain problem charset utf-8 utf-16 us-ascii iso-8859-1 \
         Microsoft-HTTPAPI 2.0 Kestrel Basic Negotiate NTLM Bearer realm RestSvc Path api HttpOnly Secure \
         SameSite Lax Strict None gzip deflate br identity chunked close keep-alive timeout private public \
         no-cache no-store must-revalidate max-age includeSubDomains Accept Accept-Encoding nosniff \
         SAMEORIGIN DENY mode block GET POST PUT DELETE HEAD X-RestSvcSessionId",
    )),
];

/// Replaces texts by their shape. One redactor numbers the GUIDs of all its inputs.
#[derive(Debug, Default)]
pub struct Redactor {
    numbers: HashMap<Uuid, usize>,
    /// Whether a backslash starts an escape.
    is_json: bool,
    /// Whether a percent sign does.
    is_url: bool,
}

impl Redactor {
    /// A header as `name: value`.
    pub fn header(&mut self, name: &str, value: &[u8]) -> String {
        self.is_json = false;
        let value = self.value(name, &String::from_utf8_lossy(value));
        let name = if keeps(name).is_some() { name.to_owned() } else { self.shape(name) };
        format!("{name}: {value}")
    }

    /// A body: XML, HTML, JSON or any other text.
    ///
    /// # Errors
    ///
    /// It is not UTF-8 text; says what it looks like.
    pub fn body(&mut self, body: &[u8]) -> Result<String, &'static str> {
        let text = match (body, str::from_utf8(body)) {
            ([0xff, 0xfe, ..], _) => return Err("UTF-16, little-endian"),
            ([0xfe, 0xff, ..], _) => return Err("UTF-16, big-endian"),
            ([0x1f, 0x8b, ..], _) => return Err("gzip"),
            (_, Err(_)) => return Err("not UTF-8"),
            // For example UTF-16 without a byte order mark: its bytes look like punctuation.
            (_, Ok(text)) if text.contains('\0') => return Err("not text"),
            (_, Ok(text)) => text,
        };
        let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        self.is_json = start.starts_with(['{', '[']);
        let mut shape = String::with_capacity(text.len());
        if self.is_json {
            self.tag(text, &mut shape);
            return Ok(shape);
        }
        let (mut element, mut rest) = ("", text);
        while let Some(start) = rest.find('<') {
            shape += &self.value(element, &rest[..start]);
            rest = &rest[start..];
            let name = rest[1..].split(|c: char| c.is_whitespace() || "/>".contains(c));
            element = name.flat_map(|name| name.rsplit(':')).next().unwrap_or_default();
            rest = self.tag(rest, &mut shape);
        }
        Ok(shape + &self.value(element, rest))
    }

    /// Redacts the tag, declaration or comment at the start of the text, or a whole JSON document,
    /// well-formed or not. Returns the rest.
    fn tag<'t>(&mut self, text: &'t str, shape: &mut String) -> &'t str {
        let is_json = self.is_json;
        let delimiters: &[char] = if is_json { &['"'] } else { &['"', '\'', '>'] };
        let (mut name, mut rest) = ("", text);
        loop {
            let end = rest.find(delimiters).unwrap_or(rest.len());
            *shape += &self.shape_but(&rest[..end], |word| {
                if is_json {
                    return is_listed(word, "true false null") || keeps_word(keeps(name), word);
                }
                name = word;
                is_name(word)
            });
            let Some(delimiter) = rest[end..].chars().next() else { return "" };
            shape.push(delimiter);
            rest = &rest[end + 1..];
            if delimiter == '>' {
                return rest;
            }
            let mut is_escaped = false;
            let end = rest.find(|c| {
                let ends = c == delimiter && !is_escaped;
                is_escaped = is_json && c == '\\' && !is_escaped;
                ends
            });
            let (quoted, behind) = rest.split_at(end.unwrap_or(rest.len()));
            rest = behind.get(1..).unwrap_or_default();
            if is_json && rest.trim_start().starts_with(':') {
                name = quoted;
                *shape += &self.shape_but(quoted, is_name);
            } else {
                *shape += &self.value(name, quoted);
            }
            *shape += &behind[..behind.len() - rest.len()];
        }
    }

    /// Redacts the value of the element, attribute, key or header with this name.
    fn value(&mut self, name: &str, text: &str) -> String {
        match keeps(name) {
            Some(Keeps::Time) => {
                let (name, time) = text.split_at(text.rfind('@').map_or(0, |at| at + 1));
                let is_version = is_listed(text, "v1 v1_1 v1_2 v1_3 v1_4 v1_5 v1_6 v1_7 v1_8 v1_9");
                let is_kept = is_version || is_time(time.trim());
                self.shape(name) + &if is_kept { time.to_owned() } else { self.shape(time) }
            }
            Some(Keeps::Url) => {
                let mut last = "";
                self.is_url = true;
                let shape = self.shape_but(text, |word| {
                    let is_page = is_listed(last, "page pageSize") && is_small_number(word);
                    last = word;
                    is_page || is_listed(word, URL_WORDS)
                });
                self.is_url = false;
                shape
            }
            Some(Keeps::Token) => self.token(text),
            keeps => self.shape_but(text, |word| keeps_word(keeps, word)),
        }
    }

    /// Redacts a token: the base64 of a GUID, as text or bytes, becomes the base64 of that GUID's
    /// replacement.
    fn token(&mut self, token: &str) -> String {
        let bytes = BASE64_STANDARD.decode(token).unwrap_or_default();
        let numbered = match (bytes.as_slice().try_into(), str::from_utf8(&bytes)) {
            (Ok(guid), _) => self.numbered(Uuid::from_bytes_le(guid)).to_bytes_le().to_vec(),
            (_, Ok(text)) if parse_uuid(text).is_some() => self.shape(text).into_bytes(),
            _ => return self.shape(token),
        };
        BASE64_STANDARD.encode(numbered)
    }

    fn shape(&mut self, text: &str) -> String {
        self.shape_but(text, |_| false)
    }

    /// The shape of a text, except for the words that are kept.
    fn shape_but<'t>(&mut self, text: &'t str, mut is_kept: impl FnMut(&'t str) -> bool) -> String {
        let mut shape = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let is_of_word = |c: char| c.is_alphanumeric() || "-_.".contains(c);
            let word = &rest[..rest.find(|c| !is_of_word(c)).unwrap_or(rest.len())];
            let length = if let Some(guid) = guid_at(rest) {
                let numbered = self.numbered(guid).to_string();
                let is_upper = rest[..GUID].contains(|c: char| c.is_ascii_uppercase());
                shape += &if is_upper { numbered.to_uppercase() } else { numbered };
                GUID
            } else if let Some((length, escape)) = self.escape(rest) {
                shape += &escape;
                length
            } else if !word.is_empty() && is_kept(word) {
                shape += word;
                word.len()
            } else {
                let hidden = if word.is_empty() { &rest[..first.len_utf8()] } else { word };
                shape.extend(hidden.chars().map(kind));
                hidden.len()
            };
            rest = &rest[length..];
        }
        shape
    }

    /// The length of the escaped character at the start of the text, and its replacement: the escape
    /// itself if it stands for punctuation, a blank or a control character, otherwise an escaped `X`.
    fn escape(&self, text: &str) -> Option<(usize, String)> {
        let xml = ["&amp;", "&lt;", "&gt;", "&quot;", "&apos;"];
        let json = [r#"\""#, r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t"];
        let mut simple = xml.into_iter().chain(json.into_iter().filter(|_| self.is_json));
        if let Some(escape) = simple.find(|escape| text.starts_with(escape)) {
            return Some((escape.len(), escape.to_owned()));
        }
        let (begin, radix, digits, x, end) = match text.as_bytes() {
            [b'&', b'#', b'x', ..] => ("&#x", 16, text[3..].split_once(';')?.0, "58", ";"),
            [b'&', b'#', ..] => ("&#", 10, text[2..].split_once(';')?.0, "88", ";"),
            [b'%', ..] if self.is_url => ("%", 16, text.get(1..3)?, "58", ""),
            [b'\\', b'u', ..] if self.is_json => ("\\u", 16, text.get(2..6)?, "0058", ""),
            _ => return None,
        };
        let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = u32::from_str_radix(digits, radix).ok().filter(|_| is_number)?;
        let is_kept = u8::try_from(code).is_ok_and(|c| c.is_ascii() && !c.is_ascii_alphanumeric());
        let length = begin.len() + digits.len() + end.len();
        Some((length, format!("{begin}{}{end}", if is_kept { digits } else { x })))
    }

    /// The replacement of a GUID, which contains only its number in the report.
    fn numbered(&mut self, guid: Uuid) -> Uuid {
        const FIRST: u128 = 0xaaaa_aaaa_aaaa_4aaa_8aaa_0000_0000_0000;
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry(guid).or_insert(next);
        Uuid::from_u128(FIRST + number as u128)
    }
}

/// The number of characters in a GUID.
const GUID: usize = 36;

/// The GUID at the start of the text.
fn guid_at(text: &str) -> Option<Uuid> {
    let ends = !text.get(GUID..)?.starts_with(char::is_alphanumeric);
    parse_uuid(text.get(..GUID).filter(|_| ends)?)
}

/// One character for each kind of characters, of the same length in UTF-8.
fn kind(c: char) -> char {
    match c {
        'A'..='Z' => 'X',
        'a'..='z' => 'x',
        '0'..='9' => '9',
        _ if c.is_ascii() || c.is_whitespace() || c == '\u{feff}' => c,
        _ => ['é', '漢', '😀'][c.len_utf8() - 2],
    }
}

/// What is kept of the values with this name.
fn keeps(name: &str) -> Option<Keeps> {
    VALUES.iter().find(|(names, _)| is_listed(name, names)).map(|(_, keeps)| *keeps)
}

fn keeps_word(keeps: Option<Keeps>, word: &str) -> bool {
    match keeps {
        Some(Keeps::Words(words)) => is_listed(word, words),
        Some(Keeps::Like(is_like)) => is_like(word),
        _ => false,
    }
}

/// Whether a word is in a list, whatever its letter case.
fn is_listed(word: &str, list: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known.eq_ignore_ascii_case(word))
}

fn is_name(word: &str) -> bool {
    is_listed(word, NAMES) || keeps(word).is_some() || is_type(word)
}

/// Whether this is the type of a resource or link.
fn is_type(word: &str) -> bool {
    let kind = word.strip_suffix("List").unwrap_or(word);
    is_listed(kind.strip_suffix("Reference").unwrap_or(kind), KINDS)
}

fn is_small_number(word: &str) -> bool {
    (1..=7).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether this is a time. A plain number does not count as one, because it could be anything.
fn is_time(word: &str) -> bool {
    word.contains(':') && parse_time(&word.replace(' ', "T")).is_some()
}
