//! What is due for a connection, and when; by its stage.
//!
//! | stage | what | counted from | after |
//! |---|---|---|---|
//! | Magic | no magic | accept | `MAGIC_NS_MAX` |
//! | Open | no command | it began to be awaited | two heartbeats; without heartbeats `COMMAND_NS_MAX` from its first byte |
//! | Open, Held | no byte taken | the last one | a heartbeat; without heartbeats `WRITE_NS_MAX` |
//! | Open, Held | heartbeat | the last one | the first IDENTIFY's interval |
//! | Moving, Detaching | not detached | the last byte taken, the beginning | `MOVE_NS_MAX` |
//! | Ending | no byte taken while some are unsent | the last one, the beginning | `ENDING_NS_MAX` |
//! | Closing | the transport's own | | |
//!
//! A connection whose publishes are unanswered, or that waits for memory, is not silent: it is us who are slow.

use nsq_protocol::limits::HEARTBEAT_INTERVAL_MS_DEFAULT;

use crate::client::connection::Connection;
use crate::client::stage::{Event, Stage};
use crate::limits::{COMMAND_NS_MAX, ENDING_NS_MAX, MAGIC_NS_MAX, MOVE_NS_MAX, WRITE_NS_MAX};

const NS_PER_MS: u64 = 1_000_000;

/// How often heartbeats go to a client that has not said otherwise.
pub const HEARTBEAT_NS_DEFAULT: u64 = HEARTBEAT_INTERVAL_MS_DEFAULT * NS_PER_MS;

impl Connection {
    /// The earliest moment that matters, monotonic ns, and what happens then.
    pub fn deadline(&self) -> Option<(u64, Event)> {
        let progress_at = self.output.progress_at.max(self.stage_since);
        let deadlines = match self.stage {
            Stage::Magic => [Some((self.stage_since + MAGIC_NS_MAX, Event::NoMagic)), None, None],
            Stage::Open => [self.silence(), self.write(), self.heartbeat()],
            Stage::Held(_) => [None, self.write(), self.heartbeat()],
            Stage::Moving { .. } => [Some((progress_at + MOVE_NS_MAX, Event::MoveOverdue)), None, None],
            Stage::Detaching { .. } => {
                [Some((self.stage_since + MOVE_NS_MAX, Event::MoveOverdue)), None, None]
            }
            Stage::Ending(_) if self.output.is_empty() => [None; 3],
            Stage::Ending(_) => [Some((progress_at + ENDING_NS_MAX, Event::TakesNothing)), None, None],
            Stage::Closing(_) => [None; 3],
        };
        deadlines.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// When the next heartbeat is due after one at `now`.
    pub fn schedule_heartbeat(&mut self, now: u64) {
        self.heartbeat_at = now.saturating_add(self.delivery.heartbeat_ns.unwrap_or(HEARTBEAT_NS_DEFAULT));
    }

    fn silence(&self) -> Option<(u64, Event)> {
        if self.input.starved || !self.replies.is_empty() {
            return None;
        }
        match self.interval_ns() {
            Some(interval) => Some((self.waiting_since + 2 * interval, Event::Silent)),
            None if self.input.is_empty() => None,
            None => Some((self.input.begun_at.max(self.waiting_since) + COMMAND_NS_MAX, Event::Silent)),
        }
    }

    fn write(&self) -> Option<(u64, Event)> {
        let after = self.interval_ns().unwrap_or(WRITE_NS_MAX);
        self.output.is_sending().then(|| (self.output.progress_at + after, Event::TakesNothing))
    }

    fn heartbeat(&self) -> Option<(u64, Event)> {
        (self.heartbeat_at < u64::MAX).then_some((self.heartbeat_at, Event::HeartbeatDue))
    }

    /// The interval that the deadlines are counted in; `None` without heartbeats.
    fn interval_ns(&self) -> Option<u64> {
        self.session.identity().heartbeat_interval_ms.map(|ms| ms * NS_PER_MS)
    }
}
