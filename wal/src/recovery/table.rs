//! The decision table: what a place in the log that is not the next frame means.

use crate::row::Row;

/// What is found where frame n is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Frame n, whole, and the chain fits.
    Good,
    /// Frame n with header and records good, and at least one message that fails its check words.
    MessageBad,
    /// A block of zeros, or the end of the segment.
    Zeros,
    /// A valid header of an earlier life of the file.
    Stale,
    /// A valid header that belongs to another place, shard or segment.
    Misplaced,
    /// Anything else.
    Bad,
}

/// What is found behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// No frame of this segment.
    Nothing,
    /// Frames, none of which vouches for frame n.
    Unvouched,
    /// A later frame, or a clean stop, says that frame n was durable.
    Vouched,
}

/// The decision. Whether a clean stop is the only witness is the caller's knowledge: see [`Row::I`].
pub fn decide(found: Found, later: Later) -> Row {
    match (found, later) {
        (Found::Good, _) => Row::A,
        (Found::Misplaced, _) => Row::G,
        (Found::Zeros | Found::Stale, Later::Nothing) => Row::B,
        (Found::Bad | Found::MessageBad, Later::Nothing) => Row::C,
        (_, Later::Unvouched) => Row::D,
        (Found::MessageBad, Later::Vouched) => Row::H,
        (Found::Bad, Later::Vouched) => Row::E,
        (Found::Zeros | Found::Stale, Later::Vouched) => Row::F,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_the_row_of_the_table() {
        use Found::*;
        let rows = [
            (Good, [Row::A, Row::A, Row::A]),
            (MessageBad, [Row::C, Row::D, Row::H]),
            (Zeros, [Row::B, Row::D, Row::F]),
            (Stale, [Row::B, Row::D, Row::F]),
            (Misplaced, [Row::G, Row::G, Row::G]),
            (Bad, [Row::C, Row::D, Row::E]),
        ];
        for (found, expected) in rows {
            let later = [Later::Nothing, Later::Unvouched, Later::Vouched];
            assert_eq!(later.map(|l| decide(found, l)), expected, "{found:?}");
        }
    }
}
