//! HTML pages of the programs around Enterprise Manager, which itself never answers HTML: its web UI,
//! the HTTP layer of Windows, and a reverse proxy.

use hyper::StatusCode;

/// The login page that the web UI sends for any path on its own port, with status 200. The title
/// is as recorded.
pub(crate) const WEB_UI_LOGIN: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Veeam Backup Enterprise Manager : Login</title>
</head>
<body>
  <form method="post" action="/login.aspx">
    <input type="text" name="username"><br>
    <input type="password" name="password"><br>
    <button type="submit">Log in</button>
  </form>
</body>
</html>
"#;

/// The standard error page of the HTTP layer of Windows.
pub(crate) fn http_layer(status: StatusCode, explanation: &str) -> String {
    let title = title(status);
    let code = status.as_u16();
    [
        r#"<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">"#,
        &format!("<HTML><HEAD><TITLE>{title}</TITLE>"),
        r#"<META HTTP-EQUIV="Content-Type" Content="text/html; charset=us-ascii"></HEAD>"#,
        &format!("<BODY><h2>{title}</h2>"),
        &format!("<hr><p>HTTP Error {code}. {explanation}</p>"),
        "</BODY></HTML>",
        "",
    ]
    .join("\r\n")
}

/// The error page of a reverse proxy that got no valid response.
pub(crate) fn proxy(status: StatusCode) -> String {
    let title = format!("{} {}", status.as_u16(), title(status));
    format!(
        "<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n\
         <hr><center>proxy</center>\n</body>\n</html>\n"
    )
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}
