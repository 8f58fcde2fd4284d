//! Latency histograms with fixed bounds, so that those of several threads add up.

use hdrhistogram::Histogram;

/// Shortest and longest latency told apart, in ns. Longer ones count as the longest.
const LATENCY_NS_MIN: u64 = 1;
const LATENCY_NS_MAX: u64 = 600_000_000_000;
/// Three digits: values within 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Nanoseconds, up to 10 minutes.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, SIGNIFICANT_DIGITS);
        Self(histogram.expect("invariant: the constant bounds are valid"))
    }

    #[inline]
    pub(crate) fn record(&mut self, latency_ns: u64, count: u64) {
        self.0.saturating_record_n(latency_ns, count);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("invariant: equal bounds");
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value below which `percent` of the samples lie, in µs.
    pub(crate) fn percentile_us(&self, percent: f64) -> f64 {
        self.0.value_at_percentile(percent) as f64 / 1e3
    }

    pub(crate) fn mean_us(&self) -> f64 {
        self.0.mean() / 1e3
    }

    pub(crate) fn max_us(&self) -> f64 {
        self.0.max() as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_survive_a_merge() {
        let (mut a, mut b) = (Latencies::new(), Latencies::new());
        a.record(10_000, 90);
        b.record(1_000_000, 10);
        a.merge(&b);
        assert_eq!(a.count(), 100);
        assert!((a.percentile_us(50.0) - 10.0).abs() < 0.1, "{}", a.percentile_us(50.0));
        assert!((a.percentile_us(99.0) - 1000.0).abs() < 1.0, "{}", a.percentile_us(99.0));
    }

    #[test]
    fn an_absurd_latency_saturates() {
        let mut latencies = Latencies::new();
        latencies.record(u64::MAX, 1);
        assert_eq!(latencies.count(), 1);
    }
}
