//! Counts messages so that a loss and a duplicate cannot cancel out.
//!
//! Every body starts with a stamp that is unique in its run. Both sides add up a hash of the stamps they saw; addition
//! commutes, so the order of delivery and the split over connections do not matter. Equal count and equal sum mean
//! the same set of messages, but for a chance of about 2^-64.

use std::ops::AddAssign;

/// How many messages, and the wrapping sum of the hashes of their stamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

impl Tally {
    /// Takes one message into account.
    #[inline]
    pub(crate) fn add(&mut self, stamp: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(scramble(stamp));
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// A bijection that spreads neighbouring stamps over all 64 bits (the finisher of splitmix64): without it the sum of
/// 1 and 4 would pass for the sum of 2 and 3.
#[inline]
pub(crate) fn scramble(stamp: u64) -> u64 {
    let mut x = stamp.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(stamps: &[u64]) -> Tally {
        let mut tally = Tally::default();
        stamps.iter().for_each(|&stamp| tally.add(stamp));
        tally
    }

    #[test]
    fn order_and_split_do_not_matter() {
        let mut split = tally(&[3, 1]);
        split += tally(&[2]);
        assert_eq!(split, tally(&[1, 2, 3]));
    }

    #[test]
    fn a_loss_and_a_duplicate_do_not_cancel_out() {
        assert_ne!(tally(&[1, 2, 3]), tally(&[1, 2, 2]));
        assert_ne!(tally(&[1, 4]), tally(&[2, 3]));
    }
}
