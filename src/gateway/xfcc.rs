//! Parses `x-forwarded-client-cert`, in which Envoy and Istio tell who has called them.
//!
//! Each proxy on the way appends an element, after a comma. An element is a list of `key=value`,
//! separated by semicolons. A value may be in double quotes, in which a backslash takes the meaning of
//! the next character. Keys are not case-sensitive. Only `URI` and `DNS` matter here: the alternative
//! names in the certificate of whom the proxy got the request from.
//!
//! Whatever does not follow this is refused as a whole, and not only where it is wrong: proxies that
//! append to what a caller has sent let the caller decide what stands before. With a quotation mark
//! that does not end, a parser that forgives would take the proxy's own element for part of a value.
//!
//! The crate `xfcc-parser` refuses `=` in a value without quotes, which Envoy sends for a URI with a
//! query, takes keys in one letter case only, and has not changed since 2023.

/// Maximum length of a name in bytes, which is that of a SPIFFE id.
const MAX_NAME: usize = 2048;

/// The names of one client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ClientNames {
    pub(super) uris: Vec<String>,
    pub(super) dns: Vec<String>,
}

/// Why a header cannot be read, worded to follow its name.
pub(super) type Unreadable = &'static str;

/// The client in the last element of the header, which may have several lines.
///
/// # Errors
///
/// A line, even one before the last, does not follow the grammar, or the element has no name.
pub(super) fn last_client<'h>(
    lines: impl IntoIterator<Item = &'h [u8]>,
) -> Result<ClientNames, Unreadable> {
    let mut last = None;
    for line in lines {
        let mut rest = line;
        loop {
            let (element, end, after) = element(rest)?;
            (last, rest) = (Some(element), after);
            if end == End::Line {
                break;
            }
        }
    }
    let names = last.ok_or("is empty")?;
    if names.uris.is_empty() && names.dns.is_empty() {
        return Err("has neither a URI nor a DNS name in its last element");
    }
    Ok(names)
}

/// What comes after a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Pair,
    Element,
    Line,
}

/// The element at the beginning, how it ends, and what follows.
fn element(line: &[u8]) -> Result<(ClientNames, End, &[u8]), Unreadable> {
    let mut names = ClientNames::default();
    let mut seen = Vec::new();
    let mut rest = line.trim_ascii_start();
    loop {
        let equals = rest.iter().position(|byte| b"=,;\"".contains(byte));
        let Some((key, after)) = equals.filter(|at| rest[*at] == b'=').map(|at| rest.split_at(at))
        else {
            return Err("has an element that is not key=value");
        };
        let key = key.to_ascii_lowercase();
        if key.is_empty() || !key.iter().all(u8::is_ascii_alphanumeric) {
            return Err("has an element that is not key=value");
        }
        let (value, end, after) = value(&after[1..])?;
        match &key[..] {
            b"uri" => names.uris.extend(name(&value)?),
            b"dns" => names.dns.extend(name(&value)?),
            b"by" => {}
            _ if seen.contains(&key) => return Err("has an element with a key twice"),
            _ => seen.push(key),
        }
        rest = after;
        if end != End::Pair {
            return Ok((names, end, rest));
        }
    }
}

/// The value at the beginning, what ends it, and what follows.
fn value(text: &[u8]) -> Result<(Vec<u8>, End, &[u8]), Unreadable> {
    let (value, rest) = if let Some(text) = text.strip_prefix(b"\"") {
        quoted(text)?
    } else {
        let length = text.iter().position(|byte| b",;\"".contains(byte));
        let (value, rest) = text.split_at(length.unwrap_or(text.len()));
        (value.trim_ascii_end().to_vec(), rest)
    };
    let rest = rest.trim_ascii_start();
    let end = match rest.first() {
        None => return Ok((value, End::Line, rest)),
        Some(b';') => End::Pair,
        Some(b',') => End::Element,
        Some(_) => return Err("has a quotation mark inside a value"),
    };
    Ok((value, end, &rest[1..]))
}

/// The text up to the closing quotation mark, and what follows it.
fn quoted(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Unreadable> {
    let mut value = Vec::new();
    let mut bytes = text.iter();
    loop {
        match bytes.next() {
            Some(b'"') => return Ok((value, bytes.as_slice())),
            Some(b'\\') => value.extend(bytes.next()),
            Some(byte) => value.push(*byte),
            None => return Err("has a quotation mark that does not end"),
        }
    }
}

/// A name; none if it is empty: Envoy sends `URI=` for a certificate without one.
fn name(value: &[u8]) -> Result<Option<String>, Unreadable> {
    if value.len() > MAX_NAME {
        return Err("has a name of more than 2048 bytes");
    }
    if !value.iter().all(u8::is_ascii_graphic) {
        return Err("has a name with blanks or characters outside ASCII");
    }
    Ok(Some(String::from_utf8_lossy(value).into_owned()).filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn parse(header: &str) -> Result<ClientNames, Unreadable> {
        last_client([header.as_bytes()])
    }

    fn names(uris: &[&str], dns: &[&str]) -> ClientNames {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ClientNames { uris: owned(uris), dns: owned(dns) }
    }

    #[test]
    fn the_last_element_tells_who_calls() {
        const CALLER: &str = "spiffe://mesh/ns/reports/sa/nightly";
        for (header, uris, dns) in [
            // As Envoy writes it, and Istio.
            (
                &format!("By=spiffe://mesh/gw;Hash=0a1b;URI={CALLER};DNS=a.example"),
                &[CALLER][..],
                &["a.example"][..],
            ),
            (&format!("By=spiffe://mesh/gw;Hash=0a;Subject=\"\";URI={CALLER}"), &[CALLER], &[]),
            // Several proxies, with and without blanks, and keys in any case.
            (&format!("URI=spiffe://mesh/admin,By=spiffe://mesh/gw;URI={CALLER}"), &[CALLER], &[]),
            (&format!("URI=spiffe://mesh/admin , hash=1;uri={CALLER}"), &[CALLER], &[]),
            // Separators, escapes and keys inside quotes.
            (&format!("Subject=\"CN=a\\\\,b;URI=x,\\\"\";URI={CALLER}"), &[CALLER], &[]),
            (
                &"By=a;By=b;URI=urn:a;URI=\"urn:b;c,d\";DNS=a;DNS=\"b\"".to_owned(),
                &["urn:a", "urn:b;c,d"],
                &["a", "b"],
            ),
            (
                &"Cert=\"-----BEGIN%20\";Chain=\"x\";URI=;DNS=a.example;Later=1".to_owned(),
                &[],
                &["a.example"],
            ),
            (&"URI=https://a.example/x?a=b".to_owned(), &["https://a.example/x?a=b"], &[]),
        ] {
            assert_eq!(parse(header), Ok(names(uris, dns)), "{header}");
        }
        let lines: [&[u8]; 2] = [b"URI=urn:a,URI=urn:b", b"URI=urn:c"];
        assert_eq!(last_client(lines), Ok(names(&["urn:c"], &[])));
    }

    #[test]
    fn what_is_not_well_formed_names_nobody() {
        let long = format!("URI=urn:{}", "a".repeat(MAX_NAME));
        for header in [
            "",
            " ",
            ",",
            "URI=urn:a,",
            ",URI=urn:a",
            "URI=urn:a,,URI=urn:b",
            "URI=urn:a;",
            ";URI=urn:a",
            "URI",
            "=urn:a",
            "URI urn:a",
            "U\"R\"I=urn:a",
            " =urn:a",
            "URI =urn:a",
            "URI=urn:a; DNS=b",
            // Quotation marks that do not end, or are inside.
            "URI=\"urn:a",
            "URI=\"urn:a\\\"",
            "By=\",URI=urn:a",
            "URI=\"urn:a\"b",
            "URI=urn:\"a\"",
            "By=\"\"\"\";URI=urn:a",
            // Two values of a key that has one.
            "Hash=1;Hash=1;URI=urn:a",
            "Subject=\"a\";subject=\"b\";URI=urn:a",
            // No name, and names that are none.
            "By=spiffe://mesh/gw;Hash=1",
            "URI=;DNS=",
            "URI=urn:a b",
            "URI=urn:\u{e4}",
            "DNS=\"a\tb\"",
            &long,
        ] {
            assert!(parse(header).is_err(), "{header}: {:?}", parse(header));
        }
        let lines: [&[u8]; 2] = [b"By=\"", b"\";URI=urn:a"];
        assert!(last_client(lines).is_err(), "quotation marks do not span lines");
        assert!(last_client([]).is_err());
    }

    fn pair() -> impl Strategy<Value = (String, String, bool)> {
        let keys = vec!["By", "URI", "uri", "DNS", "Dns", "Unknown1"];
        // `!` to `~`, without letters that would hide the separators.
        (select(keys).prop_map(str::to_owned), "[!-/:-@a-c\\[-`]{0,12}", any::<bool>())
    }

    fn written(key: &str, value: &str, is_quoted: bool) -> String {
        if is_quoted || value.contains([',', ';', '"']) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{key}=\"{escaped}\"")
        } else {
            format!("{key}={value}")
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(elements in prop::collection::vec(prop::collection::vec(pair(), 1..5), 1..4)) {
            let mut elements = elements;
            for element in &mut elements {
                let mut is_first = true;
                // A key that has one value.
                element.retain(|(key, ..)| key != "Unknown1" || std::mem::take(&mut is_first));
            }
            prop_assume!(elements.iter().all(|element| !element.is_empty()));
            let header = elements.iter().map(|element| {
                let pairs = element.iter().map(|(key, value, is_quoted)| written(key, value, *is_quoted));
                pairs.collect::<Vec<_>>().join(";")
            });
            let header = header.collect::<Vec<_>>().join(",");
            let of = |wanted: &str| {
                let last = elements.last().unwrap().iter();
                let values = last.filter(|(key, value, _)| key.eq_ignore_ascii_case(wanted) && !value.is_empty());
                values.map(|(_, value, _)| value.clone()).collect::<Vec<_>>()
            };
            let expected = ClientNames { uris: of("uri"), dns: of("dns") };
            if expected == ClientNames::default() {
                prop_assert!(parse(&header).is_err(), "{}", header);
            } else {
                prop_assert_eq!(parse(&header), Ok(expected), "{}", header);
            }
        }

        /// A proxy that appends lets the caller choose what stands before.
        #[test]
        fn nothing_before_the_proxys_element_changes_what_it_tells(
            before in "[\",;=\\\\ URIa:/]{0,24}",
            subject in select(vec!["", "Subject=\"CN=a\\\\,\\\"b\";", "Subject=\"\";"]),
        ) {
            let header = format!("{before},By=spiffe://gw;Hash=00;{subject}URI=urn:caller");
            if let Ok(told) = parse(&header) {
                prop_assert_eq!(told, names(&["urn:caller"], &[]), "{}", header);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(header: Vec<u8>) {
            drop(last_client([&header[..]]));
        }
    }
}
