//! Sampling.

/// Draws for sampling. Statistics need no more than a xorshift.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    /// Whether a message is to be dropped: out of a hundred numbers from 0 on, those above the rate.
    pub(crate) fn drops(&mut self, sample_rate: u8) -> bool {
        if sample_rate == 0 {
            return false;
        }
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) % 100 > u64::from(sample_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_rate_lets_one_more_than_itself_pass() {
        for (rate, passes) in [(0, 100.0), (1, 2.0), (49, 50.0), (99, 100.0)] {
            let mut random = Random::new(1);
            let passed = (0..200_000).filter(|_| !random.drops(rate)).count();
            assert!((passed as f64 / 2_000.0 - passes).abs() < 0.5, "rate {rate}: {passed}");
        }
    }
}
