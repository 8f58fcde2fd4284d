//! Batches in memory: per topic on this core in order of sequence, and under one budget for all topics of the core.

use bytes::Bytes;

use crate::batch::Batch;
use crate::config::{COPY_BYTES_MAX, COPY_BYTES_PER_TURN_MAX, STAY_NS};
use crate::ids::TopicKey;
use crate::slab::Slab;
use crate::time::TimerKey;
use std::collections::VecDeque;

/// Messages between two remembered places of a batch, when it is not read from the front.
const MARK_DISTANCE: u64 = 64;

/// A topic as seen from a core that hosts channels of it.
pub(crate) struct LocalTopic {
    pub(crate) key: TopicKey,
    /// Where the topic lives.
    pub(crate) core: u16,
    pub(crate) memory_only: bool,
    /// Places of its channels on this core.
    pub(crate) channels: Vec<u32>,
    /// Reads under way, [`crate::config::FETCHES_MAX`] at most.
    pub(crate) fetching: Vec<Fetching>,
    /// A channel has finished something since batches were last let go.
    pub(crate) settled: bool,
    /// Rising, not overlapping; with gaps.
    batches: VecDeque<Resident>,
}

pub(crate) struct Fetching {
    pub(crate) seq: u64,
    /// The read failed, and is repeated then.
    pub(crate) retry: Option<TimerKey>,
}

struct Resident {
    batch: Batch,
    serial: u64,
    /// Where every `MARK_DISTANCE`th message begins; empty until somebody asks for a message in the middle.
    marks: Vec<u32>,
}

impl LocalTopic {
    pub(crate) fn new(key: TopicKey, core: u16, memory_only: bool) -> LocalTopic {
        LocalTopic {
            key,
            core,
            memory_only,
            channels: Vec::new(),
            fetching: Vec::new(),
            settled: false,
            batches: VecDeque::new(),
        }
    }

    /// The place of the batch that holds `seq`, if it is in memory.
    pub(crate) fn find(&self, seq: u64) -> Option<usize> {
        let index = self.batches.partition_point(|resident| resident.batch.end_seq() <= seq);
        (self.batches.get(index)?.batch.first_seq <= seq).then_some(index)
    }

    pub(crate) fn batch(&self, index: usize) -> &Batch {
        &self.batches[index].batch
    }

    /// Where the message `seq` begins in the batch that holds it.
    pub(crate) fn offset_of(&mut self, index: usize, seq: u64) -> usize {
        let Resident { batch, marks, .. } = &mut self.batches[index];
        let nth = seq - batch.first_seq;
        if nth == 0 {
            return 0;
        }
        if marks.is_empty() {
            let mut offset = 0;
            for nth in 0..u64::from(batch.count) {
                if nth % MARK_DISTANCE == 0 {
                    marks.push(offset as u32);
                }
                offset = batch.end_of(offset);
            }
        }
        let mut offset = marks[(nth / MARK_DISTANCE) as usize] as usize;
        for _ in 0..nth % MARK_DISTANCE {
            offset = batch.end_of(offset);
        }
        offset
    }

    /// Whether any part of `[from, to)` is in memory, and where that ends.
    fn overlap(&self, from: u64, to: u64) -> Option<(u64, u64)> {
        let index = self.batches.partition_point(|resident| resident.batch.end_seq() <= from);
        let batch = &self.batches.get(index)?.batch;
        (batch.first_seq < to).then(|| (batch.first_seq, batch.end_seq()))
    }

    /// The first part of `[from, to)` that is not in memory.
    pub(crate) fn next_gap(&self, mut from: u64, to: u64) -> Option<(u64, u64)> {
        while from < to {
            match self.overlap(from, to) {
                Some((there, there_end)) if there <= from => from = there_end,
                Some((there, _)) => return Some((from, there)),
                None => return Some((from, to)),
            }
        }
        None
    }

    fn insert(&mut self, batch: Batch, serial: u64) {
        let resident = Resident { batch, serial, marks: Vec::new() };
        let first = resident.batch.first_seq;
        if self.batches.back().is_none_or(|last| last.batch.end_seq() <= first) {
            self.batches.push_back(resident);
            return;
        }
        let index = self.batches.partition_point(|other| other.batch.first_seq < first);
        self.batches.insert(index, resident);
    }

    fn holds(&self, first_seq: u64, serial: u64) -> Option<usize> {
        let index = self.find(first_seq)?;
        (self.batches[index].serial == serial).then_some(index)
    }

    pub(crate) fn check(&self) {
        let mut end = 0;
        for resident in &self.batches {
            assert!(resident.batch.first_seq >= end);
            end = resident.batch.end_seq();
            assert!(resident.batch.count > 0);
        }
        assert!(self.fetching.len() <= crate::config::FETCHES_MAX);
        assert!(!self.channels.is_empty());
        if self.memory_only {
            assert!(self.fetching.is_empty());
        }
    }
}

/// The budget of a core. Batches leave in the order they came, whatever topic they belong to: what was read ahead for a
/// channel that fell behind is younger than what everybody has passed.
pub(crate) struct Cache {
    bytes: u64,
    memory_only_bytes: u64,
    count: usize,
    next_serial: u64,
    /// Batches of durable topics, oldest first; some are gone already.
    queue: VecDeque<Entry>,
    /// Those that came lately and lie in the log's memory, with the moment at which they are copied out of it.
    young: VecDeque<(u64, Entry)>,
    now_ns: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    local: u32,
    first_seq: u64,
    serial: u64,
}

impl Cache {
    pub(crate) fn new() -> Cache {
        Cache {
            bytes: 0,
            memory_only_bytes: 0,
            count: 0,
            next_serial: 0,
            queue: VecDeque::new(),
            young: VecDeque::new(),
            now_ns: 0,
        }
    }

    /// Cost of all batches of durable topics.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn memory_only_bytes(&self) -> u64 {
        self.memory_only_bytes
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Puts in what is not there yet of this batch.
    pub(crate) fn insert(&mut self, locals: &mut Slab<LocalTopic>, index: u32, batch: &Batch) {
        let local = &mut locals[index];
        let mut at = batch.first_seq;
        while let Some((from, to)) = local.next_gap(at, batch.end_seq()) {
            self.insert_part(local, index, batch.part(from, to));
            at = to;
        }
    }

    fn insert_part(&mut self, local: &mut LocalTopic, index: u32, batch: Batch) {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.count += 1;
        let cost = u64::from(batch.cost_bytes);
        if local.memory_only {
            self.memory_only_bytes += cost;
        } else {
            self.bytes += cost;
            let entry = Entry { local: index, first_seq: batch.first_seq, serial };
            self.queue.push_back(entry);
            if batch.payload.len() < COPY_BYTES_MAX {
                self.young.push_back((self.now_ns.saturating_add(STAY_NS), entry));
            }
        }
        local.insert(batch, serial);
    }

    /// Drops what lies wholly below `watermark`: every channel here has finished it.
    pub(crate) fn drop_below(&mut self, local: &mut LocalTopic, watermark: u64) {
        while local.batches.front().is_some_and(|resident| resident.batch.end_seq() <= watermark) {
            self.remove(local, 0);
        }
    }

    /// Drops batches until the budget holds.
    pub(crate) fn evict(&mut self, locals: &mut Slab<LocalTopic>, bytes_max: u64) {
        while self.bytes > bytes_max {
            let Some(entry) = self.queue.pop_front() else { break };
            let Some(local) = locals.get_mut(entry.local) else { continue };
            if let Some(index) = local.holds(entry.first_seq, entry.serial) {
                self.remove(local, index);
            }
        }
        if self.queue.len() > 2 * self.count + 64 {
            let held = |entry: &Entry| {
                locals
                    .get(entry.local)
                    .is_some_and(|local| local.holds(entry.first_seq, entry.serial).is_some())
            };
            self.queue.retain(held);
        }
    }

    /// Copies out of the log's memory what has stayed there for long enough.
    pub(crate) fn copy_out(&mut self, locals: &mut Slab<LocalTopic>, now_ns: u64) {
        self.now_ns = now_ns;
        let mut copied = 0;
        while copied < COPY_BYTES_PER_TURN_MAX
            && let Some(&(at, entry)) = self.young.front()
            && at <= now_ns
        {
            self.young.pop_front();
            let Some(local) = locals.get_mut(entry.local) else { continue };
            let Some(index) = local.holds(entry.first_seq, entry.serial) else { continue };
            let batch = &mut local.batches[index].batch;
            batch.payload = Bytes::copy_from_slice(&batch.payload);
            copied += batch.payload.len();
            self.bytes -= u64::from(batch.cost_bytes);
            batch.cost_bytes = u32::try_from(batch.payload.len()).unwrap_or(u32::MAX);
            self.bytes += u64::from(batch.cost_bytes);
        }
    }

    fn remove(&mut self, local: &mut LocalTopic, index: usize) {
        let Some(resident) = local.batches.remove(index) else { return };
        let cost = u64::from(resident.batch.cost_bytes);
        self.count -= 1;
        match local.memory_only {
            true => self.memory_only_bytes -= cost,
            false => self.bytes -= cost,
        }
    }

    pub(crate) fn check(&self, locals: &Slab<LocalTopic>) {
        let (mut bytes, mut memory_only_bytes, mut count) = (0, 0, 0);
        for (_, local) in locals.iter() {
            local.check();
            let cost: u64 = local.batches.iter().map(|resident| u64::from(resident.batch.cost_bytes)).sum();
            *(if local.memory_only { &mut memory_only_bytes } else { &mut bytes }) += cost;
            count += local.batches.len();
        }
        assert_eq!((self.bytes, self.memory_only_bytes, self.count), (bytes, memory_only_bytes, count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::batch;

    fn world() -> (Cache, Slab<LocalTopic>, u32) {
        let mut locals = Slab::new();
        let index = locals.insert(LocalTopic { channels: vec![0], ..LocalTopic::new(TopicKey(1), 0, false) });
        (Cache::new(), locals, index)
    }

    #[test]
    fn what_is_there_already_is_not_put_in_twice() {
        let (mut cache, mut locals, index) = world();
        cache.insert(&mut locals, index, &batch(4, 4, &[b"4", b"5"]));
        cache.insert(&mut locals, index, &batch(8, 8, &[b"8"]));
        let all: Vec<Vec<u8>> = (0..10).map(|n: u8| vec![b'0' + n]).collect();
        let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        cache.insert(&mut locals, index, &batch(0, 0, &all));
        cache.check(&locals);
        for seq in 0..10 {
            let place = locals[index].find(seq).unwrap();
            let offset = locals[index].offset_of(place, seq);
            let whole = locals[index].batch(place);
            assert_eq!(whole.payload[whole.end_of(offset) - 1], b'0' + seq as u8);
        }
        assert_eq!(cache.count(), 5);
    }

    #[test]
    fn what_stays_does_not_keep_a_block_of_the_log_alive() {
        use std::sync::{Arc, Weak};
        struct Block(Arc<Vec<u8>>);
        impl AsRef<[u8]> for Block {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        let (mut cache, mut locals, index) = world();
        let mut blocks: Vec<Weak<Vec<u8>>> = Vec::new();
        // One small message out of each megabyte: the rest belongs to topics that are drained.
        for seq in 0..200 {
            let small = batch(seq, seq, &[b"small"]);
            let mut block = small.payload.to_vec();
            block.resize(1 << 20, 0);
            let block = Arc::new(block);
            blocks.push(Arc::downgrade(&block));
            let payload = Bytes::from_owner(Block(block)).slice(0..small.payload.len());
            cache.insert(&mut locals, index, &Batch { payload, ..small.clone() });
            cache.copy_out(&mut locals, seq * 10_000_000);
            let alive = blocks.iter().filter(|block| block.strong_count() > 0).count();
            assert!(alive <= 12, "{alive} blocks are held for {seq} messages of 5 bytes");
            cache.check(&locals);
        }
        for seq in 0..200 {
            let place = locals[index].find(seq).unwrap();
            assert!(locals[index].batch(place).payload.ends_with(b"small"));
        }
    }

    #[test]
    fn the_oldest_batch_leaves_first() {
        let (mut cache, mut locals, index) = world();
        cache.insert(&mut locals, index, &batch(5, 5, &[b"a"]));
        cache.insert(&mut locals, index, &batch(1, 1, &[b"a"]));
        cache.evict(&mut locals, 35);
        assert_eq!((locals[index].find(5), locals[index].find(1)), (None, Some(0)));
        cache.check(&locals);
    }

    #[test]
    fn a_place_in_a_large_batch_is_found_by_its_marks() {
        let (mut cache, mut locals, index) = world();
        let bodies: Vec<Vec<u8>> = (0..500_usize).map(|n| vec![n as u8; n % 7]).collect();
        let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        cache.insert(&mut locals, index, &batch(0, 0, &bodies));
        let mut offset = 0;
        for seq in 0..500 {
            assert_eq!(locals[index].offset_of(0, seq), offset);
            offset = locals[index].batch(0).end_of(offset);
        }
    }
}
