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

use crate::core::action::Action;
use crate::core::engine::Engine;
use crate::core::phase::Phase;

/// How long connections may take to send what is under way.
const DRAIN_NS_MAX: u64 = 1_000_000_000;

/// How long the logs may take to write what is left.
const CLOSE_NS_MAX: u64 = 10_000_000_000;

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
        match self.phase {
            Phase::Running => {
                self.phase = Phase::Draining { until: now + DRAIN_NS_MAX };
                for slot in self.connections.slots() {
                    if let Some(mut connection) = self.connections.take(slot) {
                        self.close(slot, &mut connection);
                        self.connections.put_back(slot, connection);
                    }
                }
                self.queue.handle(self.now, Input::Stop);
                return true;
            }
            Phase::Draining { until } => {
                let late = now >= until;
                if late {
                    self.abort_connections();
                }
                if self.connections.len() == 0 || late {
                    self.process.quiet_cores.fetch_add(1, Ordering::AcqRel);
                    self.phase = Phase::Quiet;
                }
            }
            Phase::Quiet => {
                let all =
                    self.process.quiet_cores.load(Ordering::Acquire) == usize::from(self.placement.cores());
                if all && idle && self.mesh.is_empty() {
                    self.logs.close(now);
                    self.phase = Phase::Closing { until: now + CLOSE_NS_MAX };
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

    /// Abandons what the transport does not close in time.
    fn abort_connections(&mut self) {
        for slot in self.connections.slots() {
            self.actions.push_back(Action::Abort(slot));
        }
    }

    /// The next moment at which the stop goes on.
    pub(super) fn stop_deadline(&self) -> Option<u64> {
        self.is_stopping().then(|| self.now.mono_ns + STEP_NS)
    }
}
