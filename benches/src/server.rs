//! The server under test, and the topic of this run on it.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::BenchError;
use crate::http::{self, Depths};
use crate::process::{self, Memory};

/// Where the server is and what this run calls its topic.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
    /// Without it, no CPU time and no memory is reported.
    pub(crate) pid: Option<u32>,
    pub(crate) topic: String,
    /// Leave the topic and its messages behind.
    pub(crate) keep: bool,
}

impl Server {
    /// User and system time so far, if the process is known.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn cpu_seconds(&self) -> Result<Option<f64>, BenchError> {
        self.pid.map(process::cpu_seconds).transpose()
    }

    /// Memory now, if the process is known.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn memory(&self) -> Result<Option<Memory>, BenchError> {
        self.pid.map(process::memory).transpose()
    }

    /// What the topic still holds.
    ///
    /// # Errors
    /// As [`http::depths`].
    pub(crate) fn depths(&self) -> Result<Depths, BenchError> {
        http::depths(self.http, &self.topic)
    }

    /// Deletes the topic, unless it is to be kept.
    ///
    /// # Errors
    /// As [`http::post`].
    pub(crate) fn delete_topic(&self) -> Result<(), BenchError> {
        if self.keep || self.topic.ends_with("#ephemeral") {
            return Ok(());
        }
        http::post(self.http, &format!("/topic/delete?topic={}", self.topic))
    }
}

/// A topic name that no other run has.
pub(crate) fn unique_topic(ephemeral: bool) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let suffix = if ephemeral { "#ephemeral" } else { "" };
    format!("bench_{}_{}{suffix}", now.as_micros(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_name_fits_into_64_bytes() {
        let name = unique_topic(true);
        assert!(name.len() <= 64, "{name}");
        assert!(name.ends_with("#ephemeral"));
    }
}
