//! What has happened: small entries, hashed as they are written; the last of them are kept.

use std::collections::VecDeque;
use std::fmt;

use crate::choice::mixed;

/// Entries that are kept for a failure.
const KEPT_MAX: usize = 4096;

/// One thing that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, monotonic ns.
    pub at_ns: u64,
    /// On which core; [`Entry::NO_CORE`] for what is on none.
    pub core: u16,
    /// What.
    pub what: &'static str,
    /// Its operands.
    pub operands: [u64; 3],
}

impl Entry {
    /// The core of what happens on no core.
    pub const NO_CORE: u16 = u16::MAX;
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { at_ns, core, what, operands: [a, b, c] } = self;
        write!(f, "{:>14.6} ", *at_ns as f64 / 1e9)?;
        match *core {
            Entry::NO_CORE => write!(f, "      ")?,
            core => write!(f, "core{core} ")?,
        }
        write!(f, "{what} {a} {b} {c}")
    }
}

/// The story of one world.
#[derive(Debug, Default)]
pub struct Trace {
    kept: VecDeque<Entry>,
    hash: u64,
    /// Every entry is kept, and log lines too.
    whole: bool,
    lines: VecDeque<String>,
}

impl Trace {
    /// With `whole`, nothing is dropped.
    pub fn new(whole: bool) -> Trace {
        Trace { whole, ..Trace::default() }
    }

    /// Whether text is wanted.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Writes an entry.
    pub fn add(&mut self, entry: Entry) {
        let [a, b, c] = entry.operands;
        let name = entry.what.bytes().fold(u64::from(entry.core), |hash, byte| mixed(hash ^ u64::from(byte)));
        self.hash =
            mixed(mixed(mixed(self.hash ^ entry.at_ns ^ name) ^ a) ^ b.rotate_left(21) ^ c.rotate_left(42));
        if self.whole {
            self.lines.push_back(entry.to_string());
            return;
        }
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(entry);
    }

    /// Writes a line of text, which is kept only if everything is.
    pub fn text(&mut self, text: impl FnOnce() -> String) {
        if self.whole {
            self.lines.push_back(text());
        }
    }

    /// One number for everything that has happened.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last `count` entries, oldest first.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let lines = self.lines.iter().cloned().chain(self.kept.iter().map(Entry::to_string));
        let skipped = (self.lines.len() + self.kept.len()).saturating_sub(count);
        lines.skip(skipped).collect()
    }
}
