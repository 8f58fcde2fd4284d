//! Who lives where: a topic's shard and core, a channel's core.
//!
//! A topic belongs to a log shard by the hash of its name; the shard count is a property of the data directory,
//! never of the machine. Shard `s` is served by core `s mod cores`, so any number of cores opens any data
//! directory. A channel has a home core of its own, by hash of both names, so that one topic with many channels
//! uses every core.

/// The map from names to shards and cores. The same on every core; copied freely.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    shards: u16,
    cores: u16,
}

impl Placement {
    /// `shards` as stored in the data directory, `cores` as started. Neither may be zero.
    pub fn new(shards: u16, cores: u16) -> Self {
        assert!(shards > 0 && cores > 0, "invariant: at least one shard and one core");
        Self { shards, cores }
    }

    /// How many cores there are.
    pub fn cores(&self) -> u16 {
        self.cores
    }

    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        self.shards
    }

    /// The shard whose log holds `topic`. Stored data depends on this function: it must never change.
    pub fn shard_of(&self, topic: &str) -> u16 {
        (mix(topic.as_bytes(), FNV_OFFSET) % u64::from(self.shards)) as u16
    }

    /// The core that serves `shard`.
    pub fn core_of_shard(&self, shard: u16) -> u16 {
        shard % self.cores
    }

    /// The home core of `topic`.
    pub fn core_of_topic(&self, topic: &str) -> u16 {
        self.core_of_shard(self.shard_of(topic))
    }

    /// The home core of a channel. Nothing on disk depends on it.
    pub fn core_of_channel(&self, topic: &str, channel: &str) -> u16 {
        let hash = mix(channel.as_bytes(), mix(b":", mix(topic.as_bytes(), FNV_OFFSET)));
        (hash % u64::from(self.cores)) as u16
    }

    /// The shards that `core` serves, in rising order.
    pub fn shards_of_core(&self, core: u16) -> impl Iterator<Item = u16> + use<> {
        (core..self.shards).step_by(usize::from(self.cores))
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a with a final avalanche: the low bits of plain FNV follow the last byte too closely, and names that
/// differ in a last digit would then take turns instead of spreading.
fn mix(bytes: &[u8], seed: u64) -> u64 {
    let mut hash = seed;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_has_exactly_one_core() {
        for cores in 1..9 {
            let placement = Placement::new(7, cores);
            let mut seen = [0; 7];
            for core in 0..cores {
                for shard in placement.shards_of_core(core) {
                    assert_eq!(placement.core_of_shard(shard), core);
                    seen[usize::from(shard)] += 1;
                }
            }
            assert_eq!(seen, [1; 7]);
        }
    }

    #[test]
    fn shards_are_stable_because_stored_data_depends_on_them() {
        let placement = Placement::new(4, 2);
        let shards: Vec<u16> = ["a", "b", "orders", "sensor_data", "x#ephemeral"]
            .iter()
            .map(|name| placement.shard_of(name))
            .collect();
        assert_eq!(shards, FIXED);
    }
    const FIXED: [u16; 5] = [1, 3, 0, 3, 0];

    #[test]
    fn channels_of_one_topic_spread_over_the_cores() {
        let placement = Placement::new(4, 2);
        let on_first = (0..100).filter(|i| placement.core_of_channel("t", &format!("ch{i}")) == 0).count();
        assert!((25..=75).contains(&on_first), "{on_first} of 100");
    }
}
