//! Reloads files that change while the gateway runs: certificates, keys, pins, the password.
//!
//! It compares the contents every few seconds. File system notifications would be faster, but they
//! depend on how a file is replaced (overwritten, renamed, or through a symbolic link to another
//! folder, as in Kubernetes), and not every file system sends them.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::digest;
use secrecy::ExposeSecret as _;
use tokio::{sync::Notify, task::spawn_blocking, time::sleep};

use super::file::{self, FileContent};

/// Files that belong together, such as a certificate and its key. `N` names the setting that each
/// path comes from, so that an error can say which one to correct.
pub struct Files<N> {
    /// Their name in the log and in the label of a metric.
    what: &'static str,
    paths: Vec<(N, PathBuf)>,
    /// The contents that were read last, whether applied or refused.
    known: Digest,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError<N> {
    /// The setting that names the file.
    pub setting: N,
    /// The path, and what is wrong with the file there.
    pub problem: String,
}

impl<N> FileError<N> {
    /// `why` is worded to follow the file's name.
    pub fn new(setting: N, path: &Path, why: impl Display) -> Self {
        Self { setting, problem: format!("{} {why}", path.display()) }
    }
}

/// Files, and what to do when they change. An error of type `E` says why a change is refused.
pub struct WatchedFiles<E> {
    what: &'static str,
    look: Look<E>,
}

/// Compares the files with their last contents; its argument is whether the files are known to be
/// complete. Returns the outcome of a change.
type Look<E> = Box<dyn FnMut(bool) -> Option<Result<(), E>> + Send>;

type Digest = [u8; 32];

impl<N: Copy + Send + 'static> Files<N> {
    /// Reads the files.
    pub fn read(
        what: &'static str,
        paths: Vec<(N, PathBuf)>,
    ) -> Result<(Self, Vec<FileContent>), FileError<N>> {
        let contents = read(&paths, file::read)?;
        let known = digest(Ok(&contents));
        Ok((Self { what, paths, known }, contents))
    }

    /// Calls `apply` with the contents whenever they change. If it fails, it must leave the
    /// previous contents in use.
    ///
    /// A change counts when it has been read twice: before that, a file may be half written.
    pub fn on_change<E: From<FileError<N>>>(
        mut self,
        mut apply: impl FnMut(&[FileContent]) -> Result<(), E> + Send + 'static,
    ) -> WatchedFiles<E> {
        let mut seen = self.known;
        let look = move |is_complete: bool| {
            // What was a pipe at the start has nothing more to say either.
            let contents = read(&self.paths, file::read_regular);
            let digest = digest(contents.as_deref().map_err(|error| &*error.problem));
            if digest == self.known {
                return None;
            }
            if digest != seen && !is_complete {
                seen = digest;
                return None;
            }
            // Also if the change is refused, so that it is refused only once.
            self.known = digest;
            Some(contents.map_err(E::from).and_then(|new| apply(&new)))
        };
        WatchedFiles { what: self.what, look: Box::new(look) }
    }
}

impl<E: 'static> WatchedFiles<E> {
    /// The same files with another type of error.
    #[must_use]
    pub fn map_err<F: 'static>(mut self, into: fn(E) -> F) -> WatchedFiles<F> {
        let look = move |is_complete| Some((self.look)(is_complete)?.map_err(into));
        WatchedFiles { what: self.what, look: Box::new(look) }
    }
}

/// Checks all files every `interval` and whenever `reread` is notified, and reports to `reloaded` which
/// files have changed and whether the change is in use, or why it is refused. A notification also means
/// that the files are complete. Runs until it is dropped.
pub async fn run<E: Display + Send + 'static>(
    mut watched: Vec<WatchedFiles<E>>,
    interval: Duration,
    reread: Arc<Notify>,
    reloaded: impl Fn(&'static str, Result<(), &E>),
) {
    loop {
        let is_complete = tokio::select! {
            () = sleep(interval) => false,
            () = reread.notified() => true,
        };
        // If a file system hangs, this delays reloading and nothing else.
        let looked = spawn_blocking(move || {
            let look =
                |watched: &mut WatchedFiles<E>| Some((watched.what, (watched.look)(is_complete)?));
            let outcomes: Vec<_> = watched.iter_mut().filter_map(look).collect();
            (watched, outcomes)
        });
        let Ok((back, outcomes)) = looked.await else {
            tracing::error!("reloading of files has stopped; changes need a restart");
            return;
        };
        watched = back;
        if is_complete && outcomes.is_empty() {
            tracing::info!("no file has changed");
        }
        for (what, outcome) in outcomes {
            reloaded(what, outcome.as_ref().copied());
            match outcome {
                Ok(()) => tracing::info!(what, "changed files are in use"),
                Err(error) => {
                    tracing::error!(what, %error, "changed files are refused; the last good ones stay in use");
                }
            }
        }
    }
}

fn read<N: Copy>(
    paths: &[(N, PathBuf)],
    file: fn(&Path) -> Result<FileContent, String>,
) -> Result<Vec<FileContent>, FileError<N>> {
    let read = |(setting, path): &(N, PathBuf)| {
        file(path).map_err(|problem| FileError { setting: *setting, problem })
    };
    paths.iter().map(read).collect()
}

fn digest(contents: Result<&[FileContent], &str>) -> Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    match contents {
        Ok(contents) => {
            for content in contents {
                let bytes = content.expose_secret();
                hash.update(&bytes.len().to_be_bytes());
                hash.update(bytes);
            }
        }
        Err(problem) => hash.update(problem.as_bytes()),
    }
    let digest = hash.finish();
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn a_change_counts_when_it_is_seen_for_the_second_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let (files, _) = Files::read("test", vec![("--file", path.clone())]).unwrap();
        let mut watched = files.on_change(|_| Ok::<_, FileError<&str>>(()));
        for half_written in ["ne", "new"] {
            fs::write(&path, half_written).unwrap();
            assert_eq!((watched.look)(false), None);
        }
        assert_eq!((watched.look)(false), Some(Ok(())));
        assert_eq!((watched.look)(false), None);
    }

    #[test]
    fn a_change_of_complete_files_counts_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let (files, _) = Files::read("test", vec![("--file", path.clone())]).unwrap();
        let mut watched = files.on_change(|_| Ok::<_, FileError<&str>>(()));
        fs::write(&path, "new").unwrap();
        assert_eq!((watched.look)(true), Some(Ok(())));
        assert_eq!((watched.look)(true), None);
    }

    #[test]
    fn what_is_no_longer_a_regular_file_is_refused_once_and_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let (files, _) = Files::read("test", vec![("--file", path.clone())]).unwrap();
        let mut watched = files.on_change(|_| Ok::<_, FileError<&str>>(()));
        fs::remove_file(&path).unwrap();
        // Opening it would wait for ever.
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let refused = (watched.look)(true).unwrap().unwrap_err();
        assert!(refused.problem.contains("is not a regular file"), "{refused:?}");
        assert_eq!((watched.look)(true), None);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!((watched.look)(true), None);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "new").unwrap();
        assert_eq!((watched.look)(true), Some(Ok(())));
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let endless = vec![("--file", PathBuf::from("/dev/zero"))];
        assert!(Files::read("test", endless).is_err());
    }
}
