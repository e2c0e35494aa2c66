//! Certificates and private keys from PEM files, and what is wrong with a file that has none.
//!
//! The errors of the PEM library quote its input, which may be a private key, so none of them is passed on. The file
//! is divided into sections here, so that a mistake can be named by its line, and the library decodes each.

use memchr::memmem::find;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error, PemObject},
};

use super::text::{is_quote, is_unseen, is_utf16, name};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// From its first line to its last.
struct Section<'p> {
    /// The number of its first line.
    line: usize,
    label: &'p [u8],
    text: &'p [u8],
}

/// The certificates in a PEM file; other sections of the file are ignored.
///
/// # Errors
///
/// Why there is none, worded to follow the file's name.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let sections = sections(pem)?;
    let certificates: Vec<_> = sections.iter().filter_map(decoded).collect::<Result<_, _>>()?;
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    Err(match sections.first() {
        None => foreign(pem, "certificate"),
        Some(_) if sections.iter().any(Section::is_private_key) => {
            "contains a private key and no certificate: are two files swapped?".to_owned()
        }
        Some(_) => "contains no certificate, but something else in PEM form".to_owned(),
    })
}

/// The first private key in a PEM file; other sections of the file are ignored.
///
/// # Errors
///
/// Why there is none, worded to follow the file's name.
pub(crate) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let sections = sections(pem)?;
    let is_encrypted = |section: &&Section<'_>| find(section.text, b"ENCRYPTED").is_some();
    if let Some(key) = sections.iter().filter(|section| !is_encrypted(section)).find_map(decoded) {
        return key;
    }
    if let Some(Section { line, .. }) = sections.iter().find(is_encrypted) {
        return Err(format!(
            "contains an encrypted private key in line {line}: decrypt it with openssl pkey"
        ));
    }
    Err(match sections.first() {
        None => foreign(pem, "private key"),
        Some(_) if sections.iter().any(Section::is_private_key) => {
            "contains a private key in a form other than PKCS #8, PKCS #1 and SEC1: convert it with openssl pkey \
             or ssh-keygen -p -m PKCS8"
                .to_owned()
        }
        Some(_) if sections.iter().any(|section| section.label == b"CERTIFICATE") => {
            "contains a certificate and no private key: are two files swapped?".to_owned()
        }
        Some(_) => "contains no private key, but something else in PEM form".to_owned(),
    })
}

impl Section<'_> {
    fn is_private_key(&self) -> bool {
        self.label.ends_with(b"PRIVATE KEY")
    }
}

/// What a section holds; `None` if it is of another kind.
fn decoded<T: PemObject>(section: &Section<'_>) -> Option<Result<T, String>> {
    match T::from_pem_slice(section.text) {
        Ok(decoded) => Some(Ok(decoded)),
        Err(Error::NoItemsFound) => None,
        Err(_) => Some(Err(format!(
            "is not PEM: the section that begins in line {} is damaged, since it is not base64",
            section.line
        ))),
    }
}

/// The sections of a PEM file. What stands between them is a comment.
fn sections(pem: &[u8]) -> Result<Vec<Section<'_>>, String> {
    let newline = if pem.contains(&b'\n') { b'\n' } else { b'\r' };
    let mut sections = Vec::new();
    let mut open: Option<(Section<'_>, usize)> = None;
    let mut next = 0;
    for (number, line) in (1..).zip(pem.split(|byte| *byte == newline)) {
        let start = next + mark(line, number)?;
        let end = next + line.len();
        next = end + 1;
        let line = pem[start..end].trim_ascii_end();
        if let Some(rest) = line.strip_prefix(BEGIN) {
            if let Some((section, _)) = open {
                return Err(format!(
                    "is not PEM: the section that begins in line {} does not end before line {number}",
                    section.line
                ));
            }
            let label = label(rest, number)?;
            open = Some((Section { line: number, label, text: &[] }, start));
        } else if let Some(rest) = line.strip_prefix(END) {
            let (section, start) = open.take().ok_or_else(|| {
                format!(
                    "is not PEM: line {number} ends a section, and no line before it begins one"
                )
            })?;
            let behind = rest.strip_prefix(section.label);
            if !behind.is_some_and(|behind| behind.starts_with(DASHES)) {
                return Err(format!(
                    "is not PEM: the section that begins in line {} ends with another name in line {number}",
                    section.line
                ));
            }
            sections.push(Section { text: &pem[start..end], ..section });
        }
    }
    match open {
        None => Ok(sections),
        Some((section, start)) => Err(endless(section.line, &pem[start..])),
    }
}

/// Where the mark of a section stands in a line: 0 if there is none. Only a byte order mark may stand before
/// it, as where files have been joined.
fn mark(line: &[u8], number: usize) -> Result<usize, String> {
    let Some(at) = find(line, BEGIN).or_else(|| find(line, END)) else {
        return Ok(0);
    };
    let before = String::from_utf8_lossy(&line[..at]);
    let mut hiding = before.chars().filter(|c| *c != '\u{feff}');
    match hiding.clone().all(|c| is_unseen(c) || is_quote(c)).then(|| hiding.next()) {
        None => Ok(0),
        Some(None) => Ok(at),
        Some(Some(c)) => {
            Err(format!("is not PEM: {} stands before the dashes of line {number}", name(c)))
        }
    }
}

/// The label of a section, from what follows its mark.
fn label(rest: &[u8], line: usize) -> Result<&[u8], String> {
    match find(rest, DASHES) {
        Some(length) if rest.len() == length + DASHES.len() => Ok(&rest[..length]),
        _ if find(rest, br"\n").is_some() || find(rest, END).is_some() => Err(endless(line, rest)),
        Some(_) => Err(format!("is not PEM: line {line} goes on behind its dashes")),
        None => Err(format!("is not PEM: line {line} does not end with five dashes")),
    }
}

fn endless(line: usize, text: &[u8]) -> String {
    let hint = if find(text, br"\n").is_some() {
        r"are its line ends the two characters \n?"
    } else if find(text, END).is_some() {
        "has it lost its line ends?"
    } else {
        "has it been cut off?"
    };
    format!("is not PEM: a section begins in line {line} and does not end; {hint}")
}

/// What a file without sections is.
fn foreign(content: &[u8], wanted: &str) -> String {
    let text = content.trim_ascii();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(byte);
    let why = match text {
        [] => return "is empty".to_owned(),
        _ if is_utf16(content) => "it is UTF-16: save it as UTF-8",
        [0x30, length, ..] if *length >= 0x80 => {
            "it is binary: convert it from DER, or from PKCS #12, with openssl"
        }
        _ if text.starts_with(b"LS0tLS1CRUdJTi") => {
            "it is the base64 form of a PEM file: decode it"
        }
        _ if text.starts_with(b"MI") && text.iter().all(is_base64) => {
            "it is base64 without the lines BEGIN and END"
        }
        _ => return format!("contains no {wanted} in PEM form"),
    };
    format!("is not PEM: {why}")
}
