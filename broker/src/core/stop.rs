//! The clean stop of a core, in step with the others.
//!
//! ```text
//!   Running ──stop──► Draining     listeners and connections are closed, the queue writes down what is in flight
//!           ──all closed──► Quiet  this core sends no more messages; it still answers the others'
//!           ──all cores quiet, no message left──► Closing     the logs write their close frames
//!           ──all logs closed──► Stopped
//! ```
//!
//! A channel's core finishes messages in the log of the topic's core: no log may close while another core could
//! still have something for it.

use std::sync::atomic::Ordering;

use nsq_queue::Input;

use crate::client::stage::Event;
use crate::core::engine::Engine;
use crate::core::phase::Phase;
use crate::limits::{STOP_FAILED_NS_MAX, STOP_LOG_NS_MAX, STOP_NS_MAX, STOP_QUIET_NS_MAX};

/// How often a stopping core looks whether the others have got further.
const STEP_NS: u64 = 1_000_000;

impl Engine {
    /// Whether the process is stopping.
    pub fn is_stopping(&self) -> bool {
        self.phase != Phase::Running || self.process.is_stopping()
    }

    /// Whether this core is done.
    pub fn is_stopped(&self) -> bool {
        self.phase == Phase::Stopped
    }

    /// One step of the stop; `idle`: nothing waits for this core's next turn. True the first time: listeners are to be closed.
    pub(super) fn run_stop(&mut self, idle: bool) -> bool {
        let now = self.now.mono_ns;
        if self.process.has_failed() {
            self.phase.hurry(now + STOP_FAILED_NS_MAX);
        }
        match self.phase {
            Phase::Running => {
                reach!("core.stop.begun");
                self.phase = Phase::Draining { until: now + STOP_NS_MAX };
                self.tell_all(Event::Stop);
                self.turn_again = true;
                if !planted!(StopForgetsAttempts) {
                    self.queue.handle(self.now, Input::Stop);
                }
                return true;
            }
            Phase::Draining { until } => {
                let late = now >= until;
                if late {
                    self.tell_all(Event::StopOverdue);
                }
                if (self.connections.len() == 0 && self.mesh.overflow_count() == 0) || late {
                    self.be_quiet();
                    self.phase = Phase::Quiet { until: now + STOP_QUIET_NS_MAX };
                }
            }
            Phase::Quiet { until } => {
                let all =
                    self.process.quiet_cores.load(Ordering::Acquire) == usize::from(self.placement.cores());
                let told = self.mesh.is_empty() && self.delayed.is_empty();
                if (all && idle && told) || now >= until {
                    self.logs.close(now);
                    self.phase = Phase::Closing { until: now + STOP_LOG_NS_MAX };
                }
            }
            Phase::Closing { until } => {
                // A log without room for its close frame is left as a crash would leave it, which it survives.
                if self.logs.are_closed() || now >= until {
                    self.phase = Phase::Stopped;
                }
            }
            Phase::Stopped => {}
        }
        false
    }

    /// This core's loop is over before its time: nobody is to wait for it.
    pub(super) fn abandon(&mut self) {
        if matches!(self.phase, Phase::Running | Phase::Draining { .. }) {
            self.be_quiet();
        }
        self.phase = Phase::Stopped;
    }

    fn be_quiet(&self) {
        self.process.quiet_cores.fetch_add(1, Ordering::AcqRel);
    }

    fn tell_all(&mut self, event: Event) {
        for slot in self.connections.slots() {
            if let Some(mut connection) = self.connections.take(slot) {
                self.happen(slot, &mut connection, event);
                self.connections.put_back(slot, connection);
            }
        }
    }

    /// The next moment at which the stop goes on.
    pub(super) fn stop_deadline(&self) -> Option<u64> {
        self.is_stopping().then(|| self.now.mono_ns + STEP_NS)
    }
}
