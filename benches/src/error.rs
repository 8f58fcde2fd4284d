//! Why a run ended without a figure. Every variant makes the process exit with status 1.

use std::fmt;
use std::io;

/// The one error of the load generator.
#[derive(Debug)]
pub(crate) enum BenchError {
    /// A system call failed while doing what `what` says.
    Io { what: String, source: io::Error },
    /// The server sent something a correct server does not send.
    Protocol(String),
    /// Published and received do not agree: the run is void.
    Mismatch(String),
    /// An answer is well-formed, but not the right one: the run is void.
    Answer(String),
    /// A bound in time was reached before the run was complete.
    Deadline(String),
    /// The request cannot be run as given.
    Usage(String),
}

impl BenchError {
    /// A closure for `map_err`: keeps the cause beside what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }

    /// The same for the errors of raw system calls.
    pub(crate) fn errno(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |errno| Self::Io { what: what.into(), source: errno.into() }
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, source } => write!(f, "{what}: {source}"),
            Self::Protocol(text) => write!(f, "protocol violation: {text}"),
            Self::Mismatch(text) => write!(f, "messages do not add up: {text}"),
            Self::Answer(text) => write!(f, "wrong answer: {text}"),
            Self::Deadline(text) => write!(f, "out of time: {text}"),
            Self::Usage(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for BenchError {}
