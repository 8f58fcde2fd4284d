//! What a channel is done with: everything below a watermark, and ranges above it.

use rangemap::RangeSet;

/// Finished sequence numbers of one channel.
///
/// FINs gather in `recent`, where one that follows the one before costs nothing but a comparison; [`Finished::settle`]
/// merges them into the ranges once per turn.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Everything below is finished.
    watermark: u64,
    /// Finished above the watermark, and not touching it.
    above: RangeSet<u64>,
    /// Finished since the last settling, in the order it happened.
    recent: Vec<(u64, u64)>,
}

impl Finished {
    pub(crate) fn new(watermark: u64) -> Finished {
        Finished { watermark, above: RangeSet::new(), recent: Vec::new() }
    }

    /// What the log knew.
    pub(crate) fn restored(watermark: u64, ranges: &[(u64, u64)]) -> Finished {
        let mut finished = Finished::new(watermark);
        for &(from, to) in ranges {
            finished.merge(from, to);
        }
        finished
    }

    pub(crate) fn watermark(&self) -> u64 {
        self.watermark
    }

    /// Ranges finished since the last settling.
    pub(crate) fn recent_len(&self) -> usize {
        self.recent.len()
    }

    #[cfg(test)]
    fn above(&self) -> impl Iterator<Item = (u64, u64)> {
        self.above.iter().map(|range| (range.start, range.end))
    }

    pub(crate) fn add(&mut self, seq: u64) {
        self.add_range(seq, seq + 1);
    }

    pub(crate) fn add_range(&mut self, from: u64, to: u64) {
        match self.recent.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => self.recent.push((from, to)),
        }
    }

    /// Merges what was added since the last time, and returns it: rising, half-open, not touching.
    pub(crate) fn settle(&mut self) -> Vec<(u64, u64)> {
        let mut recent = std::mem::take(&mut self.recent);
        if !recent.is_sorted() {
            recent.sort_unstable();
        }
        recent.dedup_by(|next, kept| {
            let touches = next.0 <= kept.1;
            if touches {
                kept.1 = kept.1.max(next.1);
            }
            touches
        });
        for &(from, to) in &recent {
            self.merge(from, to);
        }
        recent
    }

    /// Everything below is finished, whatever was known.
    pub(crate) fn reset(&mut self, watermark: u64) {
        *self = Finished::new(watermark);
    }

    fn merge(&mut self, from: u64, to: u64) {
        let from = from.max(self.watermark);
        if from >= to {
            return;
        }
        if from > self.watermark {
            self.above.insert(from..to);
            return;
        }
        self.watermark = to;
        while let Some(next) = self.above.first().filter(|next| next.start <= self.watermark).cloned() {
            self.watermark = self.watermark.max(next.end);
            self.above.remove(next);
        }
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        seq < self.watermark
            || self.above.contains(&seq)
            || self.recent.iter().any(|&(from, to)| (from..to).contains(&seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finishing_in_order_is_one_range_and_moves_the_watermark() {
        let mut finished = Finished::new(10);
        (10..20).for_each(|seq| finished.add(seq));
        assert_eq!(finished.settle(), [(10, 20)]);
        assert_eq!((finished.watermark(), finished.above().count()), (20, 0));
    }

    #[test]
    fn finishing_out_of_order_leaves_ranges_until_the_gap_closes() {
        let mut finished = Finished::new(0);
        for seq in [5, 1, 2, 4, 9] {
            finished.add(seq);
        }
        assert_eq!(finished.settle(), [(1, 3), (4, 6), (9, 10)]);
        assert_eq!(finished.watermark(), 0);
        assert!(finished.contains(4) && !finished.contains(3));
        finished.add(3);
        finished.add(0);
        assert_eq!(finished.settle(), [(0, 1), (3, 4)]);
        assert_eq!(finished.watermark(), 6);
        assert_eq!(finished.above().collect::<Vec<_>>(), [(9, 10)]);
    }

    #[test]
    fn what_the_log_knew_may_overlap() {
        let finished = Finished::restored(5, &[(3, 7), (6, 9), (12, 12), (10, 11)]);
        assert_eq!(finished.watermark(), 9);
        assert_eq!(finished.above().collect::<Vec<_>>(), [(10, 11)]);
    }
}
