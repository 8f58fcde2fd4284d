//! A limit on the lines that a peer can cause.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

const S: u64 = 1_000_000_000;

/// Sources with the same rest by this number share a limit, so that a place of the code costs 1 KiB, however many
/// peers there are.
const BUCKETS: usize = 64;

/// Lines of a source that may come at once.
const BURST: u64 = 10;

/// One more per so many nanoseconds.
const INTERVAL_NS: u64 = S;

/// The limit of one place of the code: for each source ten lines at once, and then one per second. See
/// [`rate_limited`](crate::rate_limited).
pub struct RateLimit {
    buckets: [Bucket; BUCKETS],
}

struct Bucket {
    /// When the lines admitted so far would all be paid for, if each took its interval.
    paid_at_ns: AtomicU64,
    withheld_count: AtomicU32,
}

/// How many lines were not written before this one. Empty as text where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withheld(u32);

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => write!(f, " ({count} more like it were not logged)"),
        }
    }
}

impl RateLimit {
    /// For a `static`.
    pub const fn new() -> Self {
        Self {
            buckets: [const { Bucket { paid_at_ns: AtomicU64::new(0), withheld_count: AtomicU32::new(0) } };
                BUCKETS],
        }
    }

    /// Whether a line of this source may be written now, and how many were withheld before it.
    pub fn admit(&self, source: &impl Hash) -> Option<Withheld> {
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed();
        self.admit_at(source, u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    fn admit_at(&self, source: &impl Hash, now_ns: u64) -> Option<Withheld> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(source);
        let bucket = &self.buckets[hash as usize % BUCKETS];
        let pay = |paid_at_ns: u64| {
            let next = paid_at_ns.max(now_ns).saturating_add(INTERVAL_NS);
            (next <= now_ns.saturating_add(BURST * INTERVAL_NS)).then_some(next)
        };
        match bucket.paid_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay) {
            Ok(_) => Some(Withheld(bucket.withheld_count.swap(0, Ordering::Relaxed))),
            Err(_) => {
                bucket.withheld_count.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_a_burst_and_then_one_line_per_second() {
        let limit = RateLimit::new();
        let admitted = |at_ns| (0..100).filter(|_| limit.admit_at(&"a", at_ns).is_some()).count() as u64;
        assert_eq!(admitted(7), BURST);
        assert_eq!(admitted(7 + S / 2), 0);
        assert_eq!(admitted(7 + S), 1);
        assert_eq!(admitted(7 + 4 * S), 3);
        assert_eq!(admitted(1000 * S), BURST);
    }

    #[test]
    fn the_next_line_says_how_many_are_missing() {
        let limit = RateLimit::new();
        let admit = |at_ns| limit.admit_at(&"a", at_ns);
        (0..BURST).for_each(|_| assert_eq!(admit(0), Some(Withheld(0))));
        (0..3).for_each(|_| assert_eq!(admit(0), None));
        let withheld = admit(S).unwrap();
        assert_eq!(withheld.to_string(), " (3 more like it were not logged)");
        assert_eq!(admit(5 * S).unwrap().to_string(), "");
    }

    #[test]
    fn a_noisy_source_does_not_silence_the_others() {
        let limit = RateLimit::new();
        assert!((0..1000).any(|_| limit.admit_at(&"noisy", 0).is_none()));
        let heard = (0..100).filter(|source| limit.admit_at(source, 0).is_some()).count();
        assert!(heard >= 90, "{heard} of 100 others");
    }
}
