//! A message in delivery form, and its check words.

use crate::limits::{MESSAGE_HEADER_BYTES, PIECE_BYTES};

/// Bytes of a message with a body of `body_bytes`.
pub fn delivery_bytes(body_bytes: usize) -> usize {
    MESSAGE_HEADER_BYTES.saturating_add(body_bytes)
}

/// Check words of a message of `delivery_bytes`: one per started 8 KiB.
pub fn word_count(delivery_bytes: usize) -> usize {
    delivery_bytes.div_ceil(PIECE_BYTES)
}

/// The 34 bytes before the body: exactly what a consumer receives on the first delivery.
pub fn header(body_bytes: u32, timestamp_ns: i64, id: u64) -> [u8; MESSAGE_HEADER_BYTES] {
    let mut out = [0; MESSAGE_HEADER_BYTES];
    // The size counts what follows it: type, timestamp, attempts, id and body.
    out[0..4].copy_from_slice(&body_bytes.saturating_add(30).to_be_bytes());
    out[4..8].copy_from_slice(&2u32.to_be_bytes());
    out[8..16].copy_from_slice(&timestamp_ns.to_be_bytes());
    out[16..18].copy_from_slice(&1u16.to_be_bytes());
    out[18..34].copy_from_slice(&id_hex(id));
    out
}

/// A message id as its 16 lower-case hex digits.
pub fn id_hex(id: u64) -> [u8; 16] {
    // Eight bytes become sixteen nibbles, then all digits at once: digit + '0', and 39 more above nine.
    const LOW: u128 = 0x0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f;
    const ONE: u128 = 0x0101_0101_0101_0101_0101_0101_0101_0101;
    let mut x = u128::from(id);
    x = (x | (x << 32)) & 0x0000_0000_ffff_ffff_0000_0000_ffff_ffff;
    x = (x | (x << 16)) & 0x0000_ffff_0000_ffff_0000_ffff_0000_ffff;
    x = (x | (x << 8)) & 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff;
    x = (x | (x << 4)) & LOW;
    let above_nine = ((x + ONE * 6) >> 4) & ONE;
    (x + ONE * u128::from(b'0') + above_nine * 39).to_be_bytes()
}

/// Appends the check words of a message.
pub fn put_words(out: &mut Vec<u8>, message: &[u8]) {
    for piece in message.chunks(PIECE_BYTES) {
        out.extend_from_slice(&crc32fast::hash(piece).to_le_bytes());
    }
}

/// True if `message` has these check words.
pub fn words_match(message: &[u8], words: &[u8]) -> bool {
    words.len() == word_count(message.len()) * 4
        && message
            .chunks(PIECE_BYTES)
            .zip(words.chunks(4))
            .all(|(piece, word)| crc32fast::hash(piece).to_le_bytes() == *word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_what_a_consumer_receives() {
        let h = header(5, 0x0102_0304_0506_0708, 0xdead_beef_0000_9a1f);
        assert_eq!(&h[0..8], &[0, 0, 0, 35, 0, 0, 0, 2]);
        assert_eq!(&h[8..16], &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(&h[16..18], &[0, 1]);
        assert_eq!(&h[18..34], b"deadbeef00009a1f");
    }

    #[test]
    fn id_digits_equal_the_formatter() {
        let mut x = 1u64;
        for _ in 0..10_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            assert_eq!(id_hex(x), format!("{x:016x}").as_bytes());
        }
    }

    #[test]
    fn words_see_every_single_bit() {
        let mut message = vec![7u8; PIECE_BYTES + 10];
        let mut words = Vec::new();
        put_words(&mut words, &message);
        assert!(words_match(&message, &words));
        for bit in [0, 8 * PIECE_BYTES - 1, 8 * PIECE_BYTES, 8 * (PIECE_BYTES + 10) - 1] {
            message[bit / 8] ^= 1 << (bit % 8);
            assert!(!words_match(&message, &words));
            message[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
