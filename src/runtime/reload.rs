//! Files that change while the gateway runs: certificates, keys, pins, the password.
//!
//! They are looked at every few seconds, by content. So it does not matter how they are replaced:
//! written over, renamed, or by a link to another folder, as Kubernetes does.

use std::{fs::File, io::Read as _, path::PathBuf, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use secrecy::{ExposeSecret as _, SecretBox};
use tokio::{task::spawn_blocking, time::sleep};

use crate::{operations::metrics::Metrics, runtime::certificates::Expiry, settings::SettingError};

/// Largest file that is read, in bytes: enough for every authority there is.
const LARGEST: u64 = 1024 * 1024;

/// What a file holds; it may be a secret.
pub type Content = SecretBox<Vec<u8>>;

/// Files that belong together, such as a certificate and its key.
pub struct Files {
    /// What they are, for the log and the metrics.
    what: &'static str,
    /// The options that name them, and their paths.
    paths: Vec<(&'static str, PathBuf)>,
    /// What was read last and used, or refused.
    known: Digest,
}

/// Files, and what to do when they have changed.
pub struct Watched {
    files: Files,
    seen: Digest,
    apply: Apply,
}

type Apply = Box<dyn FnMut(&[Content]) -> Result<(), SettingError> + Send>;

type Digest = [u8; 32];

impl Files {
    /// Reads the files, which these options name.
    ///
    /// # Errors
    ///
    /// The first file that cannot be read.
    pub fn read(
        what: &'static str,
        paths: Vec<(&'static str, PathBuf)>,
    ) -> Result<(Self, Vec<Content>), SettingError> {
        let contents = read(&paths)?;
        let known = digest(Ok(&contents));
        Ok((Self { what, paths, known }, contents))
    }

    /// What to do with what the files hold, when that changes. If it fails, what was used before
    /// has to stay in use.
    pub fn on_change(
        self,
        apply: impl FnMut(&[Content]) -> Result<(), SettingError> + Send + 'static,
    ) -> Watched {
        Watched {
            seen: self.known,
            files: self,
            apply: Box::new(apply),
        }
    }
}

impl Watched {
    /// Looks at the files, and says what became of a change. A change counts when it is seen for
    /// the second time: until then it may be half written.
    fn look(&mut self) -> Option<Result<(), SettingError>> {
        let contents = read(&self.files.paths);
        let digest = digest(contents.as_deref());
        if digest == self.files.known {
            return None;
        }
        if digest != self.seen {
            self.seen = digest;
            return None;
        }
        // Also when it is refused: it is refused once.
        self.files.known = digest;
        Some(contents.and_then(|contents| (self.apply)(&contents)))
    }
}

/// Looks at all the files again and again, and takes note of when certificates expire. Runs until
/// it is dropped.
pub async fn run(
    mut watched: Vec<Watched>,
    interval: Duration,
    expiries: Vec<(&'static str, Expiry)>,
    metrics: Arc<Metrics>,
) {
    loop {
        for (side, expiry) in &expiries {
            if let Some(seconds) = expiry.get() {
                metrics.certificate_expires(side, seconds);
            }
        }
        sleep(interval).await;
        // A file system can hang; then the files stay as they are, and nothing else does.
        let looked = spawn_blocking(move || {
            let look = |watched: &mut Watched| Some((watched.files.what, watched.look()?));
            let outcomes: Vec<_> = watched.iter_mut().filter_map(look).collect();
            (watched, outcomes)
        });
        let Ok((back, outcomes)) = looked.await else {
            tracing::error!("files are no longer watched; a restart is needed to change them");
            return;
        };
        watched = back;
        for (what, outcome) in outcomes {
            metrics.reloaded(what, outcome.is_ok());
            match outcome {
                Ok(()) => tracing::info!(what, "a change of files is in use"),
                Err(error) => {
                    tracing::error!(what, %error, "changed files are refused; the last good ones stay in use");
                }
            }
        }
    }
}

fn read(paths: &[(&'static str, PathBuf)]) -> Result<Vec<Content>, SettingError> {
    let read = |(option, path): &(&'static str, PathBuf)| {
        let wrong = |why: String| SettingError::new(option, format!("{} {why}", path.display()));
        let mut content = Vec::new();
        let read = File::open(path).and_then(|file| {
            // One more than enough shows that it is too large.
            file.take(LARGEST + 1).read_to_end(&mut content)
        });
        read.map_err(|error| wrong(format!("cannot be read: {error}")))?;
        if content.len() as u64 > LARGEST {
            return Err(wrong(format!("is larger than {LARGEST} bytes")));
        }
        Ok(Content::new(Box::new(content)))
    };
    paths.iter().map(read).collect()
}

fn digest(contents: Result<&[Content], &SettingError>) -> Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    match contents {
        Ok(contents) => {
            for content in contents {
                let bytes = content.expose_secret();
                hash.update(&bytes.len().to_be_bytes());
                hash.update(bytes);
            }
        }
        Err(error) => hash.update(error.to_string().as_bytes()),
    }
    let digest = hash.finish();
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[test]
    fn a_change_is_applied_once_when_it_is_seen_twice_and_a_bad_one_is_refused_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let write = |text: &str| fs::write(&path, text).unwrap();
        write("good");
        let (files, contents) = Files::read("test", vec![("--file", path.clone())]).unwrap();
        assert_eq!(contents[0].expose_secret(), b"good");
        let applied = Arc::new(AtomicUsize::new(0));
        let count = applied.clone();
        let mut watched = files.on_change(move |contents| {
            if contents[0].expose_secret().starts_with(b"good") {
                count.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            Err(SettingError::new("--file", "is bad"))
        });

        assert_eq!(watched.look(), None);
        write("bad");
        assert_eq!(watched.look(), None);
        write("good, and more");
        assert_eq!(watched.look(), None);
        assert_eq!(watched.look(), Some(Ok(())));
        assert_eq!(watched.look(), None);

        write("bad");
        assert_eq!(watched.look(), None);
        assert!(watched.look().unwrap().is_err());
        assert_eq!(watched.look(), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(watched.look(), None);
        assert!(watched.look().unwrap().is_err());
        assert_eq!(watched.look(), None);
        assert_eq!(applied.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let endless = vec![("--file", PathBuf::from("/dev/zero"))];
        assert!(Files::read("test", endless).is_err());
    }
}
