//! The frame: one commit.

use super::bytes::Reader;
use super::{Seed, Unknown};
use crate::limits::{BLOCK_BYTES, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, PIECE_BYTES};

const MAGIC: u32 = 0x4652_514e; // "NQRF"
const VERSION: u8 = 1;
/// Flag: the next frame goes on with the same checkpoint.
pub const CONTINUED: u16 = 1;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Records and messages.
    Data = 1,
    /// A part of the checkpoint at the start of a segment.
    Checkpoint = 2,
    /// Empty: vouches for the frames before it.
    Marker = 3,
    /// Empty: the log ended cleanly here.
    Close = 4,
}

/// The first 64 bytes of a frame. `record_offset` stands where a record count might: the area's length already
/// says how many records there are, while its place cannot be derived once the payload comes first.
///
/// ```text
///  0 magic u32        16 record_len u32      32 frame_seq u64     56 block_index u32
///  4 header_crc u32   20 table_crc u32       40 durable_seq u64   60 shard u16
///  8 kind, version    24 record_offset u32   48 segment_seq u64   62 stream u8, 0
/// 10 flags u16        28 prev_crc u32
/// 12 frame_len u32
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is for.
    pub kind: Kind,
    /// [`CONTINUED`].
    pub flags: u16,
    /// Bytes of the whole frame, a multiple of the block.
    pub frame_len: u32,
    /// Bytes of the record area.
    pub record_len: u32,
    /// Checksum of the piece table.
    pub table_crc: u32,
    /// Where the record area begins, from the frame's start.
    pub record_offset: u32,
    /// `header_crc` of the frame before: a chain, in which a lost or reordered frame shows.
    pub prev_crc: u32,
    /// One more for each frame of the shard, never reset.
    pub frame_seq: u64,
    /// Highest frame known durable when this one was placed: the proof that earlier damage is no torn tail.
    pub durable_seq: u64,
    /// Epoch: a stale frame of a recycled file passes its checksum and shows an older value.
    pub segment_seq: u64,
    /// Place in the file: a misdirected write shows.
    pub block_index: u32,
    /// Shard of the log.
    pub shard: u16,
    /// 0 is the append stream; the byte is there for a second stream.
    pub stream: u8,
}

impl FrameHeader {
    /// The 64 bytes and their checksum.
    pub fn encode(&self, seed: &Seed) -> ([u8; FRAME_HEADER_BYTES], u32) {
        let mut out = [0; FRAME_HEADER_BYTES];
        out[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        out[8] = self.kind as u8;
        out[9] = VERSION;
        out[10..12].copy_from_slice(&self.flags.to_le_bytes());
        out[12..16].copy_from_slice(&self.frame_len.to_le_bytes());
        out[16..20].copy_from_slice(&self.record_len.to_le_bytes());
        out[20..24].copy_from_slice(&self.table_crc.to_le_bytes());
        out[24..28].copy_from_slice(&self.record_offset.to_le_bytes());
        out[28..32].copy_from_slice(&self.prev_crc.to_le_bytes());
        out[32..40].copy_from_slice(&self.frame_seq.to_le_bytes());
        out[40..48].copy_from_slice(&self.durable_seq.to_le_bytes());
        out[48..56].copy_from_slice(&self.segment_seq.to_le_bytes());
        out[56..60].copy_from_slice(&self.block_index.to_le_bytes());
        out[60..62].copy_from_slice(&self.shard.to_le_bytes());
        out[62] = self.stream;
        let crc = seed.crc(&out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        (out, crc)
    }

    /// Reads a header and its checksum; `None` if these are not 64 bytes that this directory's log wrote.
    pub fn decode(bytes: &[u8], seed: &Seed) -> Option<(FrameHeader, u32)> {
        let bytes = bytes.get(..FRAME_HEADER_BYTES)?;
        let mut r = Reader::new(bytes);
        if r.u32()? != MAGIC {
            return None;
        }
        let crc = r.u32()?;
        if seed.crc(r.rest()) != crc {
            return None;
        }
        let kind = match r.u8()? {
            1 => Kind::Data,
            2 => Kind::Checkpoint,
            3 => Kind::Marker,
            4 => Kind::Close,
            _ => return None,
        };
        if r.u8()? != VERSION {
            return None;
        }
        let flags = r.u16()?;
        let frame_len = r.u32()?;
        let record_len = r.u32()?;
        let table_crc = r.u32()?;
        let header = FrameHeader {
            kind,
            flags,
            frame_len,
            record_len,
            table_crc,
            record_offset: r.u32()?,
            prev_crc: r.u32()?,
            frame_seq: r.u64()?,
            durable_seq: r.u64()?,
            segment_seq: r.u64()?,
            block_index: r.u32()?,
            shard: r.u16()?,
            stream: r.u8()?,
        };
        header.lengths_fit().then_some((header, crc))
    }

    /// What stands in a header of this log, segment and place that [`FrameHeader::decode`] does not know.
    pub fn unknown(bytes: &[u8], seed: &Seed, segment_seq: u64, block_index: u64) -> Option<Unknown> {
        let mut r = Reader::new(bytes.get(..FRAME_HEADER_BYTES)?);
        if r.u32()? != MAGIC || r.u32()? != seed.crc(r.rest()) {
            return None;
        }
        let (kind, version) = (r.u8()?, r.u8()?);
        r.take(38)?;
        if r.u64()? != segment_seq || u64::from(r.u32()?) != block_index {
            return None;
        }
        if version != VERSION {
            let (found, wanted) = (u64::from(version), u64::from(VERSION));
            return Some(Unknown { field: "frame version", found, wanted });
        }
        let (found, wanted) = (u64::from(kind), Kind::Close as u64);
        (found == 0 || found > wanted).then_some(Unknown { field: "frame kind", found, wanted })
    }

    /// True if every length lies within the frame and the frame within its limit.
    fn lengths_fit(&self) -> bool {
        let frame_len = self.frame_len as usize;
        let end = (self.record_offset as usize)
            .saturating_add(self.record_len as usize)
            .saturating_add(table_bytes(self.record_len as usize));
        (BLOCK_BYTES..=FRAME_BYTES_MAX).contains(&frame_len)
            && frame_len.is_multiple_of(BLOCK_BYTES)
            && self.record_offset as usize >= FRAME_HEADER_BYTES
            && self.record_offset.is_multiple_of(8)
            && self.record_len.is_multiple_of(8)
            && end <= frame_len
    }
}

/// Bytes of the piece table of a record area.
pub fn table_bytes(record_len: usize) -> usize {
    record_len.div_ceil(PIECE_BYTES) * 4
}

/// Appends the piece table of `records`; returns its own checksum.
pub fn put_table(out: &mut Vec<u8>, records: &[u8]) -> u32 {
    let start = out.len();
    for piece in records.chunks(PIECE_BYTES) {
        out.extend_from_slice(&crc32fast::hash(piece).to_le_bytes());
    }
    crc32fast::hash(out.get(start..).unwrap_or_default())
}

/// The record area of `frame`, or `None` if the piece table or a piece fails its check.
pub fn records<'a>(frame: &'a [u8], header: &FrameHeader) -> Option<&'a [u8]> {
    let start = header.record_offset as usize;
    let end = start.checked_add(header.record_len as usize)?;
    let records = frame.get(start..end)?;
    let table = frame.get(end..end.checked_add(table_bytes(records.len()))?)?;
    if crc32fast::hash(table) != header.table_crc {
        return None;
    }
    let good = records
        .chunks(PIECE_BYTES)
        .zip(table.chunks(4))
        .all(|(piece, word)| crc32fast::hash(piece).to_le_bytes() == *word);
    good.then_some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> FrameHeader {
        FrameHeader {
            kind: Kind::Data,
            flags: 0,
            frame_len: 8192,
            record_len: 16,
            table_crc: 9,
            record_offset: 64,
            prev_crc: 3,
            frame_seq: 7,
            durable_seq: 6,
            segment_seq: 2,
            block_index: 5,
            shard: 1,
            stream: 0,
        }
    }

    #[test]
    fn a_header_survives_the_round_trip_and_any_flipped_bit_shows() {
        let seed = Seed::new(&[1; 16], &[2; 16]);
        let (bytes, crc) = sample().encode(&seed);
        assert_eq!(FrameHeader::decode(&bytes, &seed), Some((sample(), crc)));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(&bad, &seed), None, "bit {bit}");
        }
    }

    #[test]
    fn a_header_of_another_directory_is_not_ours() {
        let (bytes, _) = sample().encode(&Seed::new(&[1; 16], &[2; 16]));
        assert_eq!(FrameHeader::decode(&bytes, &Seed::new(&[3; 16], &[2; 16])), None);
        assert_eq!(FrameHeader::decode(&bytes, &Seed::new(&[1; 16], &[3; 16])), None);
    }

    #[test]
    fn lengths_beyond_the_frame_are_refused() {
        let seed = Seed::new(&[1; 16], &[2; 16]);
        for bad in [
            FrameHeader { frame_len: 4097, ..sample() },
            FrameHeader { frame_len: 0, ..sample() },
            FrameHeader { record_len: 8192, ..sample() },
            FrameHeader { record_offset: 8, ..sample() },
            FrameHeader { record_offset: !7, ..sample() },
        ] {
            let (bytes, _) = bad.encode(&seed);
            assert_eq!(FrameHeader::decode(&bytes, &seed), None);
        }
    }
}
