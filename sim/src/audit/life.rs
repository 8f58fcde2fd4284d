//! From one life to the next: what must have survived, and what the books know from then on.

use nsq_queue::{ChannelId, ChannelKey, TopicKey};
use nsq_wal::{DataDir, State, TopicId, TopicState};
use nsqd::core::{Engine, OpenLog};

use crate::book::Book;
use crate::book::queue::State as MessageState;
use crate::book::wire::Status;
use crate::fail;

/// How long a FIN may wait until it is on its way to the disk.
const FINISH_LAZY_NS: u64 = 100_000_000;

/// How a life has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// There was none before.
    Never,
    /// It stopped and said so.
    Clean,
    /// The process died, the machine lived.
    Kill,
    /// The power was cut.
    Cut,
}

/// The end of a life.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// How.
    pub how: How,
    /// When, monotonic ns.
    pub at_ns: u64,
    /// By how much everything may have been late: cores that were not turned, operations of the disk.
    pub slack_ns: u64,
}

/// What a state says of a topic, without places of frames.
#[derive(Debug, PartialEq, Eq)]
struct TopicDescription {
    id: TopicId,
    name: String,
    paused: bool,
    floor: u64,
    next_seq: u64,
    channels: Vec<ChannelDescription>,
}

#[derive(Debug, PartialEq, Eq)]
struct ChannelDescription {
    id: u32,
    name: String,
    paused: bool,
    watermark: u64,
    finished: Vec<(u64, u64)>,
    pending: Vec<(u64, u16, i64)>,
}

fn describe(state: &State) -> Vec<TopicDescription> {
    let topic = |(id, topic): (TopicId, &TopicState)| TopicDescription {
        id,
        name: topic.name().to_owned(),
        paused: topic.is_paused(),
        // Of meaning only while something waits there.
        floor: if topic.is_paused() || topic.channels().next().is_none() { topic.floor() } else { 0 },
        next_seq: topic.next_seq(),
        channels: topic
            .channels()
            .map(|(id, channel)| ChannelDescription {
                id: id.0,
                name: channel.name().to_owned(),
                paused: channel.is_paused(),
                watermark: channel.watermark(),
                finished: channel.finished().collect(),
                pending: topic.pending(id).map(|p| (p.seq, p.attempts, p.due_at_ns)).collect(),
            })
            .collect(),
    };
    state.topics().map(topic).collect()
}

/// A log was opened: rec2, and what its frames promised.
pub fn recovered(book: &mut Book, data: &DataDir, log: &OpenLog, end: &End) {
    let OpenLog { shard, log } = log;
    let last = log.last_frame_seq();
    if let Some(before) = book.log.shards.get(shard) {
        let least = match end.how {
            How::Never => 0,
            How::Clean => before.last(),
            How::Kill => before.named_upto(before.written_upto),
            How::Cut => before.named_upto(before.durable_upto),
        };
        if last < least {
            fail!("rec2", "shard {shard} came back up to frame {last}, and {least} survives a {:?}", end.how);
        }
        if last > before.last() {
            fail!(
                "rec2",
                "shard {shard} came back up to frame {last}, and {} was the last one",
                before.last()
            );
        }
        let (is, should) = (describe(log.state()), describe(&before.replayed(last)));
        if is != should {
            let (is, should) = (is.iter().zip(&should)).find(|(is, should)| is != should).map_or_else(
                || (format!("{is:?}"), format!("{should:?}")),
                |(is, should)| (format!("{is:?}"), format!("{should:?}")),
            );
            fail!("rec2", "shard {shard} came back as\n  {is}\nand its frames up to {last} say\n  {should}");
        }
        lose_messages(book, *shard, last, end);
    }
    reconcile_channels(book, *shard, log.state(), end);
    book.log.open(*shard, data.replay(log.state().clone()), last);
}

/// ack3: what had its OK and is not in the frames that came back.
fn lose_messages(book: &mut Book, shard: u16, last: u64, end: &End) {
    let durability = book.mix.durability;
    let sync_ns = 2 * book.mix.sync_ms * 1_000_000;
    let gone: Vec<u64> = book
        .log
        .messages
        .iter()
        .filter(|(_, place)| place.shard == shard && place.frame > last)
        .map(|(number, _)| *number)
        .collect();
    for number in gone {
        let place = book.log.messages.remove(&number);
        let Some(message) = book.wire.messages.get_mut(&number) else { continue };
        if let Status::Ok(at_ns) = message.status {
            let promised = match (durability, end.how) {
                (_, How::Clean) | (0, _) | (1, How::Kill) => true,
                // On its way to the disk within the interval, and then there after one operation.
                (1, _) => at_ns + sync_ns + 2 * FINISH_LAZY_NS + end.slack_ns < end.at_ns,
                _ => false,
            };
            if promised {
                fail!("ack3", "message {number:x} had its OK, and its frame is gone: {place:?} > {last}");
            }
        }
        // It never was.
        message.status = Status::Refused;
    }
}

/// cat1 and del5: the channels of the books, and those that came back.
fn reconcile_channels(book: &mut Book, shard: u16, state: &State, end: &End) {
    let of_shard = |key: &ChannelKey| (key.topic.0 >> 32) as u16 == shard;
    let sure_ns = end.at_ns.saturating_sub(2 * FINISH_LAZY_NS + end.slack_ns);
    let keys: Vec<ChannelKey> = book.queue.channels.keys().copied().filter(of_shard).collect();
    for key in keys {
        let topic = state.topic(TopicId(key.topic.0 as u32));
        let came_back = topic.and_then(|topic| {
            topic.channels().find(|(id, _)| id.0 == key.channel.0).map(|(_, channel)| channel)
        });
        let Some(came_back) = came_back else {
            if end.how == How::Clean {
                fail!("cat1", "channel {key:?} is gone after a clean stop");
            }
            book.queue.channels.remove(&key);
            continue;
        };
        let Some(channel) = book.queue.channels.get_mut(&key) else { continue };
        channel.paused = came_back.is_paused();
        for (id, entry) in &mut channel.entries {
            let MessageState::Done(at_ns) = entry.state else { continue };
            let place = book.log.by_id.get(id).and_then(|number| book.log.messages.get(number));
            let finished = place.is_some_and(|place| came_back.is_finished(place.seq));
            if finished {
                continue;
            }
            let sure = match (end.how, book.mix.durability) {
                (How::Clean, _) => true,
                (How::Kill, _) | (How::Cut, 0) => at_ns < sure_ns,
                _ => false,
            };
            if sure && place.is_some() {
                fail!(
                    "del5",
                    "{id:x} was finished in {} at {at_ns}, and came back unfinished after a {:?} at {}",
                    channel.name,
                    end.how,
                    end.at_ns
                );
            }
            entry.state = MessageState::Restored;
        }
    }
    let topics: Vec<TopicKey> = book.queue.topics.keys().copied().collect();
    for key in topics.into_iter().filter(|key| (key.0 >> 32) as u16 == shard) {
        if state.topic(TopicId(key.0 as u32)).is_none() {
            if end.how == How::Clean {
                fail!("cat1", "topic {key:?} is gone after a clean stop");
            }
            book.queue.topics.remove(&key);
        }
    }
    for (id, topic) in state.topics() {
        let key = TopicKey(u64::from(shard) << 32 | u64::from(id.0));
        for (channel, came_back) in topic.channels() {
            if came_back.name().ends_with("#ephemeral") {
                continue;
            }
            let key = ChannelKey { topic: key, channel: ChannelId(channel.0) };
            book.queue.came_back(key, topic.name(), came_back.name(), came_back.is_paused(), end.at_ns);
        }
    }
}

/// rec3: the queue has what its logs have.
pub fn restored(engine: &Engine) {
    let stats = engine.channel_stats();
    for (shard, log) in engine.shard_logs() {
        for (topic_id, topic) in log.state().topics().filter(|(_, topic)| !topic.is_paused()) {
            for (id, channel) in
                topic.channels().filter(|(_, channel)| !channel.name().ends_with("#ephemeral"))
            {
                let key = ChannelKey {
                    topic: TopicKey(u64::from(shard) << 32 | u64::from(topic_id.0)),
                    channel: ChannelId(id.0),
                };
                let unfinished =
                    (channel.watermark()..topic.next_seq()).filter(|seq| !channel.is_finished(*seq));
                let unfinished = unfinished.count() as u64;
                let Some(stats) = stats.iter().find(|stats| stats.channel == key) else {
                    fail!("rec3", "channel {} of {} was not restored", channel.name(), topic.name());
                };
                let has = stats.depth + stats.deferred_count + stats.in_flight_count;
                if has != unfinished || stats.paused != channel.is_paused() {
                    fail!(
                        "rec3",
                        "channel {} of {} has {has} messages (paused: {}), and its log {unfinished} ({})",
                        channel.name(),
                        topic.name(),
                        stats.paused,
                        channel.is_paused()
                    );
                }
            }
        }
    }
}

/// rec1: the state of each living log is what its frames say.
pub fn live(book: &Book, engine: &Engine) {
    for (shard, log) in engine.shard_logs() {
        let Some(known) = book.log.shards.get(&shard) else { continue };
        // What was placed and not handed out yet is in the state already.
        if log.last_frame_seq() != known.last() {
            continue;
        }
        let (is, should) = (describe(log.state()), describe(&known.replayed(known.last())));
        if is != should {
            fail!("rec1", "shard {shard} is\n  {is:?}\nand its frames say\n  {should:?}");
        }
    }
}

/// Every log is open: a life begins.
pub fn begun(book: &mut Book, _end: &End) {
    book.life += 1;
    book.excuses = crate::book::Excuses::default();
}
