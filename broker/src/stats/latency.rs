//! End-to-end processing latency: how long it takes from a publish to its FIN, per channel, over a sliding window.
//!
//! Only with `--e2e-processing-latency-percentile`. Two histograms of half a window each take turns; the older is
//! cleared when its turn comes, so a figure covers between half a window and a whole one, as NSQ's do. A histogram keeps
//! two significant digits: the error of a quantile is below 1 %. It grows with the range of its values, to some 25 KiB.

use std::collections::HashMap;

use hdrhistogram::Histogram;
use nsq_queue::ChannelKey;

/// Latencies of one channel, to be merged with others'.
pub type Summary = Histogram<u32>;

const SIGNIFICANT_DIGITS: u8 = 2;

/// Longer latencies count as this one, in nanoseconds: 13 days.
const LATENCY_NS_MAX: u64 = 1 << 50;

/// An empty summary.
pub fn empty_summary() -> Summary {
    Histogram::new(SIGNIFICANT_DIGITS).expect("invariant: two digits are in the histogram's range")
}

/// The latencies of the channels of one core. Lives on that core.
#[derive(Debug)]
pub struct Latencies {
    half_window_ns: u64,
    windows: HashMap<ChannelKey, Window>,
}

#[derive(Debug)]
struct Window {
    halves: [Summary; 2],
    /// Which half takes what comes.
    current: usize,
    /// When the other half's turn comes, monotonic ns.
    turns_at: u64,
}

impl Latencies {
    /// With a window of `window_ns`.
    pub fn new(window_ns: u64) -> Self {
        Self { half_window_ns: (window_ns / 2).max(1), windows: HashMap::new() }
    }

    /// A message of `channel` was finished `latency_ns` after its publish.
    pub fn record(&mut self, channel: ChannelKey, now_ns: u64, latency_ns: u64) {
        let half_ns = self.half_window_ns;
        let window = self.windows.entry(channel).or_insert_with(|| Window {
            halves: [empty_summary(), empty_summary()],
            current: 0,
            turns_at: now_ns + half_ns,
        });
        window.turn(now_ns, half_ns);
        // Cannot fail: the histogram grows up to the bound.
        let _ = window.halves[window.current].record(latency_ns.clamp(1, LATENCY_NS_MAX));
    }

    /// What is known of `channel` now.
    pub fn summary(&mut self, channel: ChannelKey, now_ns: u64) -> Option<Summary> {
        let window = self.windows.get_mut(&channel)?;
        window.turn(now_ns, self.half_window_ns);
        let mut both = window.halves[0].clone();
        // Cannot fail: both grow.
        let _ = both.add(&window.halves[1]);
        Some(both)
    }

    /// Forgets the channels that are gone.
    pub fn keep(&mut self, exists: impl Fn(ChannelKey) -> bool) {
        self.windows.retain(|channel, _| exists(*channel));
    }
}

impl Window {
    fn turn(&mut self, now_ns: u64, half_ns: u64) {
        if now_ns < self.turns_at {
            return;
        }
        let turns = 1 + (now_ns - self.turns_at) / half_ns;
        for _ in 0..turns.min(2) {
            self.current = 1 - self.current;
            self.halves[self.current].reset();
        }
        self.turns_at += turns * half_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsq_queue::{ChannelId, TopicKey};

    const CHANNEL: ChannelKey = ChannelKey { topic: TopicKey(1), channel: ChannelId(2) };

    #[test]
    fn quantiles_are_within_one_percent() {
        let mut latencies = Latencies::new(1_000_000);
        let values: Vec<u64> = (1..=10_000).map(|i| i * i * 37).collect();
        values.iter().for_each(|value| latencies.record(CHANNEL, 0, *value));
        let summary = latencies.summary(CHANNEL, 0).unwrap();
        assert_eq!(summary.len(), 10_000);
        for quantile in [0.5, 0.95, 0.99, 1.0] {
            let exact = values[(quantile * 10_000.0) as usize - 1] as f64;
            let got = summary.value_at_quantile(quantile) as f64;
            assert!((got / exact - 1.0).abs() < 0.01, "{quantile}: {got} instead of {exact}");
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut latencies = Latencies::new(100);
        latencies.record(CHANNEL, 0, 5);
        latencies.record(CHANNEL, 60, 6);
        assert_eq!(latencies.summary(CHANNEL, 99).unwrap().len(), 2);
        assert_eq!(latencies.summary(CHANNEL, 110).unwrap().len(), 1, "the first half's turn has come again");
        assert_eq!(latencies.summary(CHANNEL, 500).unwrap().len(), 0);
        latencies.record(CHANNEL, 501, 7);
        assert_eq!(latencies.summary(CHANNEL, 520).unwrap().len(), 1);
    }

    #[test]
    fn a_channel_that_is_gone_is_forgotten() {
        let mut latencies = Latencies::new(100);
        latencies.record(CHANNEL, 0, 5);
        latencies.keep(|_| false);
        assert!(latencies.summary(CHANNEL, 0).is_none());
    }
}
