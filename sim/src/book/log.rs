//! The log's book: every frame that was handed to the disk, what it says, and what has become of it.

use std::collections::BTreeMap;
use std::path::Path;

use nsq_wal::format::frame::Kind;
use nsq_wal::{Fact, FrameSlice, Record, Replay, State, TopicId};

use crate::body;
use crate::client::wire;
use crate::fail;

/// A frame of this life.
#[derive(Debug)]
pub struct Frame {
    /// What was handed out; shares its memory with the log.
    pub bytes: FrameSlice,
    /// Where it lies: the segment's number and the offset.
    pub place: (u64, u64),
    /// When it was handed out, monotonic ns.
    pub handed_at_ns: u64,
    /// The disk has all of it up to here.
    pub written_bytes: u64,
    /// Every part of it was answered as written.
    pub is_written: bool,
    /// It survives a power cut.
    pub is_durable: bool,
    /// Messages published in it.
    pub message_count: u64,
    /// It is a part of a checkpoint, in a file that may have no name yet.
    pub is_checkpoint: bool,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Where {
    /// The shard of its topic.
    pub shard: u16,
    /// The frame that has it.
    pub frame: u64,
    /// Its topic in the log.
    pub topic: TopicId,
    /// Its place in the topic.
    pub seq: u64,
    /// Its id.
    pub id: u64,
    /// The first and the end of the publish call that it came with.
    pub call: (u64, u64),
}

/// One shard's frames.
#[derive(Debug)]
pub struct ShardBook {
    /// Everything known at the start of this life, and nothing since.
    base: Replay,
    /// Frames of this life by number.
    pub frames: BTreeMap<u64, Frame>,
    /// The number before the first frame of this life.
    pub first: u64,
    /// All frames up to here are written, and durable.
    pub written_upto: u64,
    /// As `written_upto`, for what survives a power cut.
    pub durable_upto: u64,
}

/// The book of all shards.
#[derive(Debug, Default)]
pub struct LogBook {
    /// By shard.
    pub shards: BTreeMap<u16, ShardBook>,
    /// By the number in a message's body.
    pub messages: BTreeMap<u64, Where>,
    /// By id.
    pub by_id: BTreeMap<u64, u64>,
}

/// The shard in the path of a file.
pub fn shard_of(path: &Path) -> Option<u16> {
    let dir = path.parent()?.file_name()?.to_str()?;
    dir.strip_prefix("shard-")?.parse().ok()
}

impl LogBook {
    /// A life begins: this is what the shard's log has come back with.
    pub fn open(&mut self, shard: u16, replay: Replay, last_frame: u64) {
        let book = ShardBook {
            base: replay,
            frames: BTreeMap::new(),
            first: last_frame,
            written_upto: last_frame,
            durable_upto: last_frame,
        };
        self.shards.insert(shard, book);
    }

    /// A write is handed to the disk: the number of its frame, if it is one or a rest of one.
    pub fn handed_out(
        &mut self,
        shard: u16,
        path: &Path,
        offset: u64,
        bytes: &FrameSlice,
        now_ns: u64,
    ) -> Option<u64> {
        let book = self.shards.get_mut(&shard)?;
        let Some(seen) = book.base.read(bytes.as_slice()) else {
            // The header of a segment, or what a short write has left.
            let (number, _) = book.frames.iter().rev().find(|(_, frame)| {
                let (segment, start) = frame.place;
                let end = start + frame.bytes.len() as u64;
                (start..end).contains(&offset) && offset > start && name_has(path, segment)
            })?;
            return Some(*number);
        };
        // A write of which nothing was done goes again.
        if let Some(known) = book.frames.get(&seen.frame_seq)
            && known.place == (seen.segment_seq, seen.offset)
            && known.bytes.as_slice() == bytes.as_slice()
        {
            return Some(seen.frame_seq);
        }
        let mut message_count = 0;
        for fact in &seen.facts {
            let Fact::Publish(fields, range) = fact else { continue };
            message_count += u64::from(fields.count);
            let mut rest = &bytes.as_slice()[range.clone()];
            let call = (fields.first_seq, fields.first_seq + u64::from(fields.count));
            for i in 0..u64::from(fields.count) {
                let frame = wire::decode(rest);
                let Ok(Some((wire::Frame::Message(message), size))) = frame else {
                    fail!("rec1", "frame {} of shard {shard} has no message {i}: {frame:?}", seen.frame_seq);
                };
                rest = &rest[size..];
                if message.id != fields.first_id + i {
                    fail!("rec1", "message {:x} stands under the id {:x}", message.id, fields.first_id + i);
                }
                let Some(identity) = body::identify(&message.body) else {
                    fail!(
                        "del1",
                        "a body that nobody has sent is in frame {} of shard {shard}",
                        seen.frame_seq
                    );
                };
                let place = Where {
                    shard,
                    frame: seen.frame_seq,
                    topic: fields.topic,
                    seq: fields.first_seq + i,
                    id: message.id,
                    call,
                };
                if let Some(other) = self.by_id.insert(message.id, identity.number)
                    && other != identity.number
                {
                    fail!("del2", "id {:x} was given to {other:x} and to {:x}", message.id, identity.number);
                }
                self.messages.insert(identity.number, place);
            }
        }
        if seen.kind == Kind::Data && seen.facts.is_empty() {
            fail!("rec1", "frame {} of shard {shard} says nothing", seen.frame_seq);
        }
        let frame = Frame {
            bytes: bytes.clone(),
            place: (seen.segment_seq, seen.offset),
            handed_at_ns: now_ns,
            written_bytes: 0,
            is_written: false,
            is_durable: false,
            message_count,
            is_checkpoint: seen.kind == Kind::Checkpoint,
        };
        if book.frames.insert(seen.frame_seq, frame).is_some() {
            fail!("rec1", "frame {} of shard {shard} was handed out twice", seen.frame_seq);
        }
        Some(seen.frame_seq)
    }

    /// A part of a frame was answered: `size` bytes from `offset` on.
    pub fn written(&mut self, shard: u16, frame: u64, offset: u64, size: usize, dsync: bool) {
        let Some(book) = self.shards.get_mut(&shard) else { return };
        let Some(entry) = book.frames.get_mut(&frame) else { return };
        let start = offset.saturating_sub(entry.place.1);
        if start <= entry.written_bytes {
            entry.written_bytes = entry.written_bytes.max(start + size as u64);
        }
        entry.is_written = entry.written_bytes == entry.bytes.len() as u64;
        entry.is_durable |= entry.is_written && dsync;
        book.advance();
    }

    /// The frames that a sync which is handed out now would cover.
    pub fn covered_by_sync(&self, shard: u16, path: &Path) -> Vec<u64> {
        let Some(book) = self.shards.get(&shard) else { return Vec::new() };
        let written = book
            .frames
            .iter()
            .filter(|(_, frame)| frame.is_written && !frame.is_durable && name_has(path, frame.place.0));
        written.map(|(number, _)| *number).collect()
    }

    /// A sync was answered.
    pub fn synced(&mut self, shard: u16, frames: &[u64]) {
        let Some(book) = self.shards.get_mut(&shard) else { return };
        for number in frames {
            if let Some(frame) = book.frames.get_mut(number) {
                frame.is_durable = true;
            }
        }
        book.advance();
    }
}

/// Whether a path is that of a segment. Before it has its name, any file of the shard may be.
fn name_has(path: &Path, segment: u64) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    !name.starts_with("wal-") || name.contains(&format!("{segment:020}"))
}

impl ShardBook {
    fn advance(&mut self) {
        while self.frames.get(&(self.written_upto + 1)).is_some_and(|frame| frame.is_written) {
            self.written_upto += 1;
        }
        while self.frames.get(&(self.durable_upto + 1)).is_some_and(|frame| frame.is_durable) {
            self.durable_upto += 1;
        }
    }

    /// What the frames up to `last` amount to.
    pub fn replayed(&self, last: u64) -> State {
        let mut replay = self.base.clone();
        for (number, frame) in self.frames.range(..=last) {
            if !replay.apply(frame.bytes.as_slice()) {
                fail!("rec1", "frame {number} cannot be read back");
            }
        }
        replay.state().clone()
    }

    /// The last frame up to `upto` whose file has its name: a checkpoint alone proves nothing.
    pub fn named_upto(&self, upto: u64) -> u64 {
        let mut named = self.frames.range(..=upto).rev().filter(|(_, frame)| !frame.is_checkpoint);
        named.next().map_or(self.first, |(number, _)| *number)
    }

    /// The last frame that was handed out.
    pub fn last(&self) -> u64 {
        self.frames.keys().next_back().copied().unwrap_or(self.first)
    }

    /// Every record of a frame.
    pub fn records(&self, frame: u64) -> Vec<Record> {
        let seen = self.frames.get(&frame).and_then(|frame| self.base.read(frame.bytes.as_slice()));
        let facts = seen.map(|seen| seen.facts).unwrap_or_default();
        facts
            .into_iter()
            .filter_map(|fact| match fact {
                Fact::Record(record) => Some(record),
                Fact::Publish(..) => None,
            })
            .collect()
    }
}
