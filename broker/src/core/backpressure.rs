//! Who waits, and goes on once there is less to write.

use crate::client::connection::Connection;
use crate::client::stage::{Stage, Why};
use crate::core::delayed::Delayed;
use crate::core::engine::Engine;
use crate::limits::UNANSWERED_BYTES_MAX;
use crate::transport::Slot;

impl Engine {
    /// Whether publishers have to wait: for the disk, or for a core that does not keep up with what it is handed.
    pub(super) fn publishers_wait(&self) -> bool {
        self.logs.are_backlogged() || self.handed.is_over()
    }

    /// After a publish of a connection: enough of it is unanswered, or there is enough to write.
    pub(super) fn hold_publisher(&mut self, slot: Slot, connection: &mut Connection) {
        if connection.stage != Stage::Open {
            return;
        }
        if connection.replies.bytes() >= UNANSWERED_BYTES_MAX as u64 {
            self.hold(slot, connection, Why::Window);
        } else if self.publishers_wait() {
            self.hold(slot, connection, Why::Log);
        }
    }

    /// Whether publishes that nobody can hold back at their source have to wait here.
    pub(super) fn must_delay(&self) -> bool {
        !self.delayed.is_empty() || self.publishers_wait()
    }

    /// Runs what was delayed, in order, as far as the log takes it.
    pub(super) fn run_delayed(&mut self) {
        while !self.publishers_wait() {
            let Some(delayed) = self.delayed.pop_front() else { return };
            self.turn_again = true;
            let left = match delayed {
                Delayed::Forward { from, forward, done } => self.run_forward(from, forward, done),
                Delayed::Request { requester, topic, defer_ms, bodies } => {
                    self.run_publish_request(requester, topic, defer_ms, bodies)
                }
            };
            if let Some(left) = left {
                self.delayed.push_front(left);
                return;
            }
        }
    }

    /// Lets those go on that had their share of the last turn.
    pub(super) fn release_last_turn(&mut self) {
        for slot in std::mem::take(&mut self.next_turn) {
            self.release(slot, Why::Turn);
        }
    }

    /// Lets connections go on: those that waited for their own client, and for the log, in order.
    pub(super) fn release_waiting(&mut self) {
        for _ in 0..self.ready.len() {
            let Some((slot, why)) = self.ready.pop_front() else { break };
            self.turn_again = true;
            self.release(slot, why);
        }
        while !self.publishers_wait() {
            let Some(slot) = self.waiting.pop_front() else { return };
            self.turn_again = true;
            self.release(slot, Why::Log);
            if self.connections.get_mut(slot).is_some_and(|c| c.stage == Stage::Held(Why::Log)) {
                // It did not get on: nobody behind it is served before.
                if let Some(back) = self.waiting.pop_back() {
                    self.waiting.push_front(back);
                }
                return;
            }
        }
    }

    fn release(&mut self, slot: Slot, why: Why) {
        let Some(mut connection) = self.connections.take(slot) else { return };
        self.go_on(slot, &mut connection, why);
        self.connections.put_back(slot, connection);
    }
}
