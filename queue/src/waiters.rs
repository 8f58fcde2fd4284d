//! Who waits for which message to be in the log.

use crate::ids::Waiter;
use std::collections::VecDeque;

/// The publishes of one topic that the log has not released yet, in order.
///
/// A connection that publishes one message after the other without waiting is one entry, not one per message.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    runs: VecDeque<Run>,
}

/// Consecutive publishes of equal size by one connection.
#[derive(Debug)]
struct Run {
    origin: u16,
    connection: u64,
    first_reply: u64,
    /// How many publishes, at least one.
    replies: u64,
    /// Messages of each publish, at least one.
    each: u64,
    /// The first message's sequence number.
    first_seq: u64,
}

impl Run {
    fn end_seq(&self) -> u64 {
        self.first_seq + self.replies * self.each
    }
}

/// Publishes to be answered together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) origin: u16,
    pub(crate) connection: u64,
    pub(crate) first_reply: u64,
    pub(crate) count: u64,
}

impl Waiters {
    /// Remembers who waits for `count` messages from `first_seq` on, which come behind all others.
    pub(crate) fn push(&mut self, first_seq: u64, count: u32, waiter: Waiter) {
        let each = u64::from(count);
        if let Some(last) = self.runs.back_mut() {
            assert!(last.end_seq() <= first_seq);
            if (last.origin, last.connection) == (waiter.origin, waiter.connection)
                && last.first_reply + last.replies == waiter.reply
                && last.each == each
                && last.end_seq() == first_seq
            {
                last.replies += 1;
                return;
            }
        }
        let Waiter { origin, connection, reply } = waiter;
        self.runs.push_back(Run { origin, connection, first_reply: reply, replies: 1, each, first_seq });
    }

    /// The next ones whose messages all lie below `committed`.
    pub(crate) fn pop_below(&mut self, committed: u64) -> Option<Answer> {
        let run = self.runs.front_mut()?;
        let count = (committed.saturating_sub(run.first_seq) / run.each).min(run.replies);
        if count == 0 {
            return None;
        }
        let answer =
            Answer { origin: run.origin, connection: run.connection, first_reply: run.first_reply, count };
        run.first_reply += count;
        run.replies -= count;
        run.first_seq += count * run.each;
        if run.replies == 0 {
            self.runs.pop_front();
        }
        Some(answer)
    }

    /// The last ones with a message at or above `from`, latest run first.
    pub(crate) fn pop_from(&mut self, from: u64) -> Option<Answer> {
        let run = self.runs.back_mut().filter(|run| run.end_seq() > from)?;
        let kept = from.saturating_sub(run.first_seq) / run.each;
        let count = run.replies - kept;
        let first_reply = run.first_reply + kept;
        let answer = Answer { origin: run.origin, connection: run.connection, first_reply, count };
        run.replies = kept;
        if kept == 0 {
            self.runs.pop_back();
        }
        Some(answer)
    }

    pub(crate) fn check(&self, committed: u64, next: u64) {
        let mut end = 0;
        for run in &self.runs {
            assert!(run.first_seq >= end);
            assert!(run.replies > 0 && run.each > 0);
            assert!(run.first_seq + run.each > committed, "somebody waits for what is in the log");
            end = run.end_seq();
        }
        assert!(end <= next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(connection: u64, reply: u64) -> Waiter {
        Waiter { origin: 0, connection, reply }
    }

    fn answer(connection: u64, first_reply: u64, count: u64) -> Option<Answer> {
        Some(Answer { origin: 0, connection, first_reply, count })
    }

    #[test]
    fn a_pipelining_connection_is_answered_in_one_go() {
        let mut waiters = Waiters::default();
        (0..10).for_each(|reply| waiters.push(reply, 1, waiter(1, reply)));
        assert_eq!(waiters.runs.len(), 1);
        assert_eq!(waiters.pop_below(4), answer(1, 0, 4));
        assert_eq!(waiters.pop_below(4), None);
        assert_eq!(waiters.pop_below(10), answer(1, 4, 6));
    }

    #[test]
    fn a_batch_is_answered_when_all_of_it_is_there() {
        let mut waiters = Waiters::default();
        waiters.push(0, 5, waiter(1, 0));
        waiters.push(5, 5, waiter(1, 1));
        waiters.push(10, 1, waiter(2, 0));
        assert_eq!(waiters.pop_below(4), None);
        assert_eq!(waiters.pop_below(9), answer(1, 0, 1));
        assert_eq!(waiters.pop_below(11), answer(1, 1, 1));
        assert_eq!(waiters.pop_below(11), answer(2, 0, 1));
    }

    #[test]
    fn a_refusal_reaches_those_behind_it_and_nobody_else() {
        let mut waiters = Waiters::default();
        (0..4).for_each(|reply| waiters.push(reply, 1, waiter(1, reply)));
        waiters.push(4, 3, waiter(2, 0));
        assert_eq!(waiters.pop_from(2), answer(2, 0, 1));
        assert_eq!(waiters.pop_from(2), answer(1, 2, 2));
        assert_eq!(waiters.pop_from(2), None);
        assert_eq!(waiters.pop_below(2), answer(1, 0, 2));
    }
}
