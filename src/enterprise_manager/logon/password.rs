//! The current password: what its file holds now, or held when it could last be read.
//!
//! A file is read by the operating system, which can take for ever, as on a network drive that is gone.
//! That must stop neither calls nor the end of the gateway, so each reading has a thread of its own
//! and a time limit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::{sync::oneshot, time::timeout};

use crate::settings::PasswordSource;

/// How long the password's file may take to be read.
const LONGEST_READING: Duration = Duration::from_secs(1);

/// Where the password comes from, and the last one.
pub(super) struct CurrentPassword {
    source: PasswordSource,
    /// In use while the file cannot be read.
    last: Mutex<SecretString>,
    /// Whether the file is being read.
    is_reading: Arc<AtomicBool>,
}

impl CurrentPassword {
    /// Reads the password, and waits for its file as long as it takes. Returns it as well.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub(super) fn load(source: PasswordSource) -> Result<(Self, SecretString), String> {
        let first = source.read()?;
        let last = Mutex::new(first.clone());
        Ok((Self { source, last, is_reading: Arc::default() }, first))
    }

    /// The password as it is now, so that a rotated one needs no restart. The last readable one while
    /// its file cannot be read, which is logged where the file is watched.
    pub(super) async fn read(&self) -> SecretString {
        if let Ok(password) = self.read_source().await {
            *self.last.lock() = password;
        }
        self.last.lock().clone()
    }

    /// Reads the file in a thread of its own: a runtime would wait for one of its own at the end.
    async fn read_source(&self) -> Result<SecretString, String> {
        if let PasswordSource::Value(password) = &self.source {
            return Ok(password.clone());
        }
        if self.is_reading.swap(true, Ordering::AcqRel) {
            return Err("an earlier reading of it has not ended".to_owned());
        }
        let (source, is_reading) = (self.source.clone(), self.is_reading.clone());
        let (sender, receiver) = oneshot::channel();
        std::thread::spawn(move || {
            let password = source.read();
            is_reading.store(false, Ordering::Release);
            // Whoever waits no longer uses the last one.
            let _ = sender.send(password);
        });
        timeout(LONGEST_READING, receiver).await.map_or_else(
            |_| {
                tracing::warn!(
                    "the file of the password could not be read within {LONGEST_READING:?}; the \
                     last password stays in use"
                );
                Err("it is not read in time".to_owned())
            },
            |read| read.unwrap_or_else(|_| Err("the thread that reads it has panicked".to_owned())),
        )
    }
}
