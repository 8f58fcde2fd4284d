//! How long a connection may keep us waiting.
//!
//! NSQ has no limits here, and so a peer that drips bytes holds a connection for ever. hyper's own timer for headers
//! also runs between requests, and would close the idle connections of clients that keep them for reuse. So each
//! connection notes what it waits for and since when, and one task per core looks at all of them once a second:
//! no timer is set or cancelled for a request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use super::HttpContext;
use crate::transport::WorkOutside;
use crate::transport::clock;

const S: u64 = 1_000_000_000;

/// What each received byte of a body adds to its time: a body of any size may come at 16 KiB/s, a drip may not.
const BODY_NS_PER_BYTE: u64 = S / (16 * 1024);
/// After our end was closed, for the peer to close its own.
pub(super) const LINGER_NS_MAX: u64 = S / 2;
/// How long after an answer the next request is expected at once.
const PROMPT_NS: u64 = S;

/// How long peers may take, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// From the first byte of a request (or from the accept) to the end of its header.
    pub(super) header_ns_max: u64,
    /// For a request's body, where it is small.
    pub(super) body_ns_max: u64,
    /// Between requests, and for a peer that does not read its answer. Longer than the 90 s after which Go's client
    /// closes an idle connection by itself: so it is the client that closes, and no request meets a closed door.
    pub(super) idle_ns_max: u64,
    /// How often the deadlines are looked at, and how late a deadline is noticed.
    pub(super) sweep: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header_ns_max: 10 * S,
            body_ns_max: 60 * S,
            idle_ns_max: 120 * S,
            sweep: Duration::from_secs(1),
        }
    }
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The next request, or the peer's reading of the last answer.
    Idle,
    /// The rest of a header.
    Header,
    /// The rest of a body.
    Body,
    /// Us.
    Working,
}

/// One connection's phase. Process by its stream, its service, and the sweep.
#[derive(Debug)]
pub(super) struct Deadline {
    phase: Cell<Phase>,
    since_ns: Cell<u64>,
    expired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Makes the core's loop look after glommio promptly. Kept from a request until the connection was idle for
    /// [`PROMPT_NS`]: a client with a next request finds an attentive core, an idle one costs nothing.
    prompt: RefCell<Option<WorkOutside>>,
}

impl Deadline {
    pub(super) fn new(now_ns: u64) -> Self {
        Self {
            phase: Cell::new(Phase::Header),
            since_ns: Cell::new(now_ns),
            expired: Cell::new(false),
            waker: RefCell::new(None),
            prompt: RefCell::new(None),
        }
    }

    /// Something is under way: the core's loop is to be prompt.
    pub(super) fn be_prompt(&self, guard: impl FnOnce() -> WorkOutside) {
        self.prompt.borrow_mut().get_or_insert_with(guard);
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since_ns.set(now_ns());
    }

    /// A body is waited for, piece by piece; the first piece starts the clock.
    pub(super) fn enter_body(&self) {
        if self.phase.get() != Phase::Body {
            self.enter(Phase::Body);
        }
    }

    /// Bytes came from the peer.
    pub(super) fn on_read(&self, size: usize) {
        match self.phase.get() {
            Phase::Idle => self.enter(Phase::Header),
            Phase::Body => {
                let credit = (size as u64).saturating_mul(BODY_NS_PER_BYTE);
                self.since_ns.set(self.since_ns.get().saturating_add(credit));
            }
            Phase::Header | Phase::Working => {}
        }
    }

    /// The peer took bytes of an answer.
    pub(super) fn on_write(&self) {
        if self.phase.get() == Phase::Idle {
            self.since_ns.set(now_ns());
        }
    }

    /// Whether the connection is to be dropped.
    pub(super) fn has_expired(&self) -> bool {
        self.expired.get()
    }

    /// Drops the connection at its next turn.
    pub(super) fn expire(&self) {
        self.expired.set(true);
        self.wake();
    }

    /// Who is to be woken by [`Deadline::wake`].
    pub(super) fn register(&self, waker: &Waker) {
        let mut registered = self.waker.borrow_mut();
        match &*registered {
            Some(old) if old.will_wake(waker) => {}
            _ => *registered = Some(waker.clone()),
        }
    }

    /// Gives the connection a turn.
    pub(super) fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Looks at the deadlines.
    fn sweep(&self, timeouts: &Timeouts, now_ns: u64) {
        if self.is_late(timeouts, now_ns) {
            self.expire();
        }
        if self.phase.get() == Phase::Idle && now_ns.saturating_sub(self.since_ns.get()) > PROMPT_NS {
            self.prompt.borrow_mut().take();
        }
    }

    fn is_late(&self, timeouts: &Timeouts, now_ns: u64) -> bool {
        let allowed_ns = match self.phase.get() {
            Phase::Idle => timeouts.idle_ns_max,
            Phase::Header => timeouts.header_ns_max,
            Phase::Body => timeouts.body_ns_max,
            Phase::Working => return false,
        };
        now_ns.saturating_sub(self.since_ns.get()) > allowed_ns
    }
}

/// The monotonic clock.
pub(super) fn now_ns() -> u64 {
    clock::now().mono_ns
}

/// Looks at all connections until there are none; starts itself only once.
pub(super) fn start_sweep(context: &Rc<HttpContext>) {
    if context.sweeping.replace(true) {
        return;
    }
    let context = context.clone();
    glommio::spawn_local(async move {
        while !context.connections.borrow().is_empty() {
            glommio::timer::sleep(context.timeouts.sweep).await;
            let now_ns = now_ns();
            context
                .connections
                .borrow()
                .values()
                .for_each(|deadline| deadline.sweep(&context.timeouts, now_ns));
        }
        context.sweeping.set(false);
    })
    .detach();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(phase: Phase) -> Deadline {
        let deadline = Deadline::new(0);
        deadline.phase.set(phase);
        deadline
    }

    fn is_late(deadline: &Deadline, now_ns: u64) -> bool {
        deadline.is_late(&Timeouts::default(), now_ns)
    }

    #[test]
    fn each_phase_has_its_own_patience() {
        for (phase, max) in [(Phase::Header, 10 * S), (Phase::Body, 60 * S), (Phase::Idle, 120 * S)] {
            assert!(!is_late(&at(phase), max), "{phase:?}");
            assert!(is_late(&at(phase), max + 1), "{phase:?}");
        }
        assert!(!is_late(&at(Phase::Working), u64::MAX), "our own work has no deadline here");
    }

    #[test]
    fn a_dripped_header_gains_no_time() {
        let deadline = at(Phase::Header);
        (0..1000).for_each(|_| deadline.on_read(1));
        assert!(is_late(&deadline, 10 * S + 1));
    }

    #[test]
    fn a_steady_body_may_take_long_and_a_dripped_one_may_not() {
        let steady = at(Phase::Body);
        steady.on_read(1024 * 1024);
        assert!(!is_late(&steady, 120 * S));
        let dripped = at(Phase::Body);
        (0..60).for_each(|_| dripped.on_read(1));
        assert!(is_late(&dripped, 61 * S));
    }

    #[test]
    fn the_first_byte_after_an_answer_starts_a_header() {
        let deadline = at(Phase::Idle);
        deadline.on_read(1);
        assert_eq!(deadline.phase.get(), Phase::Header);
    }

    #[test]
    fn the_pieces_of_a_body_have_one_clock() {
        let deadline = at(Phase::Working);
        deadline.enter_body();
        deadline.since_ns.set(7);
        deadline.enter_body();
        assert_eq!(deadline.since_ns.get(), 7);
    }
}
