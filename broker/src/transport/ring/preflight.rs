//! Can this machine carry the ring? Asked once at start, by trying.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, cqueue, opcode, squeue};

use super::super::Options;
use super::buffers::Buffers;
use super::kernel::receive;
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
                "io_uring is forbidden here, and nothing works without it: set sysctl kernel.io_uring_disabled=0, and \
                 allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile",
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
    let options = small();
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

/// A ring to try something with.
fn small() -> Options {
    Options { buffer_count: 4, submission_count: 8, completion_count: 16, ..Options::default() }
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
    start(&mut ring, &receive(Fd(theirs.as_raw_fd()), None))?;
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

/// Whether a multishot receive can be limited in bytes. Asked of the kernel once, by trying.
pub(in super::super) fn can_limit_receives() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let options = small();
        let Ok(ring) = setup::build(&options) else { return false };
        let Ok(mut buffers) = Buffers::register(&ring, options.buffer_count) else { return false };
        receive_limited(ring).unwrap_or_else(|_| {
            buffers.leak(); // As above.
            false
        })
    })
}

/// A receive of at most four bytes must end with the buffer that the fourth byte came in. Kernels that do not know the
/// limit refuse it; with an error of ours it is not known whether the receive has ended.
fn receive_limited(mut ring: IoUring) -> io::Result<bool> {
    let (mut ours, theirs) = UnixStream::pair()?;
    io::Write::write_all(&mut ours, b"12345")?;
    start(&mut ring, &receive(Fd(theirs.as_raw_fd()), Some(4)))?;
    let answer = wait_for_completion(&mut ring)?.map(|entry| (entry.result(), cqueue::more(entry.flags())));
    match answer {
        Some((4.., false)) => Ok(true),
        Some((error, false)) if error < 0 => Ok(false),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

/// Queues a receive on a socket that stays open until it has ended.
fn start(ring: &mut IoUring, receive: &squeue::Entry) -> io::Result<()> {
    // SAFETY: the entry points at no memory, and who calls this keeps its descriptor open.
    unsafe { ring.submission().push(receive) }.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
}

fn next_completion(ring: &mut IoUring) -> io::Result<cqueue::Entry> {
    let entry = wait_for_completion(ring)?.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    if entry.result() < 0 { Err(io::Error::from_raw_os_error(-entry.result())) } else { Ok(entry) }
}

fn wait_for_completion(ring: &mut IoUring) -> io::Result<Option<cqueue::Entry>> {
    let timeout = Timespec::from(Duration::from_secs(1));
    usual(ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout)))?;
    Ok(ring.completion().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receives_are_limited_where_the_kernel_can() {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        assert_eq!(can_limit_receives(), version >= (6, 17), "{release}");
    }

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
