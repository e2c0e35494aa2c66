//! Files that hold a private key and are broken in every way that tools and people are known to break them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rcgen::{CertifiedKey, KeyPair};

/// A private key with its certificate.
pub struct Secret {
    #[allow(dead_code, reason = "not every test program uses it")]
    pub key: String,
    #[allow(dead_code, reason = "not every test program uses it")]
    pub certificate: String,
    /// The forms in which parts of the key could be printed.
    needles: Vec<String>,
}

impl Secret {
    pub fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let base64 = BASE64_STANDARD.encode(signing_key.serialize_der());
        let key = signing_key.serialize_pem();
        let needles = needles(&signing_key, &base64);
        let secret = Self { key, certificate: cert.pem(), needles };
        let (pem, der) = (secret.key.as_bytes(), signing_key.serialize_der());
        for printed in
            [format!("{pem:?}"), format!("{der:?}"), secret.key.clone(), hex::encode(der)]
        {
            assert!(
                secret.is_in(&printed[10..printed.len() - 10]),
                "it would not be found: {printed}"
            );
        }
        secret
    }

    /// Whether a part of the key is in the text.
    pub fn is_in(&self, text: &str) -> bool {
        let text = text.replace("\\n", "").replace(['\n', '\\'], "");
        self.needles.iter().any(|needle| text.contains(needle))
    }

    /// Fails if a part of the key is in the text: in base64 or in hexadecimal, as it is or as `Debug` prints bytes.
    pub fn assert_not_in(&self, text: &str, what: &str) {
        assert!(!self.is_in(text), "{what}: {text}");
    }

    /// The key and its certificate, broken: each with the name of what is wrong.
    pub fn broken(&self) -> Vec<(&'static str, Vec<u8>)> {
        let both = format!("{}{}", self.key, self.certificate);
        let body: String = self.key.lines().filter(|line| !line.starts_with('-')).collect();
        let der = BASE64_STANDARD.decode(&body).unwrap();
        let end = "-----END PRIVATE KEY-----";
        let utf16 = |to_bytes: fn(u16) -> [u8; 2]| both.encode_utf16().flat_map(to_bytes).collect();
        let text = |text: String| text.into_bytes();
        let labelled = |label: &str| text(self.key.replace("PRIVATE KEY", label));
        vec![
            ("line ends are \\n", text(both.replace('\n', "\\n"))),
            ("line ends are \\r\\n", text(both.replace('\n', "\\r\\n"))),
            ("line ends are blanks", text(both.replace('\n', " "))),
            ("line ends are lost", text(both.replace('\n', ""))),
            ("some line ends are lost", text(both.replace("\n-----END", "-----END"))),
            ("line ends are commas", text(both.replace('\n', ","))),
            ("in quotes", text(format!("\"{both}\""))),
            ("indented", text(both.replace("-----BEGIN", "  -----BEGIN"))),
            ("all indented", text(format!("  {}", both.replace('\n', "\n  ")))),
            ("in JSON", text(format!("{{\"key\":{}}}", serde_json::json!(both)))),
            ("in YAML", text(format!("key: {}", serde_json::json!(both)))),
            ("in base64", text(BASE64_STANDARD.encode(&both))),
            ("only base64", text(body.clone())),
            ("in DER", der.clone()),
            ("in hexadecimal", text(hex::encode(&der))),
            ("in UTF-16", [&b"\xff\xfe"[..], Vec::as_slice(&utf16(u16::to_le_bytes))].concat()),
            ("in UTF-16 without a mark", utf16(u16::to_le_bytes)),
            ("in big-endian UTF-16", utf16(u16::to_be_bytes)),
            ("without its end", text(self.key.replace(end, ""))),
            ("without its end, before another", text(both.replace(end, ""))),
            ("cut off", text(self.key[..100].to_owned())),
            ("without its beginning", text(both.replace("-----BEGIN PRIVATE KEY-----", ""))),
            (
                "with text after its beginning",
                text(both.replace("KEY-----\n", &format!("KEY----- {body}\n"))),
            ),
            ("with four dashes", text(both.replace("-----", "----"))),
            ("with four dashes at the end of a line", text(both.replace("KEY-----", "KEY----"))),
            ("with typographic dashes", text(both.replace("-----", "—————"))),
            ("with another name at the end", text(both.replace(end, "-----END CERTIFICATE-----"))),
            ("damaged", text(both.replace(&body[40..42], "*&"))),
            ("short of a character", text(both.replacen(&body[40..42], "", 1))),
            ("in a certificate's place", labelled("CERTIFICATE")),
            ("as PKCS #1", labelled("RSA PRIVATE KEY")),
            ("as SEC1", labelled("EC PRIVATE KEY")),
            ("encrypted", labelled("ENCRYPTED PRIVATE KEY")),
            ("of OpenSSH", labelled("OPENSSH PRIVATE KEY")),
            ("named by itself", labelled(&body)),
            ("as a public key", labelled("PUBLIC KEY")),
            ("in place of a certificate", text(self.key.clone())),
            (
                "before a certificate that is damaged",
                text(both.replace("-----END CERT", "*\n-----END CERT")),
            ),
            ("with a NUL at the end", text(format!("{}\0", self.key))),
            (
                "with a byte order mark, and line ends that are \\n",
                text(format!("\u{feff}{}", both.replace('\n', "\\n"))),
            ),
            ("with a no-break space before it", text(format!("\u{a0}{both}"))),
            ("with text after it", text(format!("{}{body}", self.key))),
            ("on a line with a comment", text(format!("# {}", self.key))),
            ("not in UTF-8", [both.as_bytes(), &[0xff, 0xfe], &der].concat()),
        ]
    }
}

/// Windows of the private part of a key on P-256, of which one is in all that is long enough to matter.
fn needles(key: &KeyPair, base64: &str) -> Vec<String> {
    let der = key.serialize_der();
    let listed = |bytes: &[u8]| format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
    let mut needles = Vec::new();
    for window in base64.as_bytes()[48..90].windows(12) {
        needles.push(String::from_utf8(window.to_vec()).unwrap());
        needles.extend([listed(window), hex::encode(window), BASE64_STANDARD.encode(window)]);
    }
    for window in der[36..68].windows(6) {
        needles.extend([listed(window), hex::encode(window), hex::encode_upper(window)]);
    }
    needles
}
