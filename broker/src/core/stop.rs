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

/// How long the other cores may take to become quiet. Longer than each of them may take, so that only one that has
/// stopped working is not waited for.
const QUIET_NS_MAX: u64 = 3_000_000_000;

/// How long each phase may take when the process cannot go on. It is to be gone within a second: what was acknowledged
/// is on disk, and the rest waits for a disk or a core that has failed.
const FAILED_NS_MAX: u64 = 200_000_000;

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
        if self.process.has_failed() {
            self.phase.hurry(now + FAILED_NS_MAX);
        }
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
                    self.be_quiet();
                    self.phase = Phase::Quiet { until: now + QUIET_NS_MAX };
                }
            }
            Phase::Quiet { until } => {
                let all =
                    self.process.quiet_cores.load(Ordering::Acquire) == usize::from(self.placement.cores());
                if (all && idle && self.mesh.is_empty()) || now >= until {
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
