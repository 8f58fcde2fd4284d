//! The end of a ring. The kernel tears a ring down on its own time, so what it writes into must not be freed before
//! it has said that it is done.

use std::time::Duration;

use io_uring::opcode::AsyncCancel2;
use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};

use super::super::monotonic_ns;
use super::RingTransport;
use super::tokens::Token;
use super::turn::{COMPLETIONS_PER_TURN_MAX, usual};

/// How long the end may take: a write to a slow disk, mostly.
const TEARDOWN_NS_MAX: u64 = 10_000_000_000;

impl RingTransport {
    /// Ends everything that is under way: files are waited for, the rest is cancelled.
    pub(super) fn tear_down(&mut self) {
        let until = monotonic_ns() + TEARDOWN_NS_MAX;
        self.stop_everything();
        while self.is_under_way() && monotonic_ns() < until {
            if self.wait_a_little().is_err() {
                break;
            }
        }
    }

    fn stop_everything(&mut self) {
        self.cancel_accepting();
        self.table.abort_all(&mut self.kernel);
        if self.armed_deadline.is_some() {
            let cancel = AsyncCancel2::new(CancelBuilder::user_data(Token::Timeout.pack())).build();
            self.kernel.push(cancel.user_data(Token::Nobody.pack()));
        }
    }

    fn is_under_way(&self) -> bool {
        self.files.is_under_way()
            || self.kernel.has_queued()
            || self.armed_deadline.is_some()
            || self.listeners.iter().any(|listener| listener.is_under_way())
            || self.table.is_under_way()
    }

    fn wait_a_little(&mut self) -> std::io::Result<()> {
        self.kernel.fill_submission()?;
        let timeout = Timespec::from(Duration::from_millis(10));
        usual(self.kernel.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&timeout)))?;
        while self.reap(COMPLETIONS_PER_TURN_MAX) > 0 {}
        while self.table.next_event(&mut self.kernel).is_some() {}
        Ok(())
    }
}

impl RingTransport {
    /// The kernel still works on something of ours, and is not to be hurried. It keeps the memory.
    #[allow(
        clippy::mem_forget,
        reason = "freeing what the kernel writes to would corrupt whatever comes there next"
    )]
    fn abandon(&mut self) {
        self.kernel.buffers.leak();
        std::mem::forget(std::mem::take(&mut self.table));
        std::mem::forget(std::mem::take(&mut self.files));
        std::mem::forget(std::mem::take(&mut self.armed_timespec));
    }
}

impl Drop for RingTransport {
    fn drop(&mut self) {
        self.tear_down();
        if self.is_under_way() {
            self.abandon();
        }
    }
}
