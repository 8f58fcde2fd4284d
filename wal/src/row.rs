//! Rows of the decision table; the decision itself is in `recovery/table.rs`.

/// Rows of the table, by their letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// Frame n is valid and the chain fits: accept it.
    A,
    /// Zeros or stale data, and nothing later: clean end.
    B,
    /// Damage with nothing later: a torn tail. Copied aside; the log ends there.
    C,
    /// Damage or a hole before frames that do not vouch for it: writes that overtook each other. The log ends
    /// there. Nothing from there on was acknowledged, since that takes the contiguous prefix.
    D,
    /// Damage that a later frame vouches for: acknowledged data is corrupt.
    E,
    /// A hole that a later frame vouches for: a lost write.
    F,
    /// A valid frame in the wrong place: a misdirected write, or files mixed up.
    G,
    /// Only messages fail, and a later frame vouches: rot. They are lost, their neighbours are not.
    H,
    /// The last stop was clean, and its close frame is not there.
    I,
    /// A segment of the manifest is missing.
    J,
    /// A segment outside the manifest is present: ignored, and moved aside.
    K,
}

impl Row {
    /// In a few words, for the operator.
    pub fn meaning(self) -> &'static str {
        match self {
            Row::A => "intact",
            Row::B => "clean end",
            Row::C => "torn tail",
            Row::D => "writes overtook each other",
            Row::E => "acknowledged data is corrupt",
            Row::F => "an acknowledged write is missing",
            Row::G => "a frame is in the wrong place",
            Row::H => "message bodies are corrupt",
            Row::I => "the close frame of a clean stop is missing",
            Row::J => "a segment is missing",
            Row::K => "an unknown segment is present",
        }
    }
}
