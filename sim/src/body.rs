//! Bodies that can be checked alone: each says who it is, and the rest follows from that.

use crate::choice::mixed;

/// The bytes that say who a message is. No body is shorter.
pub const IDENTITY_BYTES: usize = 16;

/// Who a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Unique in its world: the number of the step, and the place within it.
    pub number: u64,
    /// The topic it was published to.
    pub topic: u16,
}

/// The number of the n-th message of a step.
pub fn number(step: u64, n: u64) -> u64 {
    step << 16 | n
}

/// A body of `size` bytes, but never shorter than its identity.
pub fn body(identity: Identity, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size.max(IDENTITY_BYTES));
    bytes.extend_from_slice(&identity.number.to_be_bytes());
    bytes.extend_from_slice(&identity.topic.to_be_bytes());
    bytes.extend_from_slice(&(size as u32).to_be_bytes());
    bytes.extend_from_slice(b"ok");
    let mut state = identity.number;
    while bytes.len() < size {
        state = mixed(state.wrapping_add(1));
        let left = size - bytes.len();
        bytes.extend_from_slice(&state.to_be_bytes()[..left.min(8)]);
    }
    bytes
}

/// Who a body is, if it is whole and unchanged.
pub fn identify(bytes: &[u8]) -> Option<Identity> {
    let number = u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
    let topic = u16::from_be_bytes(bytes.get(8..10)?.try_into().ok()?);
    let size = u32::from_be_bytes(bytes.get(10..14)?.try_into().ok()?) as usize;
    let identity = Identity { number, topic };
    (size.max(IDENTITY_BYTES) == bytes.len() && body(identity, size) == bytes).then_some(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_known_and_a_changed_one_is_not() {
        for size in [0, 16, 17, 100, 4_000] {
            let identity = Identity { number: number(77, 3), topic: 2 };
            let mut bytes = body(identity, size);
            assert_eq!(identify(&bytes), Some(identity));
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            assert_eq!(identify(&bytes), None);
        }
    }
}
