//! What the log knows: the catalog, where the messages are, and what is finished.
//!
//! There is one way to change it, [`State::apply`], used alike when a frame is placed at run time and when it is
//! replayed after a crash. That is the whole argument why the two agree.

mod channel;
mod topic;

use std::collections::BTreeMap;

pub use self::channel::{ChannelState, Requeued};
pub use self::topic::{Pending, Run, TopicState};
use crate::format::record::{PublishFields, RecordView};
use crate::{ChannelId, TopicId};

/// Everything durable of one shard. Memory: by topics, channels, finished ranges, delayed messages, and one run
/// per MiB of backlog; never by messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) topics: BTreeMap<TopicId, TopicState>,
    pub(crate) segments: BTreeMap<u64, SegmentState>,
    pub(crate) next_topic_id: u32,
    /// Sequence part of the next message id.
    pub(crate) next_id: u64,
    /// Ids below this may have been issued.
    pub(crate) id_reserved_until: u64,
}

/// A segment that holds, or held, something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentState {
    /// Size of the file.
    pub bytes: u64,
    /// Runs that some channel or topic still wants.
    pub run_count: u32,
}

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// What the appender must know about a record that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    Plain,
    /// A segment holds nothing any more.
    Freed,
    Reserved(u64),
    Retired(u64),
}

impl State {
    /// The topics by id.
    pub fn topics(&self) -> impl Iterator<Item = (TopicId, &TopicState)> {
        self.topics.iter().map(|(id, topic)| (*id, topic))
    }

    /// One topic.
    pub fn topic(&self, topic: TopicId) -> Option<&TopicState> {
        self.topics.get(&topic)
    }

    /// The segments by number.
    pub fn segments(&self) -> impl Iterator<Item = (u64, &SegmentState)> {
        self.segments.iter().map(|(seq, segment)| (*seq, segment))
    }

    /// First topic id that was never used, as far as the frames placed so far tell. Take it once at boot and
    /// count on from there: records that are still gathered are not in the state.
    pub fn next_topic_id(&self) -> TopicId {
        TopicId(self.next_topic_id)
    }

    /// First channel id that was never used in `topic`. See [`State::next_topic_id`].
    pub fn next_channel_id(&self, topic: TopicId) -> ChannelId {
        ChannelId(self.topics.get(&topic).map_or(0, |t| t.next_channel_id))
    }

    /// Applies one record of the frame at `place`.
    pub(crate) fn apply(&mut self, record: &RecordView<'_>, place: Place) -> Applied {
        let mut freed = false;
        match *record {
            RecordView::Publish(view) => self.publish(&view.fields, place),
            RecordView::TopicCreated { topic, name } => {
                self.next_topic_id = self.next_topic_id.max(topic.0.saturating_add(1));
                self.topics.entry(topic).or_insert_with(|| TopicState::new(name));
            }
            RecordView::TopicDeleted { topic } => {
                if let Some(gone) = self.topics.remove(&topic) {
                    gone.runs.values().for_each(|run| freed |= release(&mut self.segments, run));
                }
            }
            RecordView::IdReservation { until } => {
                self.id_reserved_until = self.id_reserved_until.max(until);
                return Applied::Reserved(until);
            }
            RecordView::Retire { segment } => {
                self.segments.remove(&segment);
                return Applied::Retired(segment);
            }
            RecordView::TopicPaused { topic, .. }
            | RecordView::TopicEmptied { topic, .. }
            | RecordView::ChannelCreated { topic, .. }
            | RecordView::ChannelDeleted { topic, .. }
            | RecordView::ChannelPaused { topic, .. }
            | RecordView::ChannelEmptied { topic, .. }
            | RecordView::Finish { topic, .. }
            | RecordView::Requeue { topic, .. } => {
                // A topic that is gone: the fact came late.
                if let Some(state) = self.topics.get_mut(&topic) {
                    state.apply(record, |run| freed |= release(&mut self.segments, run));
                }
            }
        }
        if freed { Applied::Freed } else { Applied::Plain }
    }

    fn publish(&mut self, fields: &PublishFields, place: Place) {
        self.next_id = self.next_id.max(id_sequence(fields.first_id) + u64::from(fields.count));
        let Some(topic) = self.topics.get_mut(&fields.topic) else { return };
        if topic.publish(fields, place) {
            self.segments.entry(place.segment).or_default().run_count += 1;
        }
    }

    /// A segment begins.
    pub(crate) fn add_segment(&mut self, segment: u64, bytes: u64) {
        self.segments.insert(segment, SegmentState { bytes, run_count: 0 });
    }

    /// A segment is gone against our will: its runs are lost. Returns what was lost.
    pub(crate) fn lose_segment(&mut self, segment: u64) -> Vec<(TopicId, u64, u64)> {
        self.segments.remove(&segment);
        let mut lost = Vec::new();
        for (id, topic) in &mut self.topics {
            topic.runs.retain(|_, run| {
                if run.segment == segment {
                    lost.push((*id, run.first_seq, run.end_seq()));
                }
                run.segment != segment
            });
        }
        lost
    }

    /// Walks every invariant; panics where one is broken. For tests, after every step.
    pub fn check(&self) {
        let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
        for topic in self.topics.values() {
            topic.check();
            for run in topic.runs.values() {
                *counts.entry(run.segment).or_default() += 1;
            }
        }
        for (seq, segment) in &self.segments {
            assert_eq!(segment.run_count, counts.remove(seq).unwrap_or(0), "runs of segment {seq}");
        }
        assert!(counts.is_empty(), "runs in segments that do not exist: {counts:?}");
    }
}

/// Takes a run off its segment; true if it was the last one.
fn release(segments: &mut BTreeMap<u64, SegmentState>, run: &Run) -> bool {
    let Some(segment) = segments.get_mut(&run.segment) else { return false };
    segment.run_count = segment.run_count.saturating_sub(1);
    segment.run_count == 0
}

/// The sequence part of a message id.
pub(crate) fn id_sequence(id: u64) -> u64 {
    id & ((1 << crate::limits::ID_SEQUENCE_BITS) - 1)
}

#[cfg(test)]
mod tests;
