//! `em-certificate`: shows the certificate that an Enterprise Manager presents.

use std::time::Duration;

use clap::Args;
use tokio::time::timeout;
use url::Url;

use super::{CommandError, ExitCode, print};
use crate::{
    enterprise_manager::{PresentedCertificate, presented_certificate},
    runtime::text::line,
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Show the certificate that an Enterprise Manager presents, with its pin
///
/// Makes a TLS handshake, verifies nothing, and sends nothing else. Compare the output with what
/// Enterprise Manager's administrator sees, then trust the certificate with --em-pin-sha256.
///
/// Exit codes: 0 shown, 64 wrong arguments, 69 no certificate within 10 s.
#[derive(Debug, Clone, Args)]
#[expect(clippy::doc_markdown, reason = "these comments are help texts")]
pub struct EmCertificateOptions {
    /// Address of Enterprise Manager, such as https://em.example:9398 or em.example:9398
    #[arg(value_parser = address)]
    pub url: Url,
}

/// Parses an address; without a scheme it is one for TLS, as for other programs that show certificates. The value is
/// left out of the error, since it may hold a password.
fn address(text: &str) -> Result<Url, String> {
    let text = line(text).trim();
    let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    text.parse()
        .map_err(|_| "is not an address; write it as https://HOST:9398 or HOST:9398".to_owned())
}

/// Prints the certificate.
pub(super) async fn run(options: &EmCertificateOptions) -> Result<ExitCode, CommandError> {
    if options.url.as_str().contains('@') {
        let problem = "URL: contains a user name or password; give only scheme, host and port";
        return Err(CommandError::usage(&problem));
    }
    let certificate = timeout(TIMEOUT, presented_certificate(&options.url))
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}")))
        .map_err(|why| {
            let port = match options.url.port() {
                Some(_) => "",
                None => "; without a port this is 443, and Enterprise Manager usually has 9398",
            };
            CommandError::new(ExitCode::UNAVAILABLE, format!("{}: {why}{port}", options.url))
        })?;
    print(&rendered(&certificate));
    Ok(ExitCode::SUCCESS)
}

fn rendered(certificate: &PresentedCertificate) -> String {
    let PresentedCertificate { pin, sha1, subject, issuer, not_before, not_after, names, failure } =
        certificate;
    let self_signed = if subject == issuer { " (self-signed)" } else { "" };
    let names = match names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let advice = match failure {
        Some(failure) => format!("The TLS handshake has failed after it. {failure}"),
        None => format!(
            "If this is your Enterprise Manager's certificate, trust it with\n--em-pin-sha256 {pin}"
        ),
    };
    format!(
        "\
Subject     {subject}
Issuer      {issuer}{self_signed}
Names       {names}
Valid from  {not_before}
Valid to    {not_after}
Pin         {pin}
Thumbprint  {sha1} (SHA-1, as Windows shows it; to compare only)

{advice}
"
    )
}
