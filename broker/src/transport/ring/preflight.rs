//! Can this machine carry the ring? Asked once at start, by trying.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, cqueue, opcode};

use super::super::Options;
use super::buffers::{Buffers, GROUP};
use super::setup;
use super::turn::usual;

/// Why the ring cannot be used here. Each is shown as one sentence with its remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum PreflightError {
    /// io_uring is switched off or filtered.
    Forbidden,
    /// The kernel is older than 6.1.
    KernelTooOld,
    /// The limit of locked memory is too low.
    LockedMemory,
    /// The process is out of descriptors.
    Descriptors,
    /// The kernel does not know an operation.
    Operation(&'static str),
    /// Something else failed.
    Other(&'static str, io::Error),
}

impl fmt::Display for PreflightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PreflightError::Forbidden => f.write_str(
                "io_uring is forbidden here: set sysctl kernel.io_uring_disabled=0, and allow io_uring_setup, \
                 io_uring_enter and io_uring_register in the container's seccomp profile",
            ),
            PreflightError::KernelTooOld => {
                f.write_str("this kernel's io_uring is too old: upgrade to Linux 6.1 or later")
            }
            PreflightError::LockedMemory => f.write_str(
                "too little memory may be locked: raise `ulimit -l` (LimitMEMLOCK= in a systemd unit) to 8 MiB or more",
            ),
            PreflightError::Descriptors => {
                f.write_str("no file descriptor is left: raise `ulimit -n` (LimitNOFILE= in a systemd unit)")
            }
            PreflightError::Operation(name) => {
                write!(f, "this kernel's io_uring does not know {name}: upgrade to Linux 6.1 or later")
            }
            PreflightError::Other(what, error) => {
                write!(f, "io_uring does not work here ({what}: {error}): use --transport=glommio")
            }
        }
    }
}

impl std::error::Error for PreflightError {}

/// Tries everything that [`RingTransport`](super::RingTransport) leans on, in a small ring of its own.
pub fn preflight() -> Result<(), PreflightError> {
    let options = Options { buffer_count: 4, submission_count: 8, completion_count: 16 };
    let ring = setup::build(&options).map_err(|error| explain("setup", error))?;
    if !ring.params().is_feature_nodrop() || !ring.params().is_feature_ext_arg() {
        return Err(PreflightError::KernelTooOld);
    }
    probe(&ring)?;
    let mut buffers =
        Buffers::register(&ring, options.buffer_count).map_err(|error| explain("buffers", error))?;
    receive_twice(ring).map_err(|error| {
        // The receive may still be under way, and the kernel ends it on its own time.
        buffers.leak();
        explain("multishot receive", error)
    })
}

fn explain(what: &'static str, error: io::Error) -> PreflightError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => PreflightError::Forbidden,
        Some(libc::EINVAL) => PreflightError::KernelTooOld,
        Some(libc::ENOMEM) => PreflightError::LockedMemory,
        Some(libc::EMFILE | libc::ENFILE) => PreflightError::Descriptors,
        _ => PreflightError::Other(what, error),
    }
}

fn probe(ring: &IoUring) -> Result<(), PreflightError> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| explain("probe", error))?;
    let needed = [
        (opcode::AcceptMulti::CODE, "ACCEPT"),
        (opcode::RecvMulti::CODE, "RECV"),
        (opcode::Send::CODE, "SEND"),
        (opcode::Write::CODE, "WRITE"),
        (opcode::Read::CODE, "READ"),
        (opcode::Fsync::CODE, "FSYNC"),
        (opcode::Timeout::CODE, "TIMEOUT"),
        (opcode::TimeoutUpdate::CODE, "TIMEOUT_REMOVE"),
        (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
        (opcode::MsgRingData::CODE, "MSG_RING"),
    ];
    match needed.iter().find(|(code, _)| !probe.is_supported(*code)) {
        Some((_, name)) => Err(PreflightError::Operation(name)),
        None => Ok(()),
    }
}

/// One multishot receive must yield two chunks. Consumes the ring, whose end also ends the receive; the pair of
/// sockets is closed, and the receive ended, before the buffers go.
fn receive_twice(mut ring: IoUring) -> io::Result<()> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let receive = opcode::RecvMulti::new(Fd(theirs.as_raw_fd()), GROUP).build();
    // SAFETY: the entry points at no memory; its descriptor is open until the receive has ended below.
    unsafe { ring.submission().push(&receive) }.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    for _ in 0..2 {
        io::Write::write_all(&mut ours, b"x")?;
        let entry = next_completion(&mut ring)?;
        if !cqueue::more(entry.flags()) || cqueue::buffer_select(entry.flags()).is_none() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
    }
    drop(ours);
    let last = next_completion(&mut ring)?;
    if last.result() == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EINVAL)) }
}

fn next_completion(ring: &mut IoUring) -> io::Result<cqueue::Entry> {
    let timeout = Timespec::from(Duration::from_secs(1));
    usual(ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout)))?;
    let entry = ring.completion().next().ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    if entry.result() < 0 { Err(io::Error::from_raw_os_error(-entry.result())) } else { Ok(entry) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_its_remedy() {
        let error = |errno| explain("x", io::Error::from_raw_os_error(errno)).to_string();
        assert!(error(libc::EPERM).contains("kernel.io_uring_disabled"));
        assert!(error(libc::ENOSYS).contains("seccomp"));
        assert!(error(libc::EINVAL).contains("6.1"));
        assert!(error(libc::ENOMEM).contains("ulimit -l"));
        assert!(error(libc::EMFILE).contains("ulimit -n"));
        assert!(error(libc::EIO).contains("--transport=glommio"));
    }
}
