//! What is durable of a topic, and where its messages are.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{ChannelState, Place, Requeued};
use crate::ChannelId;
use crate::format::record::{PublishFields, RecordView};
use crate::limits::RUN_SPAN_BYTES;

/// Consecutive messages of a topic, close together in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First sequence.
    pub first_seq: u64,
    /// How many.
    pub count: u64,
    /// Number of the segment.
    pub segment: u64,
    /// Where the first frame begins.
    pub offset: u64,
    /// Bytes from there to the end of the last frame.
    pub len: u64,
}

impl Run {
    /// End of its sequences.
    pub fn end_seq(&self) -> u64 {
        self.first_seq + self.count
    }
}

/// A topic. It wants every message that one of its channels has not finished, and with no channel, or paused, every
/// message from its floor on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    pub(crate) name: String,
    pub(crate) paused: bool,
    pub(crate) floor: u64,
    pub(crate) next_seq: u64,
    pub(crate) next_channel_id: u32,
    pub(crate) channels: BTreeMap<ChannelId, ChannelState>,
    /// By first sequence.
    pub(crate) runs: BTreeMap<u64, Run>,
    /// Messages published with a delay: sequence to due time.
    pub(crate) deferred: BTreeMap<u64, i64>,
    behind: Behind,
}

/// A channel that was found behind the others, so that it is asked first: with a thousand channels the question
/// who wants a run is one look instead of a thousand. Says nothing about the topic, so any two are equal.
#[derive(Clone, Copy, Debug, Default, Eq)]
struct Behind(Option<ChannelId>);

impl PartialEq for Behind {
    fn eq(&self, _: &Behind) -> bool {
        true
    }
}

/// An exception that a channel must be restored with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The message.
    pub seq: u64,
    /// Deliveries so far; 0 if it was published with a delay and never delivered.
    pub attempts: u16,
    /// Wall clock, nanoseconds since 1970; 0 is "at once".
    pub due_at_ns: i64,
}

impl TopicState {
    pub(crate) fn new(name: &str) -> TopicState {
        TopicState {
            name: name.to_owned(),
            paused: false,
            floor: 0,
            next_seq: 0,
            next_channel_id: 0,
            channels: BTreeMap::new(),
            runs: BTreeMap::new(),
            deferred: BTreeMap::new(),
            behind: Behind::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// First sequence that no channel has been given, while paused or without channels.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Sequence of the next message.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The channels by id.
    pub fn channels(&self) -> impl Iterator<Item = (ChannelId, &ChannelState)> {
        self.channels.iter().map(|(id, channel)| (*id, channel))
    }

    /// Where its messages are, in order of sequence.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// Messages published with a delay that somebody may still want: sequence, and due time on the wall clock.
    pub fn deferred(&self) -> impl Iterator<Item = (u64, i64)> + '_ {
        self.deferred.iter().map(|(seq, due)| (*seq, *due))
    }

    /// Exceptions to restore `channel` with: what was requeued, and what was published with a delay and is not
    /// finished. In order of sequence within each of the two.
    pub fn pending(&self, channel: ChannelId) -> impl Iterator<Item = Pending> + '_ {
        let channel = self.channels.get(&channel);
        let requeued = channel.into_iter().flat_map(|c| c.requeued.iter()).map(|(seq, r)| Pending {
            seq: *seq,
            attempts: r.attempts,
            due_at_ns: r.due_at_ns,
        });
        let deferred = channel.into_iter().flat_map(|c| {
            self.deferred
                .range(c.watermark..)
                .filter(|(seq, _)| !c.is_finished(**seq) && !c.requeued.contains_key(seq))
                .map(|(seq, due)| Pending { seq: *seq, attempts: 0, due_at_ns: *due })
        });
        requeued.chain(deferred)
    }

    /// First sequence that somebody wants.
    pub fn wanted_from(&self) -> u64 {
        let lowest = self.channels.values().map(|c| c.watermark).min();
        match lowest {
            None => self.floor,
            Some(lowest) if self.paused => lowest.min(self.floor),
            Some(lowest) => lowest,
        }
    }

    /// True if somebody wants a message of `seqs`; never again true once it was false.
    pub(crate) fn is_wanted(&self, seqs: Range<u64>) -> bool {
        let waits = (self.paused || self.channels.is_empty()) && seqs.end > self.floor;
        waits || self.wanted_by(&seqs).is_some()
    }

    /// A channel that has not finished all of `seqs`: the one that was last found behind, if it still is.
    fn wanted_by(&self, seqs: &Range<u64>) -> Option<ChannelId> {
        let behind = |id: &ChannelId| self.channels.get(id).is_some_and(|c| !c.has_finished(seqs));
        let channels = self.channels.iter();
        let search = || channels.clone().find(|(_, c)| !c.has_finished(seqs)).map(|(id, _)| *id);
        self.behind.0.filter(behind).or_else(search)
    }

    /// The run that holds `seq`.
    pub(crate) fn run_of(&self, seq: u64) -> Option<&Run> {
        self.runs.range(..=seq).next_back().map(|(_, run)| run).filter(|run| seq < run.end_seq())
    }

    /// Start of the first run behind `seq`, or the end of the topic.
    pub(crate) fn next_run_after(&self, seq: u64) -> u64 {
        self.runs.range(seq.saturating_add(1)..).next().map_or(self.next_seq, |(first, _)| *first)
    }

    /// Adds messages; true if they began a new run.
    pub(crate) fn publish(&mut self, fields: &PublishFields, place: Place) -> bool {
        let end = fields.first_seq + u64::from(fields.count);
        self.next_seq = self.next_seq.max(end);
        if fields.defer_ms > 0 {
            let due = fields.timestamp_ns.saturating_add(i64::from(fields.defer_ms) * 1_000_000);
            self.deferred.extend((fields.first_seq..end).map(|seq| (seq, due)));
        }
        let frame_end = place.offset + place.len;
        if let Some(mut last) = self.runs.last_entry() {
            let last = last.get_mut();
            if fields.first_seq < last.end_seq() {
                // Cannot be: sequences rise. A log that says so is not extended, and not believed.
                return false;
            }
            let near = last.segment == place.segment
                && last.end_seq() == fields.first_seq
                && (frame_end - last.offset <= RUN_SPAN_BYTES || frame_end == last.offset + last.len);
            if near {
                last.count += u64::from(fields.count);
                last.len = frame_end - last.offset;
                return false;
            }
        }
        let run = Run {
            first_seq: fields.first_seq,
            count: u64::from(fields.count),
            segment: place.segment,
            offset: place.offset,
            len: place.len,
        };
        self.runs.insert(run.first_seq, run);
        true
    }

    /// Applies a record about this topic, and forgets what nobody wants any more; `released` gets each run that
    /// goes. A run goes wherever it lies: one message that is wanted keeps its own run, and no other.
    pub(crate) fn apply(&mut self, record: &RecordView<'_>, mut released: impl FnMut(&Run)) {
        match *record {
            RecordView::TopicPaused { paused, floor, .. } => {
                self.paused = paused;
                self.floor = self.floor.max(floor);
                self.drop_unwanted(0..u64::MAX, &mut released);
            }
            RecordView::TopicEmptied { from, to, .. } => {
                self.floor = self.floor.max(to);
                self.next_seq = self.next_seq.max(to);
                self.channels.values_mut().for_each(|c| c.finish(from, to));
                self.drop_unwanted(0..to, &mut released);
            }
            RecordView::ChannelCreated { channel, name, from, .. } => {
                self.next_channel_id = self.next_channel_id.max(channel.0.saturating_add(1));
                self.channels.entry(channel).or_insert_with(|| ChannelState::new(name, from));
                // With a channel, what lies below all of them is nobody's.
                self.drop_unwanted(0..from, &mut released);
            }
            RecordView::ChannelDeleted { channel, floor, .. } => {
                self.channels.remove(&channel);
                if self.channels.is_empty() {
                    self.floor = self.floor.max(floor);
                }
                self.drop_unwanted(0..u64::MAX, &mut released);
            }
            RecordView::ChannelPaused { channel, paused, .. } => {
                if let Some(c) = self.channels.get_mut(&channel) {
                    c.paused = paused;
                }
            }
            RecordView::ChannelEmptied { channel, up_to, .. } => {
                if let Some(c) = self.channels.get_mut(&channel) {
                    c.finish_below(up_to);
                    self.next_seq = self.next_seq.max(up_to);
                    self.drop_unwanted(0..up_to, &mut released);
                }
            }
            RecordView::Finish { channel, ranges, .. } => {
                for (start, end) in ranges.iter() {
                    let Some(c) = self.channels.get_mut(&channel) else { return };
                    c.finish(start, end);
                    // A sequence that was finished was issued, even if its publish was lost with a quarantined
                    // frame: it must not be issued again.
                    self.next_seq = self.next_seq.max(end);
                    self.drop_unwanted(start..end, &mut released);
                }
            }
            RecordView::Requeue { channel, seq, attempts, due_at_ns, .. } => {
                if let Some(c) = self.channels.get_mut(&channel) {
                    c.requeue(seq, Requeued { attempts, due_at_ns });
                    self.next_seq = self.next_seq.max(seq.saturating_add(1));
                }
            }
            // Of no topic, or handled by the shard.
            RecordView::Publish(_)
            | RecordView::TopicCreated { .. }
            | RecordView::TopicDeleted { .. }
            | RecordView::IdReservation { .. }
            | RecordView::Retire { .. } => {}
        }
    }

    /// Forgets what nobody wants of `seqs`.
    fn drop_unwanted(&mut self, seqs: Range<u64>, released: &mut impl FnMut(&Run)) {
        let mut at = self.runs.range(..=seqs.start).next_back().map_or(seqs.start, |(first, _)| *first);
        while let Some((_, run)) = self.runs.range(at..).next().filter(|(first, _)| **first < seqs.end) {
            let run = *run;
            at = run.end_seq();
            let whole = run.first_seq..run.end_seq();
            self.behind = Behind(self.wanted_by(&whole).or(self.behind.0));
            if run.end_seq() > seqs.start && !self.is_wanted(whole) {
                self.runs.remove(&run.first_seq);
                released(&run);
            }
        }
        let mut at = seqs.start;
        while let Some((seq, _)) = self.deferred.range(at..).next().filter(|(seq, _)| **seq < seqs.end) {
            let seq = *seq;
            at = seq.saturating_add(1);
            if !self.is_wanted(seq..at) {
                self.deferred.remove(&seq);
            }
        }
    }

    pub(crate) fn check(&self) {
        let mut end = 0;
        for (first, run) in &self.runs {
            assert!(run.count > 0 && run.len > 0, "empty run");
            assert!(*first == run.first_seq && *first >= end, "runs overlap or are out of order");
            end = run.end_seq();
            assert!(self.is_wanted(*first..end), "a run that nobody wants");
        }
        assert!(end <= self.next_seq, "a run beyond the next sequence");
        for seq in self.deferred.keys() {
            assert!(self.is_wanted(*seq..seq + 1), "a delay that nobody wants");
        }
        self.channels.values().for_each(ChannelState::check);
    }
}
