//! Who waits for the log.

use crate::client::connection::{Connection, Hold, REPLIES_WAITING_MAX};
use crate::core::delayed::Delayed;
use crate::core::engine::Engine;
use crate::transport::Slot;

impl Engine {
    pub(super) fn hold_if_backlogged(&mut self, slot: Slot, connection: &mut Connection) {
        if connection.replies.len() >= REPLIES_WAITING_MAX || self.logs.are_backlogged() {
            self.hold_for_log(slot, connection);
        }
    }

    pub(super) fn hold_for_log(&mut self, slot: Slot, connection: &mut Connection) {
        connection.hold = Hold::Backlog;
        self.backlogged.push(slot);
    }

    /// Whether publishes that nobody can hold back at their source have to wait here.
    pub(super) fn must_delay(&self) -> bool {
        !self.delayed.is_empty() || self.logs.are_backlogged()
    }

    /// Runs what was delayed, in order, as far as the log takes it.
    pub(super) fn run_delayed(&mut self) {
        while !self.logs.are_backlogged() {
            match self.delayed.pop_front() {
                Some(Delayed::Forward(from, forward)) => self.run_forward(from, &forward),
                Some(Delayed::Request { requester, topic, defer_ms, bodies }) => {
                    self.run_publish_request(requester, &topic, defer_ms, &bodies);
                }
                None => return,
            }
        }
    }

    /// Lets connections go on that waited for the log, or for their own answers.
    pub(super) fn release_backlogged(&mut self) {
        if self.backlogged.is_empty() || self.logs.are_backlogged() {
            return;
        }
        for slot in std::mem::take(&mut self.backlogged) {
            let Some(mut connection) = self.connections.take(slot) else { continue };
            if connection.hold == Hold::Backlog {
                if connection.replies.len() < REPLIES_WAITING_MAX / 2 {
                    self.go_on(slot, &mut connection);
                } else {
                    self.backlogged.push(slot);
                }
            }
            self.connections.put_back(slot, connection);
        }
    }
}
