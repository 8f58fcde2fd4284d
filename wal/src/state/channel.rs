//! What is durable of a channel.

use std::collections::BTreeMap;
use std::ops::Range;

use rangemap::RangeSet;

/// A channel: a watermark, and exceptions above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelState {
    pub(crate) name: String,
    pub(crate) paused: bool,
    pub(crate) watermark: u64,
    pub(crate) finished: RangeSet<u64>,
    pub(crate) requeued: BTreeMap<u64, Requeued>,
}

/// A message that went back to its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requeued {
    /// Deliveries so far.
    pub attempts: u16,
    /// Wall clock, nanoseconds since 1970; 0 is "at once".
    pub due_at_ns: i64,
}

impl ChannelState {
    pub(crate) fn new(name: &str, from: u64) -> ChannelState {
        ChannelState {
            name: name.to_owned(),
            paused: false,
            watermark: from,
            finished: RangeSet::new(),
            requeued: BTreeMap::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Everything below is finished.
    pub fn watermark(&self) -> u64 {
        self.watermark
    }

    /// Finished ranges above the watermark, half-open and in order.
    pub fn finished(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.finished.iter().map(|r| (r.start, r.end))
    }

    /// Messages that went back, by sequence.
    pub fn requeued(&self) -> impl Iterator<Item = (u64, Requeued)> + '_ {
        self.requeued.iter().map(|(seq, requeued)| (*seq, *requeued))
    }

    /// True if `seq` is finished.
    pub fn is_finished(&self, seq: u64) -> bool {
        seq < self.watermark || self.finished.contains(&seq)
    }

    /// True if all of `seqs` are finished.
    pub(crate) fn has_finished(&self, seqs: &Range<u64>) -> bool {
        let start = seqs.start.max(self.watermark);
        // Ranges that touch are one: what is finished as a whole lies in a single range.
        start >= seqs.end || self.finished.get(&start).is_some_and(|range| range.end >= seqs.end)
    }

    pub(crate) fn finish(&mut self, start: u64, end: u64) {
        let start = start.max(self.watermark);
        if start >= end {
            return;
        }
        if start == self.watermark {
            self.raise(end);
        } else {
            self.finished.insert(start..end);
        }
        // The common case is one message that was never requeued; the map is empty or small.
        if !self.requeued.is_empty() {
            while let Some((seq, _)) = self.requeued.range(start..end).next() {
                let seq = *seq;
                self.requeued.remove(&seq);
            }
        }
    }

    /// Everything below `end` is finished.
    pub(crate) fn finish_below(&mut self, end: u64) {
        let start = self.watermark;
        self.finish(start, end);
    }

    fn raise(&mut self, end: u64) {
        self.watermark = end;
        if self.finished.is_empty() {
            return;
        }
        self.finished.remove(0..end);
        // The first range may begin exactly here now.
        if let Some(first) = self.finished.first().filter(|r| r.start == end).cloned() {
            self.watermark = first.end;
            self.finished.remove(first);
        }
    }

    pub(crate) fn requeue(&mut self, seq: u64, requeued: Requeued) {
        if !self.is_finished(seq) {
            self.requeued.insert(seq, requeued);
        }
    }

    pub(crate) fn check(&self) {
        if let Some(first) = self.finished.first() {
            assert!(first.start > self.watermark, "finished range touches the watermark");
        }
        for seq in self.requeued.keys() {
            assert!(!self.is_finished(*seq), "requeued and finished: {seq}");
        }
    }
}
