//! Options into settings, or one sentence on what is wrong with them.

use std::{fs, path::PathBuf};

use secrecy::SecretSlice;
use url::Url;

use super::{
    CallSettings, EM_PASSWORD_FILE, EM_PIN_FILE, EnterpriseManagerSettings, ListenerSettings,
    Origins, PASSWORD_VARIABLE, PasswordSource, Pin, RELOAD_INTERVAL, ReuseSettings, ServeOptions,
    SettingError, Settings, TraceSettings, Trust, WatchSettings, default_workers,
};

impl ServeOptions {
    /// Checks the options together, and takes the password from the environment when no file
    /// is named.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be used.
    pub fn check(self) -> Result<Settings, SettingError> {
        let url = check_url(self.em_url.as_deref(), self.em_allow_plaintext)?;
        let username = check_username(self.em_username)?;
        let password = check_password(self.em_password_file)?;
        let tls = self.caller_tls.check()?;
        let trust = check_trust(self.em_ca_file, &self.em_pin_sha256, self.em_pin_file)?;
        let page_token_key = check_page_token_key(self.page_token_key_file)?;
        Ok(Settings {
            listen: self.listen,
            admin_listen: self.admin_listen,
            tls,
            listener: ListenerSettings {
                max_connections: self.max_connections,
                max_connection_age: self.max_connection_age,
                // No call lasts longer, so this cuts none.
                connection_grace: self.max_deadline,
                drain_timeout: self.drain_timeout,
                ..ListenerSettings::default()
            },
            calls: CallSettings {
                default_deadline: self.default_deadline,
                max_deadline: self.max_deadline,
                max_in_flight: self.max_in_flight,
                max_watches: self.max_watches,
            },
            watch: WatchSettings {
                interval: self.watch_interval,
                longest_interval: self.watch_interval_max,
                // Pauses may be shorter than a busy EM needs for everybody.
                turn: self.watch_interval_max.max(self.default_deadline),
                patience: self.default_deadline,
                ..WatchSettings::default()
            },
            reuse: ReuseSettings {
                unfinished: self.reuse_unfinished,
                finished: self.reuse_finished,
                capacity: self.reuse_capacity,
            },
            workers: self.workers.unwrap_or_else(default_workers),
            reload_interval: RELOAD_INTERVAL,
            lame_duck: self.lame_duck,
            page_token_key,
            traces: TraceSettings::of_environment()?,
            enterprise_manager: EnterpriseManagerSettings {
                url,
                username,
                password,
                api_version: self.em_api_version,
                concurrency: self.em_concurrency,
                trust,
            },
            origins: Origins::default(),
        })
    }
}

fn check_url(url: Option<&str>, allow_plaintext: bool) -> Result<Url, SettingError> {
    let wrong = |problem: String| SettingError {
        option: "--em-url",
        problem,
    };
    let text = url
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| {
            wrong(
                "is required: the address of Enterprise Manager, such as https://em.example:9398"
                    .into(),
            )
        })?;
    if !text.contains("://") {
        return Err(wrong(format!(
            "has no scheme; did you mean https://{text}?"
        )));
    }
    let mut url: Url = text.parse().map_err(|error| {
        wrong(format!(
            "is not an address such as https://em.example:9398: {error}"
        ))
    })?;
    match url.scheme() {
        "https" => {}
        "http" if allow_plaintext => {}
        "http" => {
            return Err(wrong(
                "is plain http://, over which the password travels readable; use https://, or \
                 --em-allow-plaintext if the network is trusted"
                    .into(),
            ));
        }
        scheme => return Err(wrong(format!("starts with {scheme}:, not with https://"))),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "holds a user name or password; use --em-username and --em-password-file".into(),
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(
            "holds a query or fragment; give only scheme, host, port and path".into(),
        ));
    }
    // People copy the address of the API itself; the gateway adds /api.
    let path = url.path().trim_end_matches('/');
    let prefix = match path
        .len()
        .checked_sub(4)
        .and_then(|at| path.split_at_checked(at))
    {
        Some((prefix, api)) if api.eq_ignore_ascii_case("/api") => prefix,
        _ => path,
    };
    let prefix = prefix.to_owned();
    url.set_path(&format!("{prefix}/"));
    Ok(url)
}

fn check_username(username: Option<String>) -> Result<String, SettingError> {
    let wrong = |problem: &str| SettingError {
        option: "--em-username",
        problem: problem.to_owned(),
    };
    match username.filter(|name| !name.is_empty()) {
        None => Err(wrong(
            "is required: the account to log on with, such as DOMAIN\\user",
        )),
        Some(name) if name.contains(':') => Err(wrong(
            "contains a colon, which Basic authentication cannot carry",
        )),
        Some(name) => Ok(name),
    }
}

fn check_password(file: Option<PathBuf>) -> Result<PasswordSource, SettingError> {
    let wrong = |problem: String| SettingError {
        option: EM_PASSWORD_FILE,
        problem,
    };
    let value = std::env::var_os(PASSWORD_VARIABLE).filter(|value| !value.is_empty());
    let source = match (given(file), value) {
        (Some(_), Some(_)) => {
            return Err(wrong(format!(
                "is given together with {PASSWORD_VARIABLE}; keep one of them"
            )));
        }
        (None, None) => {
            return Err(wrong(format!(
                "is required, unless {PASSWORD_VARIABLE} holds the password"
            )));
        }
        (Some(file), None) => PasswordSource::File(file),
        (None, Some(value)) => match value.into_string() {
            Ok(password) => PasswordSource::Value(password.into()),
            Err(_) => {
                return Err(SettingError {
                    option: PASSWORD_VARIABLE,
                    problem: "is not UTF-8".to_owned(),
                });
            }
        },
    };
    source.read().map_err(wrong)?;
    Ok(source)
}

/// The files are read when the gateway starts.
fn check_trust(
    ca_file: Option<PathBuf>,
    pins: &[String],
    pin_file: Option<PathBuf>,
) -> Result<Trust, SettingError> {
    let wrong = |problem: String| SettingError::new("--em-pin-sha256", problem);
    let pins = pins.iter().filter(|pin| !pin.is_empty());
    let given_pins: Vec<Pin> = pins
        .map(|pin| pin.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    let pin_file = given(pin_file);
    let Some(ca_file) = given(ca_file) else {
        return Ok(if given_pins.is_empty() && pin_file.is_none() {
            Trust::Platform
        } else {
            Trust::Pins {
                given: given_pins,
                file: pin_file,
            }
        });
    };
    let problem = "is given together with --em-ca-file; keep one of them";
    if pin_file.is_some() {
        return Err(SettingError::new(EM_PIN_FILE, problem));
    }
    if !given_pins.is_empty() {
        return Err(wrong(problem.to_owned()));
    }
    Ok(Trust::Authorities(ca_file))
}

fn check_page_token_key(file: Option<PathBuf>) -> Result<Option<SecretSlice<u8>>, SettingError> {
    /// As many as the hash has.
    const SHORTEST: usize = 32;
    let Some(path) = given(file) else {
        return Ok(None);
    };
    let wrong = |problem: String| SettingError {
        option: "--page-token-key-file",
        problem,
    };
    let key = fs::read(&path)
        .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
    if key.len() < SHORTEST {
        let problem = format!("{} has fewer than {SHORTEST} bytes", path.display());
        return Err(wrong(problem));
    }
    Ok(Some(key.into()))
}

/// An empty path, as an unset variable in a deployment file yields it, is none.
pub(super) fn given(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    #[test]
    fn the_defaults_of_options_and_settings_are_the_same() {
        let command = ServeOptions::augment_args(clap::Command::new("serve"));
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        fs::write(&password, "secret").unwrap();
        let password = format!("--em-password-file={}", password.display());
        let arguments = [
            "serve",
            "--em-url=https://em.example",
            "--em-username=u",
            &password,
        ];
        let matches = command.get_matches_from(arguments);
        let options = ServeOptions::from_arg_matches(&matches).unwrap();
        let settings = options.check().unwrap();
        let em = &settings.enterprise_manager;
        let defaults = Settings::new(EnterpriseManagerSettings::new(
            em.url.clone(),
            em.username.clone(),
            em.password.clone(),
        ));

        assert_eq!(settings.listen, defaults.listen);
        assert_eq!(settings.admin_listen, defaults.admin_listen);
        assert_eq!(settings.listener, defaults.listener);
        assert_eq!(settings.calls, defaults.calls);
        assert_eq!(settings.watch, defaults.watch);
        assert_eq!(settings.reuse, defaults.reuse);
        assert_eq!(settings.workers, defaults.workers);
        assert_eq!(settings.reload_interval, defaults.reload_interval);
        assert_eq!(settings.lame_duck, defaults.lame_duck);
        assert_eq!(em.api_version, defaults.enterprise_manager.api_version);
        assert_eq!(em.concurrency, defaults.enterprise_manager.concurrency);
    }
}
