//! One turn: submit, wait, reap; and the way to sleep.
//!
//! ```text
//!   turn ─► visit glommio if due ─► timers, starved, buffers ─► enter(submit + wait ≤ 1 ms) ─► reap ─► events
//!                                                                        │ nothing came in
//!                                                                        ▼
//!                                           bell on ─► last look ─► sleep in glommio ─► bell off ─► reap
//! ```

use std::io;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use io_uring::types::{SubmitArgs, TimeoutFlags, Timespec};
use io_uring::{opcode, squeue};

use super::super::waker::visit_reactor;
use super::super::{Event, OUTSIDE_WAIT_NS_MAX, Wait, YIELD_NS_MAX, monotonic_ns};
use super::RingTransport;
use super::tokens::Token;

/// Completions taken in per turn. A flood of input leaves the caller time for everything else.
pub(super) const COMPLETIONS_PER_TURN_MAX: usize = 512;

/// The bell is muted while the core is awake, to spare the kernel the ringing. Whether un-muting is ordered before
/// the last look is clear only where an atomic read-modify-write is a full barrier; elsewhere the bell stays on.
const MUTE_BELL: bool = cfg!(target_arch = "x86_64");

impl RingTransport {
    pub(super) async fn one_turn(&mut self, wait: Wait) -> io::Result<()> {
        self.counters.turns += 1;
        self.visit_glommio_if_due().await?;
        let now = monotonic_ns();
        self.fire_timers(now);
        let buffers = self.kernel.buffers.available();
        self.table.feed_starved(&mut self.kernel, buffers);
        self.kernel.buffers.publish();
        let wait = if self.has_work() { Wait::No } else { wait };
        self.submit_and_wait(wait, now)?;
        let reaped = self.reap(COMPLETIONS_PER_TURN_MAX);
        self.fire_timers(monotonic_ns());
        if wait == Wait::Block && reaped == 0 && !self.has_work() && !self.waker.is_deaf() {
            self.park().await?;
            self.submit_and_wait(Wait::No, monotonic_ns())?;
            self.reap(COMPLETIONS_PER_TURN_MAX);
            self.fire_timers(monotonic_ns());
        }
        self.report_blocking_done();
        self.waker.clear();
        Ok(())
    }

    /// Something wants attention that no completion will announce.
    fn has_work(&mut self) -> bool {
        self.table.has_events() || self.waker.is_rung() || !self.kernel.ring.completion().is_empty()
    }

    /// Lets glommio run its tasks and look at its rings, if they have waited long enough. What the last turn has sent
    /// and written goes to the kernel first: it must not stand behind whatever those tasks do.
    async fn visit_glommio_if_due(&mut self) -> io::Result<()> {
        let preempted = glommio::executor().need_preempt();
        let tasks_wait = self.waker.take_tasks_wait();
        if !preempted && !tasks_wait && monotonic_ns() < self.last_yield + YIELD_NS_MAX {
            return Ok(());
        }
        self.kernel.submit()?;
        self.counters.yields += 1;
        if preempted {
            glommio::executor().yield_if_needed().await;
            self.last_yield = monotonic_ns();
        } else if visit_reactor().await {
            self.last_yield = monotonic_ns();
        }
        Ok(())
    }

    fn report_blocking_done(&mut self) {
        while let Some(event) = self.blocking.take_done() {
            self.table.report(event);
        }
    }

    fn fire_timers(&mut self, now: u64) {
        if self.deadline.is_some_and(|at| at <= now) {
            self.deadline = None;
            self.table.report(Event::Timer);
        }
        self.end_accept_rests(now);
        self.table.end_closing(&mut self.kernel);
    }

    /// The system call. Waits for the sends, which end within it, and for one thing more if the caller may wait.
    fn submit_and_wait(&mut self, wait: Wait, now: u64) -> io::Result<()> {
        self.kernel.fill_submission()?;
        let mut wait_ns = self.wait_ns_max;
        if self.waker.has_work_outside() {
            wait_ns = wait_ns.min(OUTSIDE_WAIT_NS_MAX);
        }
        if let Some(at) = self.next_deadline() {
            wait_ns = wait_ns.min(at.saturating_sub(now));
        }
        let waits = wait != Wait::No && wait_ns > 0;
        let sends = self.kernel.take_inline_sends();
        let want = sends + usize::from(waits);
        let nothing_to_do = want == 0 && {
            let submission = self.kernel.ring.submission();
            submission.is_empty() && !submission.taskrun() && !submission.cq_overflow()
        };
        if nothing_to_do {
            return Ok(());
        }
        self.counters.waits += u64::from(waits);
        let timeout = Timespec::from(Duration::from_nanos(wait_ns));
        let args = SubmitArgs::new().timespec(&timeout);
        usual(self.kernel.ring.submitter().submit_with_args(want, &args))
    }

    /// Sleeps in glommio until the bell or a local waker rings.
    ///
    /// No wake-up is lost: work that came before the last look is seen by it, and work that comes after it finds the
    /// bell switched on. The kernel's TASKRUN flag means "enter the ring to find out", and never "stay awake": it can
    /// stay set with nothing behind it.
    async fn park(&mut self) -> io::Result<()> {
        self.arm_timeout();
        self.kernel.fill_submission()?;
        usual(self.kernel.ring.submit())?;
        self.kernel.ring.completion().enable_eventfd();
        fence(Ordering::SeqCst);
        if self.kernel.ring.submission().taskrun() {
            usual(self.kernel.ring.submit())?;
        }
        if self.has_work() || !self.kernel.ring.submission().is_empty() {
            self.counters.last_looks += 1;
        } else {
            self.counters.parks += 1;
            self.waker.wait().await;
            self.waker.take_tasks_wait();
            self.last_yield = monotonic_ns();
        }
        self.mute_bell();
        Ok(())
    }

    pub(super) fn mute_bell(&mut self) {
        if MUTE_BELL {
            self.kernel.ring.completion().disable_eventfd();
        }
    }

    /// A parked core is woken by a timeout in its ring. One that is too early costs a turn, so only one that is too
    /// late is changed.
    fn arm_timeout(&mut self) {
        let Some(at) = self.next_deadline() else { return };
        if self.armed_deadline.is_some_and(|armed| armed <= at) {
            return;
        }
        *self.armed_timespec = Timespec::new().sec(at / 1_000_000_000).nsec((at % 1_000_000_000) as u32);
        let timespec: *const Timespec = &*self.armed_timespec;
        let token = Token::Timeout.pack();
        let entry = if self.armed_deadline.is_some() {
            let update = opcode::TimeoutUpdate::new(token, timespec).flags(TimeoutFlags::ABS).build();
            update.flags(squeue::Flags::SKIP_SUCCESS).user_data(Token::Nobody.pack())
        } else {
            opcode::Timeout::new(timespec).flags(TimeoutFlags::ABS).build().user_data(token)
        };
        self.armed_deadline = Some(at);
        self.kernel.push(entry);
    }
}

/// Errors of a submission that only say "later": the wait was over, a signal came, completions have to be reaped
/// first, memory is short.
pub(super) fn usual(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}
