//! life6: faults stop, everything is unpaused, every channel gets a consumer that reads. Then everything drains, and
//! nothing is left.

use nsq_queue::{ChannelKey, TopicKey};
use nsqd::mesh::request::Request;

use crate::book::queue::State;
use crate::book::wire::Status;
use crate::client::Client;
use crate::fail;
use crate::plan::{Step, Verb, Who};
use crate::world::World;

/// How long everything may take: the longest timeout of a message, the longest delay, and some more.
const HEAL_NS_MAX: u64 = 120_000_000_000;

/// Time for what is under way when the faults stop.
const SETTLE_NS: u64 = 7_000_000_000;

/// Time for everything of a client that is gone.
const GONE_NS_MAX: u64 = 20_000_000_000;

/// How often it is looked whether everything is drained.
const LOOK_NS: u64 = 500_000_000;

/// Choices that the healing may take.
const CHOICES_MAX: u64 = 60_000;

/// Heals the world, and checks that nothing is left.
pub fn heal(world: &mut World) {
    world.files.set_active(false);
    world.files.disk.set_capacity(None);
    world.files.disk.die_after(None);
    world.mix.f_reset = 0;
    if let Some(node) = &mut world.node {
        node.cores.iter_mut().for_each(|core| core.stalled_until_ns = 0);
    }
    let clients = world.clients.len() as u64;
    for client in 0..clients {
        let step =
            Step { number: u64::MAX - 1, who: Who::Client(client), verb: Verb::Close, operands: [0; 4] };
        world.step(&step);
    }
    // What is under way may still make a topic or a channel.
    let settled = world.clock.ns() + SETTLE_NS;
    while world.clock.ns() < settled && world.choose() {}
    unpause(world);
    let channels: Vec<(u64, u64)> = {
        let book = world.book.borrow();
        let all = book.queue.channels.values().filter(|channel| !channel.is_ephemeral());
        all.filter_map(|channel| Some((number(&channel.topic)?, number(&channel.name)?))).collect()
    };
    let first = world.clients.len();
    for (at, (topic, channel)) in channels.iter().enumerate() {
        world.clients.push(Client::default());
        world.connect(first + at, at as u64);
        world.clients[first + at].diligent = true;
        let operands = [*topic, *channel, 100, 0];
        let who = Who::Client((first + at) as u64);
        world.step(&Step { number: u64::MAX - 2, who, verb: Verb::Sub, operands });
    }
    let (until, choices) =
        (world.clock.ns() + HEAL_NS_MAX + world.clock.shifted_ns(), world.choice_count + CHOICES_MAX);
    let mut looked_ns = world.clock.ns();
    loop {
        // The look costs more than a choice.
        let due = world.choice_count.is_multiple_of(64) || world.clock.ns() > looked_ns + LOOK_NS;
        if due && world.asked_count() == 0 && is_drained(world) {
            break;
        }
        if due {
            looked_ns = world.clock.ns();
        }
        if !world.choose() {
            if world.asked_count() == 0 && is_drained(world) {
                break;
            }
            fail!("life6", "nothing can happen any more, and {}", what_is_left(world));
        }
        if world.clock.ns() > until || world.choice_count > choices {
            fail!("life6", "after {HEAL_NS_MAX} ns, {}", what_is_left(world));
        }
    }
    end(world);
}

/// life2: when all clients are gone, nothing of them is left. Then a clean stop and a start change nothing.
fn end(world: &mut World) {
    let first = world.clients.len() as u64;
    for client in 0..first {
        let step =
            Step { number: u64::MAX - 3, who: Who::Client(client), verb: Verb::Close, operands: [0; 4] };
        world.step(&step);
    }
    let until = world.clock.ns() + GONE_NS_MAX;
    while world.connection_count() > 0 {
        if world.clock.ns() > until || !world.choose() {
            fail!("life2", "{} connections are left when all clients are gone", world.connection_count());
        }
    }
    let consumers = world.consumer_count();
    if consumers > 0 {
        fail!("life2", "{consumers} consumers are left when all clients are gone");
    }
    world.check_logs();
    world.stop();
    let settled = world.clock.ns() + 100_000_000;
    while world.clock.ns() < settled && world.choose() {}
    if !is_drained(world) {
        fail!("life6", "after a clean stop and a start, {}", what_is_left(world));
    }
}

fn number(name: &str) -> Option<u64> {
    name.get(1..)?.split('#').next()?.parse().ok()
}

fn unpause(world: &mut World) {
    let mut topics: Vec<String> = world.book.borrow().queue.topics.values().cloned().collect();
    topics.sort();
    topics.dedup();
    let channels: Vec<(String, String)> = {
        let book = world.book.borrow();
        book.queue.channels.values().map(|channel| (channel.topic.clone(), channel.name.clone())).collect()
    };
    for topic in topics {
        world.demand(Verb::PauseTopic, Request::PauseTopic { topic, paused: false });
    }
    for (topic, channel) in channels {
        world.demand(Verb::PauseChannel, Request::PauseChannel { topic, channel, paused: false });
    }
}

fn is_drained(world: &World) -> bool {
    let counts = world.channel_counts();
    counts.iter().all(|((topic, channel), counts)| {
        topic.ends_with("#ephemeral")
            || channel.ends_with("#ephemeral")
            || counts.iter().all(|count| *count == 0)
    }) && missing(world).is_none()
}

/// A message that had its OK and was not delivered to a channel that it belongs to.
fn missing(world: &World) -> Option<String> {
    let book = world.book.borrow();
    for (key, channel) in &book.queue.channels {
        if channel.is_ephemeral() || channel.sampled {
            continue;
        }
        for (number, place) in &book.log.messages {
            let of_topic = TopicKey(u64::from(place.shard) << 32 | u64::from(place.topic.0)) == key.topic;
            let Some(message) = book.wire.messages.get(number).filter(|_| of_topic) else { continue };
            let owned = message.sent_ns > channel.created_ns && message.sent_ns > channel.emptied_ns;
            if !owned || !matches!(message.status, Status::Ok(_)) {
                continue;
            }
            match channel.entries.get(&place.id).map(|entry| entry.state) {
                Some(State::Done(_)) => {}
                state => {
                    let ChannelKey { topic, channel: id } = key;
                    return Some(format!(
                        "message {number:x} ({:x}) is {state:?} in channel {} of {topic:?} ({id:?}) at {place:?}",
                        place.id, channel.name
                    ));
                }
            }
        }
    }
    None
}

fn what_is_left(world: &World) -> String {
    let book = world.book.borrow();
    let known: Vec<_> = book.queue.channels.iter().map(|(key, c)| (key, &c.topic, &c.name, c.core)).collect();
    let known = format!("{known:?}");
    drop(book);
    format!(
        "{} requests are not answered, the book knows {known}, counts are {:?}, {:?}",
        world.asked_count(),
        world.channel_counts(),
        missing(world)
    )
}
