//! Descriptors that connections do not get.
//!
//! The kernel gives a new descriptor the lowest free number. So a connection whose number is among the last ones of
//! the limit came when all others were in use: it is turned away, and what is left serves the log (a roll that gets no
//! descriptor stops the broker's writing) and, of the last two parts the first, operators over HTTP.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nsq_flags::warn;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, getrlimit};

use super::monotonic_ns;
use crate::limits::{DESCRIPTORS_FOR_FILES, DESCRIPTORS_FOR_HTTP};

/// Where the limit is so low that the above would take most of it, this part of it is kept back.
const KEPT_PART_MAX: u64 = 4;

/// Between two lines that tell of the same shortage, in nanoseconds.
const LOG_PAUSE_NS: u64 = 60_000_000_000;

/// Who takes a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taker {
    /// A client's connection.
    Client,
    /// A connection over HTTP.
    Http,
}

impl fmt::Display for Taker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Taker::Client => "TCP",
            Taker::Http => "HTTP",
        })
    }
}

impl Taker {
    /// The first number that it does not get.
    fn end(self) -> u64 {
        let Some(limit) = getrlimit(Resource::Nofile).current else { return u64::MAX };
        let kept = match self {
            Taker::Client => DESCRIPTORS_FOR_FILES + DESCRIPTORS_FOR_HTTP,
            Taker::Http => DESCRIPTORS_FOR_FILES,
        };
        let part = limit / KEPT_PART_MAX;
        limit - kept.min(if self == Taker::Client { part } else { part / 2 })
    }

    /// Whether it may keep a descriptor that it was given.
    pub fn may_keep(self, descriptor: &impl AsRawFd) -> bool {
        (descriptor.as_raw_fd() as u64) < self.end()
    }

    /// Whether it would be allowed to keep another one. `any` is some open descriptor.
    pub(super) fn may_take(self, any: &impl AsFd) -> bool {
        fcntl_dupfd_cloexec(any, 0).is_ok_and(|probe| self.may_keep(&probe))
    }

    /// Tells the operator, at most once a minute for the whole process, that connections are turned away or wait.
    pub(super) fn warn_of_shortage(self, errno: i32) {
        static WARNED_AT: AtomicU64 = AtomicU64::new(0);
        let now = monotonic_ns();
        let last = WARNED_AT.load(Ordering::Relaxed);
        if last != 0 && now < last + LOG_PAUSE_NS {
            return;
        }
        if WARNED_AT.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        match errno {
            libc::EMFILE => warn!(
                "{self}: temporary Accept() failure - too many open files: new connections wait or are turned away; raise \
                 `ulimit -n` (LimitNOFILE= in a systemd unit)"
            ),
            errno => {
                warn!("{self}: temporary Accept() failure - {}", std::io::Error::from_raw_os_error(errno))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_room_for_http_and_both_for_files() {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(Taker::Client.end() < Taker::Http.end() && Taker::Http.end() < limit);
        if limit >= 256 {
            assert_eq!(limit - Taker::Http.end(), 32);
            assert_eq!(Taker::Http.end() - Taker::Client.end(), 32);
        }
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(Taker::Client.may_keep(&file) && Taker::Client.may_take(&file));
        assert!(!Taker::Client.may_keep(&(limit as i32 - 40)) && Taker::Http.may_keep(&(limit as i32 - 40)));
        assert!(!Taker::Http.may_keep(&(limit as i32 - 1)));
    }
}
