//! Pins: fingerprints of certificates to trust, whoever issued them.

use std::{fmt, str::FromStr};

use crate::runtime::text;

/// SHA-256 of a whole certificate in DER form, as `openssl x509 -fingerprint -sha256` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// The pin of a certificate in DER form.
    pub fn of(certificate: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// Parses pins, one per line; a `#` starts a comment.
///
/// # Errors
///
/// Which line is not a pin, worded to follow the file's name.
pub(crate) fn parse_pins(content: &[u8]) -> Result<Vec<Pin>, String> {
    let text = text::line(text::decode(content)?);
    if text.contains("-----BEGIN ") {
        return Err("is a PEM file, not a list of pins: em-certificate shows a certificate's pin"
            .to_owned());
    }
    (1..)
        .zip(text.lines())
        .map(|(number, line)| (number, line.split('#').next().unwrap_or_default().trim()))
        .filter(|(_, pin)| !pin.is_empty())
        .map(|(number, pin)| {
            pin.parse().map_err(|why: String| format!("has an invalid line {number}: {why}"))
        })
        .collect()
}

impl FromStr for Pin {
    type Err = String;

    /// Accepts 64 hexadecimal digits, in any letter case, with or without colons.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut pin = [0; 32];
        hex::decode_to_slice(text.replace(':', ""), &mut pin).map_err(|_| {
            // The value is left out: it may be a line of a file with a key.
            let is_odd = |c: char| c != ':' && !c.is_ascii_hexdigit();
            let found =
                match (text.chars().find(|c| text::is_unseen(*c)), text.chars().position(is_odd)) {
                    (Some(c), _) => format!("this one has {}", text::name(c)),
                    (None, Some(at)) if text.chars().filter(|c| *c != ':').count() == 64 => {
                        format!("character {} of this one is none", at + 1)
                    }
                    (None, _) => format!("this one has {} characters", text.chars().count()),
                };
            format!("a pin is a SHA-256 of 64 hexadecimal digits; {found}")
        })?;
        Ok(Self(pin))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_pins_may_have_comments_and_blank_lines() {
        let (first, second) = (Pin::of(b"first"), Pin::of(b"second"));
        let text = format!("# EM's own\n\n{first}\n  {second} # the next one\r\n");
        assert_eq!(parse_pins(text.as_bytes()), Ok(vec![first, second]));
        assert_eq!(parse_pins(b"# none\n"), Ok(vec![]));
        assert!(parse_pins(b"\nabc").unwrap_err().contains("line 2"));
    }

    #[test]
    fn a_pin_is_read_in_the_forms_that_tools_print() {
        let pin = Pin::of(b"certificate");
        let plain = pin.to_string();
        let pairs: Vec<_> = plain.as_bytes().chunks(2).map(String::from_utf8_lossy).collect();
        assert_eq!(plain.parse(), Ok(pin));
        assert_eq!(pairs.join(":").to_uppercase().parse(), Ok(pin));
        for wrong in ["", "ab", &plain[1..], &format!("g{}", &plain[1..])] {
            assert!(wrong.parse::<Pin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_character_of_a_pin_that_is_no_digit_is_named_by_its_place() {
        let refusal = |text: &str| text.parse::<Pin>().unwrap_err();
        let told = refusal(&format!("0123:ghij{}", "0".repeat(56)));
        assert!(told.ends_with("; character 6 of this one is none"), "{told}");
        let told = refusal(&"z".repeat(63));
        assert!(told.ends_with("; this one has 63 characters"), "{told}");
    }
}
