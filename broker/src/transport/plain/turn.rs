//! One turn: look at everything, and sleep in glommio if there was nothing.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use glommio::timer::Timer;

use super::super::waker::visit_reactor;
use super::super::{Event, WAIT_NS_MAX, Wait, YIELD_NS_MAX, monotonic_ns};
use super::PlainTransport;

/// Connections visited per turn.
const VISITS_PER_TURN_MAX: usize = 128;

/// A sleep without deadline; long, because glommio's timers have no "never".
const SLEEP_NS_MAX: u64 = 3_600_000_000_000;

impl PlainTransport {
    pub(super) async fn one_turn(&mut self, wait: Wait) {
        self.counters.turns += 1;
        // First of all what the last turn has sent: it must not stand behind whatever glommio's tasks do.
        self.look_around();
        self.visit_glommio_if_due().await;
        if !self.has_work() {
            match wait {
                Wait::No => self.visit_glommio().await,
                Wait::Brief => self.park(WAIT_NS_MAX).await,
                Wait::Block => self.park(SLEEP_NS_MAX).await,
            }
            self.look_around();
        }
        self.waker.clear();
    }

    fn has_work(&self) -> bool {
        self.table.has_events()
            || !self.streams.due.is_empty()
            || self.waker.is_rung()
            || self.blocking.has_done()
            || !self.outside.is_empty()
    }

    fn look_around(&mut self) {
        self.fire_timers();
        if self.outside.take_ring() {
            self.table.report(Event::Doorbell);
        }
        while let Some((listener, socket)) = self.outside.take_accepted() {
            self.table.report(Event::Accepted { listener, socket: socket.into() });
        }
        while let Some(done) = self.blocking.take_done() {
            self.table.report(done);
        }
        self.outside.take_ready(&mut self.streams.due);
        let buffers = self.streams.chunks.available();
        self.table.feed_starved(&mut self.streams, buffers);
        for _ in 0..self.streams.due.len().min(VISITS_PER_TURN_MAX) {
            let Some(slot) = self.streams.due.pop_front() else { break };
            self.visit(slot);
        }
    }

    fn fire_timers(&mut self) {
        let now = monotonic_ns();
        if self.deadline.is_some_and(|at| at <= now) {
            self.deadline = None;
            self.table.report(Event::Timer);
        }
        self.table.end_closing(&mut self.streams);
    }

    async fn visit_glommio_if_due(&mut self) {
        let preempted = glommio::executor().need_preempt();
        if self.waker.take_tasks_wait() || preempted || monotonic_ns() >= self.last_yield + YIELD_NS_MAX {
            self.visit_glommio().await;
        }
    }

    async fn visit_glommio(&mut self) {
        self.counters.yields += 1;
        if visit_reactor().await {
            self.last_yield = monotonic_ns();
        }
    }

    /// Sleeps until somebody wakes the loop, a timer is due, or `ns_max` have passed.
    async fn park(&mut self, ns_max: u64) {
        let now = monotonic_ns();
        let deadline = self.table.next_deadline().into_iter().chain(self.deadline).min();
        let ns = deadline.map_or(ns_max, |at| ns_max.min(at.saturating_sub(now)));
        self.counters.parks += 1;
        let mut timer = pin!(Timer::new(Duration::from_nanos(ns.max(1))));
        let (waker, outside) = (&self.waker, &self.outside);
        poll_fn(|context| {
            if waker.is_rung() || !outside.park(context.waker()) {
                return Poll::Ready(());
            }
            waker.park(context.waker());
            timer.as_mut().poll(context).map(|_| ())
        })
        .await;
        self.last_yield = monotonic_ns();
    }
}
