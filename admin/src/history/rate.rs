//! From counters to rates.

/// Counters and gauges of one topic or channel on one node, as `/stats` gave them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// `message_count`.
    pub messages: u64,
    /// `depth`, in memory and on disk.
    pub depth: u64,
    /// `in_flight_count`; 0 for a topic.
    pub in_flight: u64,
    /// `deferred_count`; 0 for a topic.
    pub deferred: u64,
    /// `requeue_count`; 0 for a topic.
    pub requeued: u64,
    /// `timeout_count`; 0 for a topic.
    pub timed_out: u64,
}

impl Counters {
    /// Messages that are here, in whatever state.
    pub fn held(self) -> u64 {
        self.depth.saturating_add(self.in_flight).saturating_add(self.deferred)
    }

    /// Messages that came back.
    pub fn redone(self) -> u64 {
        self.requeued.saturating_add(self.timed_out)
    }

    fn fell(self, before: Counters) -> bool {
        self.messages < before.messages
            || self.requeued < before.requeued
            || self.timed_out < before.timed_out
    }
}

/// When a node was asked, and since when it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds on a clock that never steps.
    pub at_ms: u64,
    /// `start_time` of the node, Unix seconds.
    pub start_time: i64,
}

/// Messages a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// Published.
    pub incoming: f32,
    /// Left: finished, emptied, dropped.
    pub outgoing: f32,
    /// Came back: requeued or timed out.
    pub redo: f32,
    /// Of these, timed out.
    pub timed_out: f32,
}

impl Flow {
    /// Nothing moves.
    pub const ZERO: Flow = Flow { incoming: 0.0, outgoing: 0.0, redo: 0.0, timed_out: 0.0 };

    /// The sum of two.
    pub fn plus(self, other: Flow) -> Flow {
        Flow {
            incoming: self.incoming + other.incoming,
            outgoing: self.outgoing + other.outgoing,
            redo: self.redo + other.redo,
            timed_out: self.timed_out + other.timed_out,
        }
    }
}

/// The flow between two samples of one node; none where no rate can be told: the node was started anew, a counter fell
/// (the channel was deleted and came again), or no time has passed.
pub fn flow(before: (Moment, Counters), now: (Moment, Counters)) -> Option<Flow> {
    let ((then, old), (at, new)) = (before, now);
    if at.start_time != then.start_time || at.at_ms <= then.at_ms || new.fell(old) {
        return None;
    }
    let seconds = (at.at_ms - then.at_ms) as f32 / 1_000.0;
    let came = new.messages - old.messages;
    // Counters are not read under one lock, so this may be a few below the truth, or even below nothing.
    let left = (i128::from(came) - (i128::from(new.held()) - i128::from(old.held()))).max(0);
    Some(Flow {
        incoming: came as f32 / seconds,
        outgoing: left as f32 / seconds,
        redo: (new.redone() - old.redone()) as f32 / seconds,
        timed_out: (new.timed_out - old.timed_out) as f32 / seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: u64) -> Moment {
        Moment { at_ms, start_time: 1 }
    }

    fn counters(messages: u64, depth: u64) -> Counters {
        Counters { messages, depth, ..Counters::default() }
    }

    #[test]
    fn out_is_what_came_and_is_no_longer_there() {
        let old = Counters { messages: 100, depth: 50, in_flight: 5, deferred: 2, requeued: 1, timed_out: 0 };
        let new = Counters { messages: 200, depth: 20, in_flight: 9, deferred: 0, requeued: 4, timed_out: 7 };
        let flow = flow((at(0), old), (at(10_000), new)).expect("a rate");
        assert_eq!(flow, Flow { incoming: 10.0, outgoing: 12.8, redo: 1.0, timed_out: 0.7 });
    }

    #[test]
    fn time_is_what_passed_and_not_what_was_meant() {
        let rate = |ms: u64| {
            flow((at(5), counters(0, 0)), (at(5 + ms), counters(100, 100))).expect("a rate").incoming
        };
        assert_eq!((rate(10_000), rate(20_000), rate(2_500)), (10.0, 5.0, 40.0));
    }

    #[test]
    fn no_rate_across_a_restart_a_fallen_counter_or_a_clock_that_stands() {
        let (old, new) = (counters(100, 0), counters(200, 0));
        let restarted = Moment { at_ms: 10_000, start_time: 2 };
        assert_eq!(flow((at(0), old), (restarted, new)), None);
        assert_eq!(flow((at(0), new), (at(10_000), old)), None);
        assert_eq!(flow((at(10_000), old), (at(10_000), new)), None);
        assert_eq!(flow((at(10_000), old), (at(9_000), new)), None);
        let (requeued, fewer) = (Counters { requeued: 5, ..old }, Counters { requeued: 4, ..new });
        assert_eq!(flow((at(0), requeued), (at(10_000), fewer)), None);
    }

    #[test]
    fn out_is_never_below_nothing() {
        let flow = flow((at(0), counters(100, 0)), (at(1_000), counters(100, 3))).expect("a rate");
        assert_eq!(flow.outgoing, 0.0);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let most = Counters {
            messages: u64::MAX,
            depth: u64::MAX,
            in_flight: u64::MAX,
            deferred: 1,
            requeued: u64::MAX,
            timed_out: u64::MAX,
        };
        assert!(flow((at(0), Counters::default()), (at(1), most)).is_some());
    }
}
