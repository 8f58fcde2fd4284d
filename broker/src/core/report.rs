//! Log lines about topics and channels, in NSQ's words.

use nsq_flags::info;
use nsq_flags::log::RateLimit;
use nsq_queue::Admin;

use crate::mesh::message::Change;

/// Clients make topics and channels as they like: all of an ordinary day are seen, a flood is not.
static LIMIT: RateLimit = RateLimit::with(1_000, 100);

/// A topic or channel came or went.
pub(super) fn changed(change: &Change) {
    let Some(withheld) = LIMIT.admit(&()) else { return };
    let Change { topic, channel, added } = change;
    match (channel, added) {
        (None, true) => info!("TOPIC({topic}): created{withheld}"),
        (None, false) => info!("TOPIC({topic}): deleting{withheld}"),
        (Some(channel), true) => info!("TOPIC({topic}): new channel({channel}){withheld}"),
        (Some(channel), false) => info!("TOPIC({topic}): deleting channel {channel}{withheld}"),
    }
}

/// An operator's request changes a topic or one of its channels. What makes one go is told by [`changed`].
pub(super) fn operated(topic: &str, action: &Admin) {
    let Some(withheld) = LIMIT.admit(&()) else { return };
    match action {
        Admin::PauseTopic => info!("TOPIC({topic}): pausing{withheld}"),
        Admin::UnpauseTopic => info!("TOPIC({topic}): unpausing{withheld}"),
        Admin::EmptyTopic => info!("DISKQUEUE({topic}): emptying{withheld}"),
        Admin::PauseChannel(channel) => info!("CHANNEL({topic}:{channel}): pausing{withheld}"),
        Admin::UnpauseChannel(channel) => info!("CHANNEL({topic}:{channel}): unpausing{withheld}"),
        Admin::EmptyChannel(channel) => info!("DISKQUEUE({topic}:{channel}): emptying{withheld}"),
        Admin::DeleteTopic | Admin::DeleteChannel(_) => {}
    }
}
