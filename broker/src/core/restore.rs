//! From what the logs remember to the queue's topics and channels, at start.
//!
//! What was in flight or ready when the last process ended is ready; what was deferred keeps its time; ephemeral
//! channels are gone, and their messages with them.

use std::collections::HashMap;

use nsq_protocol::names;
use nsq_queue::{ChannelId, Input, RestoredChannel, RestoredMessage, RestoredTopic, TopicKey};
use nsq_wal::{Log, Record, TopicId, TopicState};

use crate::core::engine::Engine;
use crate::core::keys::topic_key;

const NS_PER_MS: i64 = 1_000_000;

/// A topic on its way from the log to the queue.
struct Remembered {
    key: TopicKey,
    name: String,
    topic: RestoredTopic,
    channels: Vec<(String, RestoredChannel)>,
}

impl Engine {
    /// Opens every topic and channel that this core's logs know.
    pub(super) fn restore(&mut self) {
        let wall_ns = self.now.wall_ns;
        let mut all = Vec::new();
        for (shard, log) in self.logs.iter_mut() {
            all.extend(remember_all(shard, log, wall_ns));
        }
        for Remembered { key, name, topic, channels } in all {
            let input = Input::TopicOpen {
                topic: key,
                name: name.as_str().into(),
                memory_only: false,
                gated: false,
                restored: Some(topic),
            };
            self.queue.handle(self.now, input);
            for (channel, restored) in channels {
                let core = self.placement.core_of_channel(&name, &channel);
                self.queue.channel_open(self.now, key, channel.as_str().into(), core, Some(restored), None);
            }
        }
    }
}

/// Everything that one log knows. What does not outlive a process is taken out of the log as well, or it would keep
/// the messages of it for ever.
fn remember_all(shard: u16, log: &mut Log, wall_ns: i64) -> Vec<Remembered> {
    let mut gone = Vec::new();
    let mut by_name: HashMap<&str, TopicId> = HashMap::new();
    for (topic, state) in log.state().topics() {
        // Ids rise. Two topics of one name are a deletion that was lost with a damaged frame.
        if let Some(older) = by_name.insert(state.name(), topic) {
            gone.push(Record::TopicDeleted { topic: older });
        }
        let floor = floor_without_ephemeral(state);
        let ephemeral = state.channels().filter(|(_, channel)| names::is_ephemeral(channel.name()));
        gone.extend(ephemeral.map(|(channel, _)| Record::ChannelDeleted { topic, channel, floor }));
    }
    let live = log.state().topics().filter(|(id, topic)| by_name.get(topic.name()) == Some(id));
    let remembered = live.map(|(id, topic)| {
        let next_channel = log.state().next_channel_id(id).0;
        remember(topic_key(shard, id), topic, next_channel, wall_ns)
    });
    let remembered = remembered.collect();
    for record in gone {
        // A refused record is told again at the next start.
        let _ = log.record(&record);
    }
    remembered
}

/// Where the next channel begins, once the ephemeral channels are gone: what they were given is nobody's any more.
fn floor_without_ephemeral(state: &TopicState) -> u64 {
    let mut channels = state.channels().peekable();
    let had_channels = channels.peek().is_some();
    let all_ephemeral = channels.all(|(_, channel)| names::is_ephemeral(channel.name()));
    if had_channels && all_ephemeral && !state.is_paused() { state.next_seq() } else { state.floor() }
}

fn remember(key: TopicKey, state: &TopicState, next_channel: u32, wall_ns: i64) -> Remembered {
    let floor = floor_without_ephemeral(state);
    let deferred = state.deferred().filter(|(seq, _)| *seq >= floor);
    let topic = RestoredTopic {
        paused: state.is_paused(),
        floor,
        next_seq: state.next_seq(),
        next_channel,
        deferred: deferred.map(|(seq, due_at_ns)| (seq, remaining_ms(due_at_ns, wall_ns))).collect(),
    };
    let live = state.channels().filter(|(_, channel)| !names::is_ephemeral(channel.name()));
    let channels = live.map(|(id, channel)| {
        let pending = state.pending(id).map(|pending| RestoredMessage {
            seq: pending.seq,
            attempts: pending.attempts,
            due_at_ns: pending.due_at_ns,
        });
        let restored = RestoredChannel {
            channel: ChannelId(id.0),
            paused: channel.is_paused(),
            watermark: channel.watermark(),
            finished: channel.finished().collect(),
            requeued: pending.collect(),
        };
        (channel.name().to_owned(), restored)
    });
    Remembered { key, name: state.name().to_owned(), topic, channels: channels.collect() }
}

/// What is left of a delay, rounded up: never early.
fn remaining_ms(due_at_ns: i64, wall_ns: i64) -> u32 {
    let left = due_at_ns.saturating_sub(wall_ns).max(0);
    u32::try_from(left / NS_PER_MS + i64::from(left % NS_PER_MS > 0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
