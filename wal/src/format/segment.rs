//! The first block of a segment.

use super::bytes::{Reader, put_u16, put_u32, put_u64};
use super::{Seed, Unknown};
use crate::limits::BLOCK_BYTES;

const MAGIC: &[u8; 8] = b"NSQWSEG1";
/// Version of segments and frames.
pub const VERSION: u16 = 1;

/// What a segment says of itself. The manifest and the message-id reservation are part of the checkpoint that
/// follows at once, so the header always fits in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Uuid of the data directory.
    pub uuid: [u8; 16],
    /// Shard of the log.
    pub shard: u16,
    /// 0 is the append stream.
    pub stream: u8,
    /// Number of the segment: the epoch of its frames.
    pub segment_seq: u64,
    /// Bytes of the file.
    pub segment_bytes: u64,
    /// Sequence number of the first frame.
    pub first_frame_seq: u64,
    /// `prev_crc` of the first frame.
    pub prev_crc: u32,
    /// The segment before; 0 if there is none.
    pub prev_segment_seq: u64,
    /// Where the segment before ends. What lies behind was cut off and must not come back.
    pub prev_end_offset: u64,
}

impl SegmentHeader {
    /// One block.
    pub fn encode(&self, seed: &Seed) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_BYTES);
        out.extend_from_slice(MAGIC);
        put_u32(&mut out, 0);
        put_u16(&mut out, VERSION);
        put_u16(&mut out, self.shard);
        put_u32(&mut out, BLOCK_BYTES as u32);
        out.extend_from_slice(&[self.stream, 0, 0, 0]);
        out.extend_from_slice(&self.uuid);
        put_u64(&mut out, self.segment_seq);
        put_u64(&mut out, self.segment_bytes);
        put_u64(&mut out, self.first_frame_seq);
        put_u64(&mut out, self.prev_segment_seq);
        put_u64(&mut out, self.prev_end_offset);
        put_u32(&mut out, self.prev_crc);
        out.resize(BLOCK_BYTES, 0);
        let crc = seed.crc(out.get(12..).unwrap_or_default());
        if let Some(field) = out.get_mut(8..12) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
        out
    }

    /// What stands in a header of this log that [`SegmentHeader::decode`] does not know.
    pub fn unknown(bytes: &[u8], seed: &Seed) -> Option<Unknown> {
        let mut r = Reader::new(bytes.get(..BLOCK_BYTES)?);
        if r.take(8)? != MAGIC || r.u32()? != seed.crc(r.rest()) {
            return None;
        }
        let version = r.u16()?;
        if version != VERSION {
            let (found, wanted) = (u64::from(version), u64::from(VERSION));
            return Some(Unknown { field: "segment version", found, wanted });
        }
        r.u16()?;
        let (found, wanted) = (u64::from(r.u32()?), BLOCK_BYTES as u64);
        (found != wanted).then_some(Unknown { field: "block size", found, wanted })
    }

    /// Reads a header; `None` if this is not a block that this directory's log wrote.
    pub fn decode(bytes: &[u8], seed: &Seed) -> Option<SegmentHeader> {
        let mut r = Reader::new(bytes.get(..BLOCK_BYTES)?);
        if r.take(8)? != MAGIC {
            return None;
        }
        let crc = r.u32()?;
        if seed.crc(r.rest()) != crc {
            return None;
        }
        if r.u16()? != VERSION {
            return None;
        }
        let shard = r.u16()?;
        if r.u32()? as usize != BLOCK_BYTES {
            return None;
        }
        let stream = r.u8()?;
        r.take(3)?;
        Some(SegmentHeader {
            uuid: r.array16()?,
            shard,
            stream,
            segment_seq: r.u64()?,
            segment_bytes: r.u64()?,
            first_frame_seq: r.u64()?,
            prev_segment_seq: r.u64()?,
            prev_end_offset: r.u64()?,
            prev_crc: r.u32()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_header_survives_the_round_trip_and_any_damage_shows() {
        let seed = Seed::new(&[5; 16], &[6; 16]);
        let header = SegmentHeader {
            uuid: [6; 16],
            shard: 3,
            stream: 0,
            segment_seq: 9,
            segment_bytes: 1 << 22,
            first_frame_seq: 100,
            prev_crc: 77,
            prev_segment_seq: 8,
            prev_end_offset: 40960,
        };
        let bytes = header.encode(&seed);
        assert_eq!(bytes.len(), BLOCK_BYTES);
        assert_eq!(SegmentHeader::decode(&bytes, &seed), Some(header));
        for byte in 0..BLOCK_BYTES {
            let mut bad = bytes.clone();
            bad[byte] ^= 0x10;
            assert_eq!(SegmentHeader::decode(&bad, &seed), None, "byte {byte}");
        }
    }
}
