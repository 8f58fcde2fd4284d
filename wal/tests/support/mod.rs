//! A log on a faulty disk, its clock, and a model of what it has promised.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "every test file uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nsq_wal::disk::fault::{Chance, FaultDisk};
use nsq_wal::format::Seed;
use nsq_wal::format::segment::SegmentHeader;
use nsq_wal::{
    Batch, ChannelId, DataDir, DataDirOptions, Disk, Durability, Event, Io, Log, LogOptions, LostMessages,
    Publish, ReadFailure, Record, RecoveryReport, Refused, TopicId, WalError,
};

pub const TOPIC: TopicId = TopicId(0);
pub const CHANNEL: ChannelId = ChannelId(0);
pub const ROOT: &str = "/data";

/// Small segments, so that a short test rolls.
pub fn options(durability: Durability) -> LogOptions {
    LogOptions {
        durability,
        segment_bytes_first: 128 * 1024,
        segment_bytes_max: 256 * 1024,
        reserve_bytes: 128 * 1024,
        ..LogOptions::new(0, 5)
    }
}

pub fn open_dir(disk: &FaultDisk) -> Result<DataDir, WalError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = DataDirOptions { shard_count_if_new: 1, node_id: 5, entropy: [3; 32] };
    DataDir::open(&disk, Path::new(ROOT), &options)
}

pub fn shard_file(name: &str) -> PathBuf {
    Path::new(ROOT).join("shard-00").join(name)
}

/// Paths of the segments that hold something, oldest first: the next one has its name before it is begun.
pub fn segment_paths(disk: &FaultDisk) -> Vec<PathBuf> {
    let seed = Seed::new(&[3; 16], &[3; 16]);
    let is_begun = |p: &PathBuf| {
        let seq = named_segment(p);
        let header = disk.content(p).and_then(|bytes| SegmentHeader::decode(&bytes, &seed));
        seq.is_some() && header.map(|h| h.segment_seq) == seq
    };
    disk.paths().into_iter().filter(is_begun).collect()
}

/// Number of the segment whose name a path is.
fn named_segment(path: &Path) -> Option<u64> {
    let shard = Path::new(ROOT).join("shard-00");
    let name = path.file_name()?.to_str()?.strip_prefix("wal-")?.strip_suffix(".seg")?;
    name.parse().ok().filter(|_| path.parent() == Some(&shard))
}

pub fn broken_paths(disk: &FaultDisk) -> Vec<PathBuf> {
    let broken = Path::new(ROOT).join("broken");
    disk.paths().into_iter().filter(|p| p.parent() == Some(&broken)).collect()
}

/// The body of a message, recognisable by topic and sequence.
pub fn body(topic: TopicId, seq: u64, len: usize) -> Vec<u8> {
    let mut chance = Chance::new(u64::from(topic.0) << 40 ^ seq);
    (0..len).map(|_| chance.draw() as u8).collect()
}

/// Bodies of a payload in delivery form, and their ids; panics unless every message is well-formed.
pub fn split(batch: &Batch) -> Vec<(u64, Vec<u8>)> {
    let mut rest: &[u8] = &batch.payload;
    let mut out = Vec::new();
    for i in 0..u64::from(batch.count) {
        let size = u32::from_be_bytes(rest[0..4].try_into().unwrap()) as usize;
        assert_eq!(&rest[4..8], [0, 0, 0, 2]);
        assert_eq!(&rest[16..18], [0, 1]);
        let id = u64::from_str_radix(std::str::from_utf8(&rest[18..34]).unwrap(), 16).unwrap();
        assert_eq!(id, batch.first_id + i);
        out.push((id, rest[34..size + 4].to_vec()));
        rest = &rest[size + 4..];
    }
    assert!(rest.is_empty());
    out
}

/// What was promised about one topic.
#[derive(Clone, Debug, Default)]
pub struct Promise {
    /// Everything published in this life or recovered from an earlier one: length of the body.
    pub attempted: BTreeMap<u64, usize>,
    /// Start and end of each publish call.
    pub groups: Vec<(u64, u64)>,
    pub released: BTreeSet<u64>,
    pub finished: BTreeSet<u64>,
    pub next_seq: u64,
}

/// Answer to a fetch: token, batches, lost ranges.
pub type Loaded = (u64, Vec<Batch>, Vec<(u64, u64)>);
/// Messages by sequence: id and body.
pub type Messages = BTreeMap<u64, (u64, Vec<u8>)>;

pub struct Rig {
    pub disk: FaultDisk,
    pub dir: Option<DataDir>,
    pub log: Option<Log>,
    pub options: LogOptions,
    pub now: u64,
    pub outstanding: Vec<Io>,
    pub promises: BTreeMap<TopicId, Promise>,
    pub highest_released_id: u64,
    pub poisoned: bool,
    pub full: bool,
    /// Durable data was damaged: messages may be lost if they are named.
    pub rot: bool,
    pub loaded: Vec<Loaded>,
    /// Tokens of [`Event::Recorded`].
    pub recorded: Vec<u64>,
    pub read_failures: Vec<ReadFailure>,
    pub lost: Vec<LostMessages>,
    /// Messages in frames that cannot be told apart.
    pub withheld: BTreeSet<(TopicId, u64)>,
}

impl Rig {
    pub fn new(options: LogOptions) -> Rig {
        Rig::on(FaultDisk::new(), options)
    }

    pub fn on(disk: FaultDisk, options: LogOptions) -> Rig {
        let mut rig = Rig {
            disk,
            dir: None,
            log: None,
            options,
            now: 1_000_000_000,
            outstanding: Vec::new(),
            promises: BTreeMap::new(),
            highest_released_id: 0,
            poisoned: false,
            full: false,
            rot: false,
            loaded: Vec::new(),
            recorded: Vec::new(),
            read_failures: Vec::new(),
            lost: Vec::new(),
            withheld: BTreeSet::new(),
        };
        rig.start().unwrap();
        rig
    }

    pub fn start(&mut self) -> Result<RecoveryReport, WalError> {
        self.log = None;
        self.dir = None;
        self.outstanding.clear();
        self.poisoned = false;
        let mut dir = open_dir(&self.disk)?;
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let (log, report) = Log::open(disk, &dir, self.options.clone(), self.now)?;
        log.check();
        dir.mark_running()?;
        self.dir = Some(dir);
        self.log = Some(log);
        Ok(report)
    }

    pub fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    pub fn create_topic(&mut self, topic: TopicId) {
        self.log().record(&Record::TopicCreated { topic, name: format!("topic{}", topic.0) }).unwrap();
        self.promises.entry(topic).or_default();
    }

    pub fn create_channel(&mut self, topic: TopicId, channel: ChannelId, from: u64) {
        let name = format!("channel{}", channel.0);
        self.log().record(&Record::ChannelCreated { topic, channel, name, from }).unwrap();
    }

    pub fn publish(&mut self, topic: TopicId, lens: &[usize]) -> Result<u64, Refused> {
        let first_seq = self.promises.entry(topic).or_default().next_seq;
        let bodies: Vec<Vec<u8>> =
            lens.iter().enumerate().map(|(i, len)| body(topic, first_seq + i as u64, *len)).collect();
        let publish = Publish { topic, first_seq, count: lens.len() as u32, defer_ms: 0, timestamp_ns: 77 };
        let placed = self.log().publish(publish, bodies.iter().map(Vec::as_slice))?;
        assert!(placed.first_id > self.highest_released_id, "an id was issued again");
        let promise = self.promises.get_mut(&topic).unwrap();
        for (i, len) in lens.iter().enumerate() {
            promise.attempted.insert(first_seq + i as u64, *len);
        }
        promise.next_seq += lens.len() as u64;
        promise.groups.push((first_seq, promise.next_seq));
        Ok(first_seq)
    }

    pub fn finish(&mut self, topic: TopicId, channel: ChannelId, from: u64, to: u64) -> Result<(), Refused> {
        self.log().record(&Record::Finish { topic, channel, ranges: vec![(from, to)] })?;
        self.promises.get_mut(&topic).unwrap().finished.extend(from..to);
        Ok(())
    }

    /// Collects the log's operations.
    pub fn collect(&mut self) {
        let log = self.log.as_mut().unwrap();
        while let Some(io) = log.poll_io() {
            self.outstanding.push(io);
        }
        while let Some(event) = log.poll_event() {
            match event {
                Event::Released(batch) => {
                    note_released(&mut self.promises, &mut self.highest_released_id, &batch)
                }
                Event::Recorded { token } => self.recorded.push(token),
                Event::Loaded { token, batches, lost, .. } => self.loaded.push((token, batches, lost)),
                Event::ReadFailed(failure) => self.read_failures.push(failure),
                Event::Lost(lost) => self.lost.push(lost),
                Event::Poisoned(_) => self.poisoned = true,
                Event::Full(full) => self.full = full,
            }
        }
        log.check();
    }

    /// Does one of the outstanding operations.
    pub fn do_io(&mut self, index: usize) {
        let io = self.outstanding.swap_remove(index);
        let (tag, result) = io.run(&self.disk);
        let now = self.now;
        self.log().handle_io(now, tag, result);
        self.collect();
    }

    pub fn turn(&mut self) {
        let now = self.now;
        self.log().turn(now);
        self.collect();
    }

    /// Turns and does IO until nothing moves, without letting time pass.
    pub fn settle(&mut self) {
        loop {
            self.turn();
            if self.outstanding.is_empty() {
                return;
            }
            while !self.outstanding.is_empty() {
                self.do_io(0);
            }
        }
    }

    /// Lets time pass in steps of a millisecond.
    pub fn wait_ms(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += 1_000_000;
            self.settle();
        }
    }

    /// Closes the log and marks the directory clean.
    pub fn stop(&mut self) {
        let now = self.now;
        self.log().close(now);
        self.collect();
        self.settle();
        assert!(self.log().is_closed());
        let last = self.log().last_frame_seq();
        self.dir.as_mut().unwrap().mark_clean(&[last]).unwrap();
    }

    /// The power fails; what was in flight is half done.
    pub fn crash(&mut self, chance: &mut Chance) {
        for io in std::mem::take(&mut self.outstanding) {
            if let Io::Write { file, offset, buf, .. } = io {
                self.disk.half_write(&*file, offset, buf.as_slice(), chance);
            }
        }
        self.log = None;
        self.dir = None;
        self.disk.crash(chance);
    }

    /// The process dies; the machine, and what the kernel has, lives.
    pub fn kill(&mut self) {
        self.outstanding.clear();
        self.log = None;
        self.dir = None;
        self.disk.kill();
    }

    /// Reads a topic back from `seq` to its end: messages by sequence, and what is lost.
    pub fn read_all(&mut self, topic: TopicId, mut seq: u64) -> (Messages, BTreeSet<u64>) {
        let (mut messages, mut lost) = (BTreeMap::new(), BTreeSet::new());
        let end = self.log().state().topic(topic).map_or(0, |t| t.next_seq());
        while seq < end {
            self.loaded.clear();
            self.log().fetch(topic, seq, 9);
            self.collect();
            while self.loaded.is_empty() {
                if self.outstanding.is_empty() {
                    // A read that is repeated to be sure.
                    self.now = self.log().poll_timeout().expect("a fetch without an answer").max(self.now);
                    self.turn();
                } else {
                    self.do_io(0);
                }
            }
            let (_, batches, gone) = self.loaded.pop().unwrap();
            for batch in &batches {
                assert_eq!(batch.topic, topic);
                for (i, message) in split(batch).into_iter().enumerate() {
                    messages.insert(batch.first_seq + i as u64, message);
                }
            }
            lost.extend(gone.into_iter().flat_map(|(from, to)| from..to));
            let before = seq;
            while messages.contains_key(&seq) || lost.contains(&seq) {
                seq += 1;
            }
            if seq == before {
                // Structure that is damaged: withheld, and told.
                assert!(self.rot && !self.read_failures.is_empty(), "a fetch that answers nothing");
                self.withheld.insert((topic, seq));
                seq += 1;
            }
        }
        (messages, lost)
    }

    /// Compares a recovered log with the promises, and takes what survived as the new truth. `kept`: everything
    /// released must be there.
    pub fn verify(&mut self, kept: bool) {
        self.log().check();
        let topics: Vec<TopicId> = self.promises.keys().copied().collect();
        for topic in topics {
            let promise = self.promises[&topic].clone();
            let Some(state) = self.log().state().topic(topic).cloned() else {
                assert!(!kept || promise.released.is_empty(), "{topic:?} is gone");
                self.promises.insert(topic, Promise::default());
                continue;
            };
            let next_seq = state.next_seq();
            assert!(next_seq <= promise.next_seq, "{topic:?} has messages that nobody published");
            for (from, to) in &promise.groups {
                assert!(!(*from < next_seq && next_seq < *to), "half of a publish came back");
            }
            let wanted = state.wanted_from();
            let (messages, lost) = self.read_all(topic, wanted);
            for (seq, (_, bytes)) in &messages {
                let len = promise.attempted[seq];
                assert_eq!(*bytes, body(topic, *seq, len), "{topic:?} {seq}: corrupt");
            }
            // What every channel has finished is nobody's, wherever it lies.
            let is_done = |seq: u64| {
                let mut channels = state.channels().peekable();
                let waits = (state.is_paused() || channels.peek().is_none()) && seq >= state.floor();
                !waits && channels.all(|(_, channel)| channel.is_finished(seq))
            };
            let lost: BTreeSet<u64> = lost.into_iter().filter(|seq| !is_done(*seq)).collect();
            if kept {
                assert!(self.rot || lost.is_empty(), "{topic:?} lost {} from {:?}", lost.len(), lost.first());
                for seq in &promise.released {
                    assert!(*seq < next_seq, "{topic:?} {seq}: released and gone (end {next_seq})");
                    if *seq < wanted || is_done(*seq) {
                        assert!(promise.finished.contains(seq), "{topic:?} {seq}: dropped unfinished");
                    } else {
                        let withheld = self.withheld.contains(&(topic, *seq));
                        let named = messages.contains_key(seq) || lost.contains(seq) || withheld;
                        assert!(named, "{topic:?} {seq}: released and not readable");
                    }
                }
                for (_, channel) in state.channels() {
                    for (from, to) in channel.finished().chain([(0, channel.watermark())]) {
                        assert!((from..to).all(|s| promise.finished.contains(&s)), "finished by nobody");
                    }
                }
            }
            let promise = self.promises.get_mut(&topic).unwrap();
            promise.next_seq = next_seq;
            promise.attempted.retain(|seq, _| *seq < next_seq);
            promise.groups.retain(|(_, to)| *to <= next_seq);
            promise.released = messages.keys().copied().collect();
            // What came back unfinished may be delivered and finished again.
            let finished = promise.finished.clone();
            promise.finished = finished.into_iter().filter(|s| *s < next_seq).collect();
        }
    }
}

fn note_released(promises: &mut BTreeMap<TopicId, Promise>, highest: &mut u64, batch: &Batch) {
    let promise = promises.get_mut(&batch.topic).unwrap();
    for (i, (id, bytes)) in split(batch).into_iter().enumerate() {
        let seq = batch.first_seq + i as u64;
        assert_eq!(bytes, body(batch.topic, seq, promise.attempted[&seq]));
        assert!(promise.released.insert(seq), "released twice");
        assert!(id > *highest, "released out of order");
        *highest = id;
    }
}
