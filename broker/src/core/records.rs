//! The queue's facts and batches, and the log's: the same things in the words of either side.

use nsq_queue::{Batch, ChannelId, QueueRecord};
use nsq_wal::{Record, TopicId};

pub(super) fn to_batch(batch: nsq_wal::Batch) -> Batch {
    Batch {
        first_seq: batch.first_seq,
        first_id: batch.first_id,
        count: batch.count,
        defer_ms: batch.defer_ms,
        payload: batch.payload,
        cost_bytes: batch.cost_bytes,
    }
}

pub(super) fn to_record(topic: TopicId, record: QueueRecord) -> Record {
    let id = |channel: ChannelId| nsq_wal::ChannelId(channel.0);
    match record {
        QueueRecord::TopicCreated { name } => Record::TopicCreated { topic, name: name.to_string() },
        QueueRecord::TopicDeleted => Record::TopicDeleted { topic },
        QueueRecord::TopicPaused { paused, floor } => Record::TopicPaused { topic, paused, floor },
        QueueRecord::TopicEmptied { from, to } => Record::TopicEmptied { topic, from, to },
        QueueRecord::ChannelCreated { channel, name, from } => {
            Record::ChannelCreated { topic, channel: id(channel), name: name.to_string(), from }
        }
        QueueRecord::ChannelDeleted { channel, floor } => {
            Record::ChannelDeleted { topic, channel: id(channel), floor }
        }
        QueueRecord::ChannelPaused { channel, paused } => {
            Record::ChannelPaused { topic, channel: id(channel), paused }
        }
        QueueRecord::ChannelEmptied { channel, up_to } => {
            Record::ChannelEmptied { topic, channel: id(channel), up_to }
        }
        QueueRecord::Finish { channel, mut ranges } => {
            if planted!(FinishTooLong) {
                ranges.iter_mut().for_each(|range| range.1 += 1);
            }
            let elsewhere = u32::from(planted!(FinishElsewhere));
            Record::Finish { topic, channel: nsq_wal::ChannelId(channel.0 ^ elsewhere), ranges }
        }
        QueueRecord::Requeue { channel, seq, attempts, due_at_ns } => {
            Record::Requeue { topic, channel: id(channel), seq, attempts, due_at_ns }
        }
    }
}
