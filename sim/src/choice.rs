//! Draws by key. No draw comes from a running stream: it is a function of seed, step, purpose and its number, so that
//! a step can be cut out of a plan and the others stay as they were.

/// What a draw is for. Each purpose has its own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The mix of a seed.
    Mix = 1,
    /// The steps of a seed.
    Plan,
    /// What happens after a step.
    Schedule,
    /// What clients do with what they read.
    Clients,
    /// What goes wrong on the disk.
    Disk,
    /// How long operations take.
    Latency,
    /// How the clock moves within turns.
    Clock,
    /// How a life ends and the next one begins.
    Life,
    /// The record oracle's cuts.
    Oracle,
    /// The filler of bodies.
    Body,
}

/// The numbers of one step and purpose.
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// Begins anew for every step.
    pub fn new(seed: u64, step: u64, purpose: Purpose) -> Draws {
        Draws(mixed(mixed(mixed(seed) ^ step) ^ (purpose as u64) << 56))
    }

    /// The next 64 bits (splitmix64).
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// Below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.draw() % end }
    }

    /// From `low` to `high`, both included.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `n` times out of 100.
    pub fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// A place, each as likely as its weight says. None if all weights are 0.
    pub fn weighted(&mut self, weights: &[u64]) -> Option<usize> {
        let mut at = self.below(weights.iter().sum());
        weights.iter().position(|weight| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        })
    }
}

/// A number that looks random, of one that does not.
pub fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_its_numbers_whatever_came_before() {
        let mut one = Draws::new(7, 3, Purpose::Plan);
        let mut two = Draws::new(7, 3, Purpose::Plan);
        assert_eq!(one.draw(), two.draw());
        assert_ne!(Draws::new(7, 4, Purpose::Plan).draw(), Draws::new(7, 3, Purpose::Plan).draw());
        assert_ne!(Draws::new(7, 3, Purpose::Disk).draw(), Draws::new(7, 3, Purpose::Plan).draw());
    }

    #[test]
    fn weights_of_zero_are_never_picked() {
        let mut draws = Draws::new(1, 1, Purpose::Plan);
        for _ in 0..100 {
            assert_eq!(draws.weighted(&[0, 3, 0]), Some(1));
        }
        assert_eq!(draws.weighted(&[0, 0]), None);
    }
}
