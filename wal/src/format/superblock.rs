//! The superblock of a data directory: two slots, written in turn, the higher valid generation wins.

use super::bytes::{Reader, put_u16, put_u32, put_u64};
use crate::limits::{BLOCK_BYTES, SHARD_COUNT_MAX};

const MAGIC: &[u8; 8] = b"NSQWSUP1";
/// Version of the directory's layout.
pub const VERSION: u16 = 1;

/// What belongs to the directory as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Identity of the log.
    pub uuid: [u8; 16],
    /// Secret that seeds every checksum of a header.
    pub salt: [u8; 16],
    /// Grows by one with each write.
    pub generation: u64,
    /// Node id at the last write; for the reader, ids stay unique when it changes.
    pub node_id: u16,
    /// True if the last stop was clean.
    pub clean: bool,
    /// Per shard, the last frame at the clean stop. Its length is the shard count.
    pub last_frame_seq: Vec<u64>,
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A superblock of this version.
    Valid(Superblock),
    /// A superblock with a good checksum, of a version or block size that we do not know.
    Foreign {
        /// Which field differs.
        field: &'static str,
        /// Its value.
        found: u64,
        /// Ours.
        wanted: u64,
    },
    /// Torn, damaged or never written.
    Bad,
}

impl Superblock {
    /// One block.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_BYTES);
        out.extend_from_slice(MAGIC);
        put_u32(&mut out, 0);
        put_u16(&mut out, VERSION);
        put_u16(&mut out, self.node_id);
        put_u32(&mut out, BLOCK_BYTES as u32);
        put_u16(&mut out, u16::try_from(self.last_frame_seq.len()).unwrap_or(u16::MAX));
        out.extend_from_slice(&[u8::from(self.clean), 0]);
        put_u64(&mut out, self.generation);
        out.extend_from_slice(&self.uuid);
        out.extend_from_slice(&self.salt);
        for seq in &self.last_frame_seq {
            put_u64(&mut out, *seq);
        }
        out.resize(BLOCK_BYTES, 0);
        let crc = crc32fast::hash(out.get(12..).unwrap_or_default());
        if let Some(field) = out.get_mut(8..12) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
        out
    }

    /// Reads a slot.
    pub fn decode(bytes: &[u8]) -> Slot {
        Self::read(bytes).unwrap_or(Slot::Bad)
    }

    fn read(bytes: &[u8]) -> Option<Slot> {
        let mut r = Reader::new(bytes.get(..BLOCK_BYTES)?);
        if r.take(8)? != MAGIC {
            return None;
        }
        let crc = r.u32()?;
        if crc32fast::hash(r.rest()) != crc {
            return None;
        }
        let version = r.u16()?;
        if version != VERSION {
            let (found, wanted) = (u64::from(version), u64::from(VERSION));
            return Some(Slot::Foreign { field: "format version", found, wanted });
        }
        let node_id = r.u16()?;
        let block_bytes = r.u32()?;
        if block_bytes as usize != BLOCK_BYTES {
            let (found, wanted) = (u64::from(block_bytes), BLOCK_BYTES as u64);
            return Some(Slot::Foreign { field: "block size", found, wanted });
        }
        let shard_count = r.u16()?;
        if shard_count == 0 || shard_count > SHARD_COUNT_MAX {
            return None;
        }
        let clean = r.bool()?;
        r.u8()?;
        let generation = r.u64()?;
        let uuid = r.array16()?;
        let salt = r.array16()?;
        let last_frame_seq = (0..shard_count).map(|_| r.u64()).collect::<Option<Vec<_>>>()?;
        Some(Slot::Valid(Superblock { uuid, salt, generation, node_id, clean, last_frame_seq }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_superblock_survives_the_round_trip_and_any_damage_shows() {
        let block = Superblock {
            uuid: [1; 16],
            salt: [2; 16],
            generation: 5,
            node_id: 1023,
            clean: true,
            last_frame_seq: vec![7; 64],
        };
        let bytes = block.encode();
        assert_eq!(Superblock::decode(&bytes), Slot::Valid(block));
        for byte in 0..BLOCK_BYTES {
            let mut bad = bytes.clone();
            bad[byte] ^= 1;
            assert_eq!(Superblock::decode(&bad), Slot::Bad);
        }
        assert_eq!(Superblock::decode(&[]), Slot::Bad);
        assert_eq!(Superblock::decode(&[0; BLOCK_BYTES]), Slot::Bad);
    }

    #[test]
    fn a_future_version_is_named_not_taken_for_damage() {
        let mut bytes = Superblock {
            uuid: [1; 16],
            salt: [2; 16],
            generation: 5,
            node_id: 0,
            clean: false,
            last_frame_seq: vec![0],
        }
        .encode();
        bytes[12] = 9;
        let crc = crc32fast::hash(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(
            Superblock::decode(&bytes),
            Slot::Foreign { field: "format version", found: 9, wanted: 1 }
        );
    }
}
