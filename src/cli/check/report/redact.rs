//! The redactor: what of an answer may be written into a report that strangers read.
//!
//! It keeps the structure of a body (elements, keys, attributes, their order, quotes, blanks) and replaces
//! what stands in it by its shape. The output has no other sources than these:
//!
//! * words of the lists below, where they stand in their place: `Stopped` is kept as a `State`, not as
//!   the name of a job;
//! * times and small numbers, in the few elements and attributes that hold one;
//! * GUIDs that are numbered in the order of their appearance, so that references still match;
//! * ASCII punctuation, blanks and control characters;
//! * one character for every other one, which shows only its kind.
//!
//! So a mistake of the lexer below, or a document that is not well-formed, cannot let a text through. That is why
//! there is no XML or JSON library here: these refuse what is broken and normalise what is not,
//! and a report is about exactly that.

use std::collections::HashMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use uuid::Uuid;

use crate::enterprise_manager::parse_time;

/// Elements, attributes and JSON keys, as far as they are known.
const NAMES: &str = "CreationTimeUTC EndTimeUTC Entities EntityRef EntityReferences Error Fault FailureMessage \
    FirstChanceExceptionMessage Href IsRetry JobName JobSessionUid JobType JobUid Link Links LogonSessions Message \
    Name PageNum PageSize PagesCount PagingInfo Progress QueryResult Reason Ref Refs Rel ReplicaJobSessions \
    ReplicaTaskSessions Resources Result SessionId StackTrace State Status StatusCode SupportedVersion \
    SupportedVersions Text TotalSize Type UID UserName VmDisplayName VmUid \
    xml version encoding standalone xmlns xsd xsi nil CDATA DOCTYPE html head title meta style script body div p a hr h1 h2 h3 span form input href class content";

/// Kinds of things at Enterprise Manager. With `List`, `Reference` or both behind it, the type of a
/// link.
const KINDS: &str = "Backup BackupFile BackupJobSession BackupServer BackupTaskSession CatalogVm \
    CloudConnectService EnterpriseManager EnterpriseSecuritySettings FailoverPlan HierarchyRoot Job LogonSession \
    LookupService ManagedServer QueryService Replica ReplicaJobSession ReplicaTaskSession Report Repository \
    RestorePoint RestoreSession Task VAppRestorePoint VCloudService VmReplicaPoint VmRestorePoint WanAccelerator";

/// What a request's path and query are made of.
const URL_WORDS: &str = "api backupServers jobs logonSessions query repicaTaskSessions replicaSessions \
    replicaTaskSessions sessionMngr type format Entity Entities ReplicaJobSession ReplicaTaskSession filter sortAsc \
    sortDesc CreationTime IsRetry Name Result State pageSize page v latest v1_7";

/// Words in the values of headers that name nobody.
const HEADER_WORDS: &str = "application text xml json html plain problem charset utf-8 utf-16 us-ascii iso-8859-1 \
    Microsoft-HTTPAPI 2.0 Kestrel Basic Negotiate NTLM Bearer realm RestSvc Path api HttpOnly Secure SameSite Lax \
    Strict None gzip deflate br identity chunked close keep-alive timeout private public no-cache no-store \
    must-revalidate max-age includeSubDomains Accept Accept-Encoding nosniff SAMEORIGIN DENY mode block GET POST PUT \
    DELETE HEAD X-RestSvcSessionId";

/// What a value may keep.
#[derive(Clone, Copy)]
enum Keeps {
    /// All of it, if it is one of these words.
    One(&'static str),
    /// Each of these words in it.
    Words(&'static str),
    /// All of it, if it is the type of a link.
    Type,
    /// All of it, if it is a number of up to seven digits.
    Number,
    /// All of it, if it is a time.
    Time,
    /// A time behind the last `@`, or the version of the API.
    Name,
    /// `localhost`, usual ports, page numbers and known words.
    Url,
    /// The kind of token.
    Token,
}

/// What values keep, by the elements, attributes, JSON keys or headers that they belong to.
#[rustfmt::skip]
const VALUES: &[(&str, Keeps)] = &[
    ("State", Keeps::One(
        "Starting Working Pausing Resuming Stopping Stopped Idle Postprocessing Pending WaitingRepository WaitingSlot \
         WaitingTape ActionRequired InProgress Completed",
    )),
    ("Result", Keeps::One("None Success Warning Failed")),
    ("JobType", Keeps::One("Replica CdpReplica CloudReplica ReplicaV2 Backup BackupCopy FailoverPlan")),
    ("IsRetry nil", Keeps::One("true false 1 0")),
    ("Rel", Keeps::One("Up Down Alternate Related Create Delete Start Stop First Next Previous Prev Last")),
    ("version", Keeps::One("1.0 1.1")),
    ("encoding", Keeps::One("utf-8 utf-16 us-ascii iso-8859-1")),
    ("xmlns xsd xsi", Keeps::One(
        "http://www.veeam.com/ent/v1.0 http://www.w3.org/2001/XMLSchema http://www.w3.org/2001/XMLSchema-instance \
         http://schemas.microsoft.com/ws/2005/05/envelope/none",
    )),
    ("Type", Keeps::Type),
    ("PageNum PageSize PagesCount Progress StatusCode Content-Length Retry-After", Keeps::Number),
    ("CreationTimeUTC EndTimeUTC", Keeps::Time),
    ("Name", Keeps::Name),
    ("Href Location", Keeps::Url),
    ("UID JobUid JobSessionUid VmUid", Keeps::Words(
        "urn veeam BackupServer Job ReplicaJobSession ReplicaTaskSession Vm",
    )),
    // The gateway recognises an unknown id by these.
    ("Message", Keeps::Words("There is no with id")),
    ("X-RestSvcSessionId", Keeps::Token),
    ("Allow Cache-Control Connection Content-Encoding Content-Type Date ETag Expires Keep-Alive Last-Modified Pragma \
      Server Set-Cookie Strict-Transport-Security Transfer-Encoding Vary WWW-Authenticate X-Content-Type-Options \
      X-Frame-Options X-XSS-Protection", Keeps::Words(HEADER_WORDS)),
];

/// Replaces everything by its shape. One redactor numbers the GUIDs of all that it is given.
#[derive(Debug, Default)]
pub struct Redactor {
    numbers: HashMap<Uuid, usize>,
    /// Whether a backslash begins an escape.
    is_json: bool,
    /// Whether a percent sign does.
    is_url: bool,
}

impl Redactor {
    /// A header as `name: value`.
    pub fn header(&mut self, name: &str, value: &[u8]) -> String {
        self.is_json = false;
        let value = self.value(name, &String::from_utf8_lossy(value));
        match keeps(name) {
            Some(_) => format!("{name}: {value}"),
            None => format!("{}: {value}", self.shape(name)),
        }
    }

    /// A body: XML, HTML, JSON or any other text.
    ///
    /// # Errors
    ///
    /// What it looks like, if it is not a text in UTF-8.
    pub fn body(&mut self, body: &[u8]) -> Result<String, &'static str> {
        let text = match (body, str::from_utf8(body)) {
            ([0xff, 0xfe, ..], _) => return Err("UTF-16, little-endian"),
            ([0xfe, 0xff, ..], _) => return Err("UTF-16, big-endian"),
            ([0x1f, 0x8b, ..], _) => return Err("gzip"),
            (_, Err(_)) => return Err("not UTF-8"),
            // As in UTF-16 without a mark, whose bytes look like punctuation to what follows.
            (_, Ok(text)) if text.contains('\0') => return Err("not text"),
            (_, Ok(text)) => text,
        };
        let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        self.is_json = start.starts_with(['{', '[']);
        let mut shape = String::with_capacity(text.len());
        if self.is_json {
            self.json(text, &mut shape);
        } else {
            self.markup(text, &mut shape);
        }
        Ok(shape)
    }

    /// XML or HTML, well-formed or not.
    fn markup(&mut self, text: &str, shape: &mut String) {
        let mut element = "";
        let mut rest = text;
        while let Some(start) = rest.find('<') {
            *shape += &self.value(element, &rest[..start]);
            rest = &rest[start..];
            let name = rest[1..].split(|c: char| c.is_whitespace() || "/>".contains(c));
            element = name.flat_map(|name| name.rsplit(':')).next().unwrap_or_default();
            rest = self.tag(rest, shape);
        }
        *shape += &self.value(element, rest);
    }

    /// The tag, declaration or comment that the text begins with. Returns what follows it.
    fn tag<'t>(&mut self, text: &'t str, shape: &mut String) -> &'t str {
        let mut name = "";
        let mut rest = text;
        loop {
            let end = rest.find(['"', '\'', '>']).unwrap_or(rest.len());
            *shape += &self.shape_but(&rest[..end], |word| {
                name = word;
                is_name(word)
            });
            let Some(delimiter) = rest[end..].chars().next() else {
                return "";
            };
            shape.push(delimiter);
            rest = &rest[end + 1..];
            if delimiter == '>' {
                return rest;
            }
            let end = rest.find(delimiter).unwrap_or(rest.len());
            *shape += &self.value(name, &rest[..end]);
            if end < rest.len() {
                shape.push(delimiter);
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }

    /// JSON, well-formed or not.
    fn json(&mut self, text: &str, shape: &mut String) {
        let mut key = "";
        let mut rest = text;
        loop {
            let (outside, quoted) = rest.split_at(rest.find('"').unwrap_or(rest.len()));
            let is_number = matches!(keeps(key), Some(Keeps::Number));
            *shape += &self.shape_but(outside, |word| {
                is_listed(word, "true false null") || is_number && is_small_number(word)
            });
            if quoted.is_empty() {
                return;
            }
            shape.push('"');
            let mut is_escaped = false;
            let end = quoted[1..].find(|c| {
                let ends = c == '"' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                ends
            });
            let (inside, behind) = quoted[1..].split_at(end.unwrap_or(quoted.len() - 1));
            rest = behind.get(1..).unwrap_or_default();
            if rest.trim_start().starts_with(':') {
                key = inside;
                *shape += &self.shape_but(key, is_name);
            } else {
                *shape += &self.value(key, inside);
            }
            *shape += &behind[..behind.len() - rest.len()];
        }
    }

    /// What the element, attribute, key or header of this name says.
    fn value(&mut self, name: &str, text: &str) -> String {
        let word = text.trim();
        let is_kept = match keeps(name) {
            Some(Keeps::One(words)) => is_listed(word, words),
            Some(Keeps::Type) => is_type(word),
            Some(Keeps::Number) => is_small_number(word),
            Some(Keeps::Time) => is_time(word),
            Some(Keeps::Name) => match text.rsplit_once('@') {
                Some((name, time)) if is_time(time) => {
                    return format!("{}@{time}", self.shape(name));
                }
                _ => is_listed(word, "v1 v1_1 v1_2 v1_3 v1_4 v1_5 v1_6 v1_7 v1_8 v1_9"),
            },
            Some(Keeps::Words(words)) => {
                return self.shape_but(text, |word| is_listed(word, words));
            }
            Some(Keeps::Url) => return self.url(text),
            Some(Keeps::Token) => return self.token(text),
            None => false,
        };
        if is_kept { text.to_owned() } else { self.shape(text) }
    }

    fn url(&mut self, url: &str) -> String {
        let host = url.find("//").map_or(0, |slashes| slashes + 2);
        let path = url[host..].find(['/', '?']).unwrap_or(url.len() - host);
        let (origin, path) = url.split_at(if host == 0 { 0 } else { host + path });
        let origin =
            self.shape_but(origin, |word| is_listed(word, "http https localhost 443 9398 9399"));
        let mut last = "";
        self.is_url = true;
        let path = self.shape_but(path, |word| {
            let is_page = is_listed(last, "page pageSize") && is_small_number(word);
            last = word;
            is_page || is_listed(word, URL_WORDS)
        });
        self.is_url = false;
        origin + &path
    }

    /// A token: the base64 of a GUID, as text or bytes, stays that of the same GUID's number.
    fn token(&mut self, token: &str) -> String {
        let bytes = BASE64_STANDARD.decode(token).unwrap_or_default();
        if let Ok(bytes) = bytes.as_slice().try_into() {
            let numbered = self.numbered(Uuid::from_bytes_le(bytes));
            return BASE64_STANDARD.encode(numbered.to_bytes_le());
        }
        match str::from_utf8(&bytes) {
            Ok(text) if text.len() == GUID && guid_at(text).is_some() => {
                BASE64_STANDARD.encode(self.shape(text))
            }
            _ => self.shape(token),
        }
    }

    fn shape(&mut self, text: &str) -> String {
        self.shape_but(text, |_| false)
    }

    /// The shape of a text but for the words that are kept.
    fn shape_but<'t>(&mut self, text: &'t str, mut is_kept: impl FnMut(&'t str) -> bool) -> String {
        let mut shape = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let is_of_word = |c: char| c.is_alphanumeric() || "-_.".contains(c);
            let mut length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            if let Some(guid) = guid_at(rest) {
                length = GUID;
                let numbered = self.numbered(guid).to_string();
                let is_upper = rest[..GUID].contains(|c: char| c.is_ascii_uppercase());
                shape += &if is_upper { numbered.to_uppercase() } else { numbered };
            } else if length > 0 {
                let word = &rest[..length];
                if is_kept(word) {
                    shape += word;
                } else {
                    shape.extend(word.chars().map(kind));
                }
            } else if let Some((escape, replaced)) = self.escape(rest) {
                length = escape;
                shape += &replaced;
            } else {
                length = first.len_utf8();
                shape.push(kind(first));
            }
            rest = &rest[length..];
        }
        shape
    }

    /// The length of the escaped character that this text begins with, and what is written for it: itself
    /// if it stands for punctuation, a blank or a control character, else an escaped `X`.
    fn escape(&self, text: &str) -> Option<(usize, String)> {
        let simple = ["&amp;", "&lt;", "&gt;", "&quot;", "&apos;"];
        if let Some(escape) = simple.into_iter().find(|escape| text.starts_with(escape)) {
            return Some((escape.len(), escape.to_owned()));
        }
        let (begin, radix, digits, x, end) = match text.as_bytes() {
            [b'&', b'#', b'x', ..] => ("&#x", 16, text[3..].split_once(';')?.0, "58", ";"),
            [b'&', b'#', ..] => ("&#", 10, text[2..].split_once(';')?.0, "88", ";"),
            [b'%', ..] if self.is_url => ("%", 16, text.get(1..3)?, "58", ""),
            [b'\\', b'u', ..] if self.is_json => ("\\u", 16, text.get(2..6)?, "0058", ""),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] if self.is_json => {
                return Some((2, text[..2].to_owned()));
            }
            _ => return None,
        };
        let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = u32::from_str_radix(digits, radix).ok().filter(|_| is_number)?;
        let is_kept = match u8::try_from(code) {
            Ok(byte) => byte.is_ascii() && !byte.is_ascii_alphanumeric(),
            Err(_) => matches!(code, 0xfffe | 0xffff),
        };
        let length = begin.len() + digits.len() + end.len();
        let digits = if is_kept { digits } else { x };
        Some((length, format!("{begin}{digits}{end}")))
    }

    /// A GUID that says only which one of the report's it is.
    fn numbered(&mut self, guid: Uuid) -> Uuid {
        const FIRST: u128 = 0xaaaa_aaaa_aaaa_4aaa_8aaa_0000_0000_0000;
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry(guid).or_insert(next);
        Uuid::from_u128(FIRST + number as u128)
    }
}

/// Characters in a GUID.
const GUID: usize = 36;

/// The GUID that this text begins with.
fn guid_at(text: &str) -> Option<Uuid> {
    let ends = !text.get(GUID..)?.starts_with(char::is_alphanumeric);
    Uuid::try_parse(text.get(..GUID).filter(|_| ends)?).ok()
}

/// One character for all of a kind, as long in UTF-8.
fn kind(c: char) -> char {
    match c {
        'A'..='Z' => 'X',
        'a'..='z' => 'x',
        '0'..='9' => '9',
        _ if c.is_ascii() || c.is_whitespace() || c == '\u{feff}' => c,
        _ => ['é', '漢', '😀'][c.len_utf8() - 2],
    }
}

/// What values of this name keep.
fn keeps(name: &str) -> Option<Keeps> {
    let mut values = VALUES.iter();
    let (_, keeps) = values.find(|(names, _)| is_listed(name, names))?;
    Some(*keeps)
}

/// Whether a word is in a list, whatever its letter case.
fn is_listed(word: &str, list: &str) -> bool {
    let mut words = list.split_ascii_whitespace();
    words.any(|known| known.eq_ignore_ascii_case(word))
}

fn is_name(word: &str) -> bool {
    is_listed(word, NAMES) || is_type(word)
}

/// Whether this is the type of a thing or link.
fn is_type(word: &str) -> bool {
    let kind = word.strip_suffix("List").unwrap_or(word);
    is_listed(kind.strip_suffix("Reference").unwrap_or(kind), KINDS)
}

fn is_small_number(word: &str) -> bool {
    (1..=7).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether this is a time, and nothing that anything else could hide in.
fn is_time(word: &str) -> bool {
    let is_of_time = |c: char| c.is_ascii_digit() || "TZ:.+- ".contains(c);
    word.len() <= 40
        && word.contains(':')
        && word.chars().all(is_of_time)
        && parse_time(&word.replace(' ', "T")).is_some()
}
