//! How long something took, by classes.

use std::time::Duration;

use crate::Counter;

/// Upper bounds of the classes, in seconds: from a tenth of a millisecond to ten seconds.
pub const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// Durations by the classes of [`SECONDS`], and their sum.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each class, and one for what is beyond all of them.
    classes: [Counter; SECONDS.len() + 1],
    sum_ns: Counter,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let class = SECONDS.iter().position(|&bound| seconds <= bound).unwrap_or(SECONDS.len());
        self.classes[class].add_one();
        self.sum_ns.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many durations are at most as long as each bound, and how many there are in all.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (Option<f64>, u64)> + '_ {
        let bounds = SECONDS.iter().copied().map(Some).chain([None]);
        bounds.zip(&self.classes).scan(0, |sum, (bound, class)| {
            *sum += class.get();
            Some((bound, *sum))
        })
    }

    /// Seconds in all.
    pub(crate) fn sum_seconds(&self) -> f64 {
        self.sum_ns.get() as f64 / 1e9
    }
}
