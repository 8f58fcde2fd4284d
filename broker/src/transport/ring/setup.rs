//! Making the ring.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use io_uring::IoUring;

use super::super::Options;

/// A ring for one thread, whose completions are worked off when that thread asks for them and not in between.
pub(super) fn build(options: &Options) -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_cqsize(options.completion_count)
        .build(options.submission_count)
}

pub(super) fn duplicate_ring_descriptor(ring: &IoUring) -> io::Result<OwnedFd> {
    // SAFETY: the ring is borrowed, so its descriptor is open during the call.
    unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) }.try_clone_to_owned()
}
