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

/// Lines of a source that may come at once, unless said otherwise.
const BURST: u64 = 10;

/// The limit of one place of the code: for each source so many lines at once, and then so many per second; ten and one
/// unless said otherwise. See [`rate_limited`](crate::rate_limited).
pub struct RateLimit {
    burst: u64,
    interval_ns: u64,
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
        Self::with(BURST, 1)
    }

    /// For lines that an operator's scripts cause by the hundred: `burst` at once, and then `per_second`.
    pub const fn with(burst: u64, per_second: u64) -> Self {
        Self {
            burst,
            interval_ns: S / per_second,
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
            let next = paid_at_ns.max(now_ns).saturating_add(self.interval_ns);
            (next <= now_ns.saturating_add(self.burst * self.interval_ns)).then_some(next)
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
    fn a_limit_of_ones_own_is_kept() {
        let limit = RateLimit::with(100, 10);
        let admitted = |at_ns| (0..1000).filter(|_| limit.admit_at(&"a", at_ns).is_some()).count();
        assert_eq!(admitted(0), 100);
        assert_eq!(admitted(S), 10);
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
