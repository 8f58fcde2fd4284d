//! A hasher for keys that are integers we chose ourselves: one multiplication instead of SipHash.
//!
//! Message ids, consumer ids and topic keys come from the broker, not from a client, so nobody can choose them to collide.

use std::hash::{BuildHasherDefault, Hasher};

pub(crate) type IntMap<K, V> = hashbrown::HashMap<K, V, BuildHasherDefault<IntHasher>>;

#[derive(Default)]
pub(crate) struct IntHasher(u64);

/// 2⁶⁴ divided by the golden ratio: consecutive integers land far apart.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IntHasher {
    fn finish(&self) -> u64 {
        // The table takes its bucket from the low bits and its tag from the high ones; a product is only good at the top.
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(SPREAD);
    }
}
