//! The channels of a new topic: all peers are asked at once, and what they answer in time is taken together.
//!
//! Whoever creates the topic waits for this, so it always ends: at the latest when the two timeouts of the HTTP
//! client are over, counted from the question.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

use futures_lite::future::or;
use glommio::sync::{Gate, Semaphore};
use nsq_flags::{error, info, warn};
use nsq_protocol::names;

use crate::config::Config;
use crate::lookup::Answer;
use crate::lookup::dial::{HttpAddress, within};
use crate::lookup::latch::Latch;
use crate::lookup::limits::{CHANNELS_FOUND_MAX, DISCOVERIES_COUNT_MAX};
use crate::lookup::peer::Peer;
use crate::lookup::query::{self, AnswerRoom, QueryTimeouts};

/// Starts discoveries and ends them. Owned by the task that spreads the work.
pub(super) struct Discovery {
    context: Rc<Context>,
    gate: Gate,
}

struct Context {
    timeouts: QueryTimeouts,
    answer: Answer,
    permits: Rc<Semaphore>,
    room: AnswerRoom,
    stopped: Latch,
}

/// What was found so far; complete or not, it is what the topic gets.
type Found = Rc<RefCell<BTreeSet<String>>>;

impl Discovery {
    /// `answer` takes the channels of each topic, once.
    pub(super) fn new(config: &Config, answer: Answer) -> Self {
        let context = Context {
            timeouts: QueryTimeouts::new(config),
            answer,
            permits: Rc::new(Semaphore::new(DISCOVERIES_COUNT_MAX)),
            room: AnswerRoom::new(),
            stopped: Latch::new(),
        };
        Self { context: Rc::new(context), gate: Gate::new() }
    }

    /// PendingRequests `peers` for the channels of `topic`, in a task of its own. Bounded by the topics that can be created.
    pub(super) fn start(&self, topic: String, peers: Vec<Rc<Peer>>) {
        if peers.is_empty() {
            return (self.context.answer)(topic, Vec::new());
        }
        let context = self.context.clone();
        match self.gate.spawn(async move { context.discover(topic, peers).await }) {
            Ok(task) => drop(task.detach()),
            Err(_) => unreachable!("invariant: the gate closes in stop(), which takes the discovery"),
        }
    }

    /// Answers what is under way with what is known, and returns when nothing is left.
    pub(super) async fn stop(self) {
        self.context.stopped.open();
        // It fails only if the gate was closed before.
        let _ = self.gate.close().await;
    }
}

impl Context {
    async fn discover(self: Rc<Self>, topic: String, peers: Vec<Rc<Peer>>) {
        let found = Found::default();
        let bound = self.timeouts.connect.saturating_add(self.timeouts.request);
        let asked = within(bound, async {
            self.ask_all(&topic, peers, &found).await;
            Ok(())
        });
        let stopped = async {
            self.stopped.opened().await;
            Ok(())
        };
        if or(asked, stopped).await.is_err() {
            warn!("LOOKUP: no time left to ask for the channels of {topic}");
        }
        let channels: Vec<String> = found.take().into_iter().collect();
        if !channels.is_empty() {
            info!("LOOKUP: {topic} gets the channels {}", channels.join(", "));
        }
        (self.answer)(topic, channels);
    }

    async fn ask_all(&self, topic: &str, peers: Vec<Rc<Peer>>, found: &Found) {
        let Ok(_permit) = self.permits.acquire_permit(1).await else { return };
        let addresses = self.addresses(&peers).await;
        if addresses.is_empty() {
            error!("LOOKUP: no nsqlookupd can be asked for the channels of {topic}");
        }
        // Dropping a task ends its query, so none outlives the discovery.
        let queries: Vec<_> = addresses
            .into_iter()
            .map(|address| {
                let (room, found) = (self.room.clone(), found.clone());
                glommio::spawn_local(ask_one(address, topic.to_owned(), self.timeouts, room, found))
            })
            .collect();
        for query in queries {
            query.await;
        }
    }

    /// Where to ask. Waits for peers that were just added and are being connected for the first time: at the start
    /// of the process a topic would otherwise lose the channels that a peer would have told a moment later.
    async fn addresses(&self, peers: &[Rc<Peer>]) -> Vec<Rc<HttpAddress>> {
        let all_tried = async {
            for peer in peers {
                peer.tried.opened().await;
            }
            Ok(())
        };
        let _: io::Result<()> = within(self.timeouts.connect, all_tried).await;
        let mut addresses: Vec<Rc<HttpAddress>> = Vec::new();
        for address in peers.iter().filter_map(|peer| peer.http.get()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

async fn ask_one(
    address: Rc<HttpAddress>,
    topic: String,
    timeouts: QueryTimeouts,
    room: AnswerRoom,
    found: Found,
) {
    match query::channels(&address, &topic, timeouts, &room).await {
        Ok(channels) => {
            let mut found = found.borrow_mut();
            for channel in channels.into_iter().filter(|channel| is_usable(channel)) {
                if found.len() == CHANNELS_FOUND_MAX && !found.contains(&channel) {
                    return warn!("LOOKUP: {topic} gets {CHANNELS_FOUND_MAX} channels and no more");
                }
                found.insert(channel);
            }
        }
        Err(error) => warn!("LOOKUP: {} does not tell the channels of {topic} - {error}", address.authority),
    }
}

/// An ephemeral channel lives with its consumers; one without any would only lose messages. A name that no client
/// could use is not made either.
fn is_usable(channel: &str) -> bool {
    names::is_valid(channel.as_bytes()) && !names::is_ephemeral(channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lasting_channels_with_valid_names_are_made() {
        assert!(is_usable("a.b-c_1"));
        for name in ["", "gone#ephemeral", "two words", "a\n", &"x".repeat(65)] {
            assert!(!is_usable(name), "{name}");
        }
    }
}
