//! The bytes on disk, as pure functions: no IO, no clock, and nothing that panics on any input.
//!
//! ```text
//! segment   | header 4 KiB | checkpoint frame(s) | frame | frame | … | zeros or stale frames |
//! frame     | header 64 B | payload: messages in delivery form | record area, 8-aligned | piece table | zeros to 4 KiB |
//! record    | kind u8 | 0 u8 | 0 u16 | body_len u32 | body | zeros to 8 |
//! message   | size u32 BE | type u32 BE = 2 | timestamp i64 BE | attempts u16 BE = 1 | id, 16 hex digits | body |
//! ```
//!
//! The payload precedes the records: a message is written once, in place, when it arrives, while the record
//! area grows in a buffer of its own and is appended when the frame is closed. All integers are little-endian
//! but those of the message, which are NSQ's.
//!
//! No byte is covered by two checksums: the header has one, every message has one word per started 8 KiB, the
//! record area has one word per 8 KiB in the piece table, and the piece table has its word in the header. The
//! padding has none.

pub(crate) mod bytes;
pub mod checkpoint;
pub mod frame;
pub mod message;
pub mod record;
pub mod segment;
pub mod superblock;

/// Something whose checksum is good and that this version does not know: of a later one, and no damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Which field.
    pub field: &'static str,
    /// What it says.
    pub found: u64,
    /// What this program knows.
    pub wanted: u64,
}

/// What makes a checksum ours: an initial CRC over the directory's secret salt and the log's uuid. A foreign or
/// forged header fails against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(u32);

impl Seed {
    /// The seed of a data directory.
    pub fn new(salt: &[u8; 16], uuid: &[u8; 16]) -> Seed {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(salt);
        hasher.update(uuid);
        Seed(hasher.finalize())
    }

    /// CRC of `bytes` after the salt and the uuid.
    pub fn crc(&self, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(bytes);
        hasher.finalize()
    }
}
