//! The appender of one shard.
//!
//! ```text
//! publish, record ─► open frame ─► closed frames ─► placed in a segment ─► written ─► durable
//!                    (gather)      (waiting)        (in flight, ≤ 4)       prefix     prefix
//! ```
//!
//! A frame gets its number, its place and its header when it is placed, and this is also when its records are
//! applied to the [`State`]: live state and replayed state are the same function of the same bytes.
//! `commit` places and completes frames, `roll` changes segments, `space` prepares, recycles and knows the full
//! disk, `fetch` reads back.

mod commit;
mod fetch;
mod gather;
mod intact;
mod reads;
mod roll;
mod space;
mod types;

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use hashbrown::HashMap;

use self::commit::Flight;
use self::gather::{ClosedFrame, Gather, publish_record_bytes};
use self::reads::{ReadJob, Reads};
use self::roll::Roll;
pub(crate) use self::roll::segment_name;
use self::space::Space;
pub(crate) use self::space::{Spare, spare_name};
pub use self::types::{
    Batch, Durability, Event, LogOptions, LogStats, LostMessages, Placed, Publish, ReadFailure, Recover,
    Unread,
};
use crate::data_dir::DataDir;
use crate::disk::{Disk, Io, IoResult, IoTag, LogFile};
use crate::error::{Refused, WalError};
use crate::format::Seed;
use crate::format::message;
use crate::format::record::Record;
use crate::limits::{
    FRAME_BYTES_MAX, FULL_LAZY_NS, GATHER_BYTES_MIN, ID_RESERVATION_COUNT, LAZY_NS_MAX, PUBLISH_BYTES_MAX,
};
use crate::recovery::{self, RecoveryReport};
use crate::state::State;

/// The log of one shard. Owned by one core; see the head of the crate for its contract.
#[derive(Debug)]
pub struct Log {
    options: LogOptions,
    seed: Seed,
    uuid: [u8; 16],
    shard_path: PathBuf,
    now_ns: u64,
    state: State,

    gather: Gather,
    /// When the open frame must be closed even if nobody waits.
    lazy_at: Option<u64>,
    /// Somebody waits for the open frame, or it should not linger.
    prompt: bool,
    waiting: VecDeque<ClosedFrame>,
    waiting_bytes: usize,
    in_flight: VecDeque<Flight>,

    segment: Option<Segment>,
    roll: Roll,
    space: Space,
    reads: Reads,

    next_frame_seq: u64,
    prev_crc: u32,
    /// Where the segment before the next one ends: for its header.
    prev_end: (u64, u64),
    next_segment_seq: u64,
    written_seq: u64,
    durable_seq: u64,
    /// Upper end of the sync under way.
    sync_upto: Option<u64>,
    /// When the oldest thing that no sync covers was appended.
    dirty_since: Option<u64>,
    unsynced_count: u64,
    force_sync: bool,
    marker_at: Option<u64>,
    /// Last frame that is not a marker: what a marker would vouch for.
    last_real_seq: u64,

    /// Sequence part of the next id.
    next_id: u64,
    id_reserved_until: u64,
    id_durable_until: u64,
    /// Reservations in frames that are not durable yet: frame and end.
    reservations: VecDeque<(u64, u64)>,
    /// Segments whose `Retire` record is appended and not placed.
    retire_requested: BTreeSet<u64>,
    /// Segments whose `Retire` record is not durable yet: frame and segment.
    retiring: VecDeque<(u64, u64)>,

    io: VecDeque<Io>,
    purposes: HashMap<IoTag, Purpose>,
    next_tag: u64,
    events: VecDeque<Event>,
    /// Frames of facts and messages closed so far, and how many of them were written.
    closed_frame_count: u64,
    written_frame_count: u64,
    /// Who is to be told when that many are written.
    notices: VecDeque<(u64, u64)>,
    /// Released, but for their ids: these are not reserved durably yet.
    held: VecDeque<Batch>,
    stats: LogStats,
    poisoned: bool,
    closing: Closing,
}

/// The segment that is written to.
#[derive(Debug)]
struct Segment {
    seq: u64,
    file: Arc<dyn LogFile>,
    path: PathBuf,
    bytes: u64,
    /// Where the next frame goes.
    offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    /// Everything gathered is to be written.
    Draining,
    /// The close frame is under way.
    Frame,
    Done,
}

/// What an operation was for.
#[derive(Debug)]
enum Purpose {
    Frame(u64),
    Sync,
    SegmentPart { len: usize },
    Name(PathBuf),
    Prepare(PathBuf),
    Retire,
    OpenForRead(u64),
    Read(Box<ReadJob>),
}

impl Log {
    /// Opens the log of a shard: creates its directory, or recovers what is there. Blocks; at most about one
    /// second per GiB of segment without a checkpoint, and segments begin with one.
    ///
    /// `now_ns` is monotonic, as in every other call.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &DataDir,
        options: LogOptions,
        now_ns: u64,
    ) -> Result<(Log, RecoveryReport), WalError> {
        options.check()?;
        if options.shard >= dir.shard_count() {
            return Err(WalError::BadOption { field: "shard" });
        }
        let recovered = recovery::recover(&*disk, dir, options.shard, options.recover)?;
        let next_frame_seq = recovered.next_frame_seq;
        let reserved = if planted!(ReservationIgnored) { 0 } else { recovered.state.id_reserved_until };
        let next_id = recovered.state.next_id.max(reserved).max(1);
        let mut log = Log {
            seed: dir.seed(),
            uuid: *dir.uuid(),
            shard_path: dir.shard_path(options.shard),
            now_ns,
            gather: Gather::new(options.frame_target_bytes()),
            lazy_at: None,
            prompt: false,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            in_flight: VecDeque::new(),
            segment: None,
            roll: Roll::Idle,
            space: Space::new(&options, recovered.spares),
            reads: Reads::default(),
            next_frame_seq,
            prev_crc: recovered.prev_crc,
            prev_end: recovered.end,
            // The directory's generation grows with every start, so the epoch of a segment whose header never
            // became durable is not used again: no leftover of it can pass for a frame of a later one.
            next_segment_seq: recovered.next_segment_seq.max(dir.generation() << 24),
            written_seq: next_frame_seq - 1,
            durable_seq: next_frame_seq - 1,
            sync_upto: None,
            dirty_since: None,
            unsynced_count: 0,
            force_sync: false,
            marker_at: None,
            last_real_seq: 0,
            next_id,
            id_reserved_until: next_id,
            id_durable_until: next_id,
            reservations: VecDeque::new(),
            retire_requested: BTreeSet::new(),
            retiring: VecDeque::new(),
            io: VecDeque::new(),
            purposes: HashMap::new(),
            next_tag: 0,
            events: VecDeque::new(),
            held: VecDeque::new(),
            closed_frame_count: 0,
            written_frame_count: 0,
            notices: VecDeque::new(),
            stats: LogStats::default(),
            poisoned: false,
            closing: Closing::No,
            state: recovered.state,
            options,
        };
        if recovered.must_cut {
            // What was set aside must not be met again: a new segment, with a checkpoint, ends the old one.
            log.roll = Roll::Draining;
            log.pump();
        }
        Ok((log, recovered.report))
    }

    /// What is in the log, up to the last frame that was placed: at boot, everything.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The options it was opened with.
    pub fn options(&self) -> &LogOptions {
        &self.options
    }

    /// Number of the last frame placed: for [`DataDir::mark_clean`], once the log is closed.
    pub fn last_frame_seq(&self) -> u64 {
        self.next_frame_seq - 1
    }

    /// Appends `publish.count` messages. Ids are consecutive. Released by [`Event::Released`], whole.
    ///
    /// Cost: one copy and one checksum per message, no allocation in steady state. If it is refused, nothing was
    /// appended.
    pub fn publish<'a, I>(&mut self, publish: Publish, bodies: I) -> Result<Placed, Refused>
    where
        I: Iterator<Item = &'a [u8]> + Clone,
    {
        self.accepts()?;
        if self.space.is_full() {
            return Err(Refused::Full);
        }
        let (mut count, mut payload_bytes) = (0u32, 0usize);
        for body in bodies.clone() {
            count = count.saturating_add(1);
            payload_bytes = payload_bytes.saturating_add(message::delivery_bytes(body.len()));
        }
        debug_assert_eq!(count, publish.count, "the count of bodies");
        if count == 0 || payload_bytes > PUBLISH_BYTES_MAX {
            return Err(Refused::TooLarge);
        }
        let record_bytes = publish_record_bytes(count, payload_bytes);
        if payload_bytes + record_bytes > FRAME_BYTES_MAX - FRAME_BYTES_MAX / 8 {
            return Err(Refused::TooLarge);
        }
        if self.gathered_bytes() > self.gather_bytes_max() {
            return Err(Refused::Busy);
        }
        self.reserve_ids(u64::from(count));
        self.make_room(payload_bytes, record_bytes);
        let first_id = self.options.id_base() | self.next_id;
        self.gather.publish(&publish, first_id, bodies);
        self.next_id += u64::from(count);
        self.unsynced_count += u64::from(count);
        self.stats.message_count += u64::from(count);
        match self.options.durability {
            Durability::Sync | Durability::Write => self.prompt = true,
            Durability::Async => {
                self.close_by(self.now_ns.saturating_add(LAZY_NS_MAX.min(self.options.sync_interval_ns)));
            }
        }
        self.after_append();
        Ok(Placed { first_id })
    }

    /// Appends a fact. Nothing tells when it is durable: the log has an order, and that is enough. Facts that
    /// only end a wait (`Finish`, `Requeue` without delay) ride along with the next frame, or go after 100 ms.
    /// Never refused as busy or full: senders are bounded by the messages that they can have in flight.
    pub fn record(&mut self, record: &Record) -> Result<(), Refused> {
        self.accepts()?;
        self.append_record(record);
        Ok(())
    }

    /// Asks to be told, by [`Event::Recorded`], when everything appended so far has survived what a released message
    /// survives; at `Async`, what survives a kill. The caller bounds how many wait.
    pub fn notify(&mut self, token: u64) {
        let frames = self.closed_frame_count + u64::from(!self.gather.is_empty());
        // While the disk is full, an answer takes as long as the next fact.
        self.prompt |= !self.gather.is_empty() && !self.space.is_full();
        self.notices.push_back((frames, token));
        self.tell_recorded();
    }

    fn tell_recorded(&mut self) {
        while let Some(&(frames, token)) = self.notices.front()
            && frames <= self.written_frame_count
        {
            self.notices.pop_front();
            self.events.push_back(Event::Recorded { token });
        }
    }

    /// As [`Log::record`], without the question whether it may.
    fn append_record(&mut self, record: &Record) {
        self.make_room(0, record.encoded_bytes_max() + 16);
        self.gather.record(record);
        let lazy = match record {
            Record::Finish { .. } | Record::IdReservation { .. } | Record::Retire { .. } => true,
            Record::Requeue { due_at_ns, .. } => *due_at_ns == 0,
            _ => false,
        };
        if self.space.is_full() {
            self.close_by(self.now_ns.saturating_add(FULL_LAZY_NS));
        } else if lazy {
            self.close_by(self.now_ns.saturating_add(LAZY_NS_MAX));
        } else {
            self.prompt = true;
        }
        self.after_append();
    }

    fn accepts(&self) -> Result<(), Refused> {
        if self.poisoned {
            Err(Refused::Poisoned)
        } else if self.closing != Closing::No {
            Err(Refused::Closed)
        } else {
            Ok(())
        }
    }

    /// True while so much waits for the disk that producers are to be held back: stop reading from them, and hold
    /// their replies. Who asks before each publish is never refused as busy, however large the publish is; who does
    /// not is refused at twice as much.
    pub fn is_busy(&self) -> bool {
        self.gathered_bytes() > self.gather_bytes_max() / 2
    }

    fn gathered_bytes(&self) -> usize {
        self.waiting_bytes + self.gather.frame_bytes()
    }

    /// What cannot be placed in ready segments is bounded by what the reserve can take: if the disk is full when
    /// the next segment is due, everything gathered, and the facts behind it that will free space, must fit.
    fn gather_bytes_max(&self) -> usize {
        let here = self.segment.as_ref().map_or(0, |s| s.bytes.saturating_sub(s.offset));
        let ready = usize::try_from(here.saturating_add(self.space.ready_bytes())).unwrap_or(usize::MAX);
        let reserve = usize::try_from(self.options.reserve_bytes / 2).unwrap_or(usize::MAX);
        // As long as files can be made, what waits for the first ones is no reason to hold anybody.
        let to_come = self.options.segment_bytes_max.saturating_mul(4).min(GATHER_BYTES_MIN);
        let to_come = if self.space.has_no_room() { 0 } else { to_come as usize };
        self.options.gather_bytes_max.min(ready.saturating_add(reserve).max(to_come))
    }

    /// Records a further reservation while half of the last one is left.
    fn reserve_ids(&mut self, count: u64) {
        if self.next_id + count + ID_RESERVATION_COUNT / 2 > self.id_reserved_until {
            let until = self.next_id + count + ID_RESERVATION_COUNT;
            self.id_reserved_until = until;
            self.append_record(&Record::IdReservation { until });
        }
    }

    fn make_room(&mut self, payload_bytes: usize, record_bytes: usize) {
        if let Some(closed) = self.gather.reserve(payload_bytes, record_bytes) {
            self.enqueue(closed);
        }
    }

    fn close_by(&mut self, at_ns: u64) {
        self.lazy_at = Some(self.lazy_at.map_or(at_ns, |at| at.min(at_ns)));
    }

    fn after_append(&mut self) {
        self.dirty_since.get_or_insert(self.now_ns);
        if self.gather.is_full() {
            self.close_open_frame();
        }
    }

    /// Commits what is due: call it once at the end of every turn of the core, and when [`Log::poll_timeout`]
    /// says so. Early, late or twice does no harm.
    pub fn turn(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        if self.poisoned {
            return;
        }
        if self.options.durability == Durability::Async {
            self.release_gathered();
        }
        if self.frame_is_due() {
            self.close_open_frame();
        }
        self.write_marker();
        self.pump();
        self.space.forget_retries(self.now_ns);
        self.retry_reads();
    }

    fn frame_is_due(&self) -> bool {
        if self.gather.is_empty() {
            return false;
        }
        // Nobody gains from a frame that waits behind another one: let it gather.
        let idle = self.in_flight.is_empty() && self.waiting.is_empty();
        let overdue = self.lazy_at.is_some_and(|at| at <= self.now_ns);
        let many = self.options.durability == Durability::Async
            && self.gather.message_count() >= self.options.sync_messages_max;
        (idle && (self.prompt || overdue)) || many || (self.closing == Closing::Draining && idle)
    }

    /// The next moment at which [`Log::turn`] has something to do, in the clock of `now_ns`.
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.poisoned {
            return None;
        }
        let idle = self.in_flight.is_empty() && self.waiting.is_empty();
        let lazy = self.lazy_at.filter(|_| idle && !self.gather.is_empty());
        let prompt = (self.prompt && idle && !self.gather.is_empty()).then_some(self.now_ns);
        [lazy, prompt, self.sync_due_at(), self.marker_at, self.space.retry_at(), self.reads.retry_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next operation for the disk. Every one must be answered through [`Log::handle_io`].
    pub fn poll_io(&mut self) -> Option<Io> {
        self.io.pop_front()
    }

    /// Takes an answer. The order of answers is free; a tag that is not open is ignored.
    pub fn handle_io(&mut self, now_ns: u64, tag: IoTag, result: IoResult) {
        self.now_ns = self.now_ns.max(now_ns);
        let Some(purpose) = self.purposes.remove(&tag) else { return };
        if self.poisoned && !matches!(purpose, Purpose::Read(_) | Purpose::OpenForRead(_)) {
            return;
        }
        match purpose {
            Purpose::Frame(frame_seq) => self.on_frame(frame_seq, result),
            Purpose::Sync => self.on_sync(result),
            Purpose::SegmentPart { len } => self.on_segment_part(len, result),
            Purpose::Name(path) => self.on_named(path, result),
            Purpose::Prepare(path) => self.on_prepared(path, result),
            Purpose::Retire => self.on_retired(result),
            Purpose::OpenForRead(segment) => self.on_opened(segment, result),
            Purpose::Read(job) => self.on_read(*job, result),
        }
        if self.closing == Closing::Draining {
            self.turn(now_ns);
        } else {
            self.pump();
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Ends the log: everything gathered is written, then a frame that says so. Appends are refused from here
    /// on. On a full disk it may never be done: bound the wait.
    pub fn close(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        if self.closing == Closing::No && !self.poisoned {
            self.closing = Closing::Draining;
            self.turn(now_ns);
        }
    }

    /// True once [`Log::close`] is done: the close frame, and all before it, is durable.
    pub fn is_closed(&self) -> bool {
        self.closing == Closing::Done
    }

    /// True after a failure of the disk.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Figures since the log was opened.
    pub fn stats(&self) -> LogStats {
        LogStats {
            segment_count: self.state.segments.len() as u64,
            segment_bytes: self.state.segments.values().map(|s| s.bytes).sum(),
            spare_count: self.space.count() as u64,
            gathered_bytes: self.gathered_bytes() as u64,
            arena_bytes: self.gather.pool.bytes(),
            is_full: self.space.is_full(),
            ..self.stats
        }
    }

    /// Walks every invariant; panics where one is broken. For tests.
    pub fn check(&self) {
        self.state.check();
        assert!(self.durable_seq <= self.written_seq && self.written_seq < self.next_frame_seq);
        assert_eq!(self.written_seq + 1 + self.in_flight.len() as u64, self.next_frame_seq);
        assert!(self.id_durable_until <= self.id_reserved_until.max(self.next_id));
        for (i, flight) in self.in_flight.iter().enumerate() {
            assert_eq!(flight.frame_seq, self.written_seq + 1 + i as u64);
        }
    }

    fn tag(&mut self, purpose: Purpose) -> IoTag {
        let tag = IoTag(self.next_tag);
        self.next_tag += 1;
        self.purposes.insert(tag, purpose);
        tag
    }

    /// Ends the log after a failure. Nothing is tried again: after a failed sync the kernel takes the lost pages
    /// for clean, and a second sync would succeed without them.
    fn poison(&mut self, error: WalError) {
        if !self.poisoned {
            reach!("wal.poisoned");
            self.poisoned = true;
            self.io.clear();
            self.held.clear();
            self.events.push_back(Event::Poisoned(error));
        }
    }
}
