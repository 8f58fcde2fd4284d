//! What changes when a channel lives on another core than its topic: nothing that anybody could see.
#![allow(clippy::unwrap_used)]

mod world;

use nsq_queue::{Admin, ChannelKey, ConsumerId, Input, PeerMessage, SubscribeError, Token, TopicKey};
use world::World;

fn channel(w: &mut World, topic: TopicKey, name: &str, core: u16) -> ChannelKey {
    let (key, at) = w.channel_on(topic, name, core, None).unwrap();
    assert_eq!(at, core);
    w.settle();
    key
}

fn consumer(w: &mut World, core: u16, channel: ChannelKey, credit: u32) -> ConsumerId {
    let consumer = w.begin_subscribe(core, channel, 60_000, 0);
    assert_eq!(w.seen.subscribed.pop(), Some((consumer, Ok(()))));
    w.input(core, Input::Credit { consumer, credit });
    w.settle();
    consumer
}

#[test]
fn a_batch_crosses_once_to_each_core_that_hosts_a_channel() {
    let mut w = World::new(3, |_| {});
    let t = w.topic("t");
    for (name, core) in [("a", 0), ("b", 1), ("c", 1), ("d", 1), ("e", 2)] {
        let key = channel(&mut w, t, name, core);
        consumer(&mut w, core, key, 100);
    }
    let bodies: [&[u8]; 3] = [b"x", b"y", b"z"];
    w.begin_publish(t, &bodies, 0).unwrap();
    w.commit(t, 3);
    for core in 1..3 {
        let ring = &w.rings[&(0, core)];
        assert!(matches!(ring.iter().collect::<Vec<_>>()[..], [PeerMessage::Batch { .. }]));
    }
    w.settle();
    assert_eq!(w.delivered().len(), 15);
}

#[test]
fn a_request_is_confirmed_when_the_channels_core_has_done_it() {
    let mut w = World::new(2, |_| {});
    let t = w.topic("t");
    channel(&mut w, t, "a", 1);
    channel(&mut w, t, "b", 0);
    w.publish_count(t, 5);
    let empty = Admin::EmptyChannel("a".into());
    w.input(0, Input::Admin { topic: t, action: empty, token: Some(Token(7)) });
    assert_eq!((w.seen.done.len(), w.counts("a")[0]), (0, 5));
    w.settle();
    assert_eq!((w.seen.done.pop(), w.counts("a")[0], w.counts("b")[0]), (Some(Token(7)), 0, 5));
    for action in [Admin::PauseTopic, Admin::EmptyTopic, Admin::UnpauseTopic, Admin::DeleteTopic] {
        w.admin(t, action);
    }
    w.admin(t, Admin::PauseTopic); // There is none any more, and nothing to wait for.
}

#[test]
fn an_ephemeral_channel_goes_though_its_topic_is_elsewhere() {
    let mut w = World::new(2, |_| {});
    let t = w.topic("t");
    let key = channel(&mut w, t, "ch#ephemeral", 1);
    let c = consumer(&mut w, 1, key, 1);
    w.input(1, Input::Leave { consumer: c });
    // The topic does not know yet, and the channel takes nobody any more.
    assert_eq!(w.channel_on(t, "ch#ephemeral", 1, None).unwrap().0, key);
    let late = w.begin_subscribe(1, key, 60_000, 0);
    assert_eq!(w.seen.subscribed.pop(), Some((late, Err(SubscribeError::NoSuchChannel))));
    w.settle();
    let again = channel(&mut w, t, "ch#ephemeral", 1);
    assert_ne!(again, key);
    consumer(&mut w, 1, again, 1);
}

#[test]
fn a_memory_only_topic_shares_its_messages_with_every_core() {
    let mut w = World::new(3, |config| config.mem_queue_size = 4);
    let t = w.topic("t#ephemeral");
    (0..3).for_each(|_| w.publish_count(t, 2));
    let keys: Vec<ChannelKey> = (0..3).map(|core| channel(&mut w, t, &format!("c{core}"), core)).collect();
    assert_eq!((w.counts("c0"), w.counts("c1")), ([4, 0, 0, 4], [0, 0, 0, 0]));
    (0..3).for_each(|_| w.publish_count(t, 1));
    assert_eq!((w.counts("c0"), w.counts("c1")), ([4, 0, 0, 7], [3, 0, 0, 3]));
    let mut consumers = Vec::new();
    for core in 0..3 {
        consumers.push(consumer(&mut w, core, keys[core as usize], 10));
        let expected = if core == 0 { 0..4 } else { 6..9 };
        let bodies: Vec<Vec<u8>> = w.seen.delivered.iter().map(|delivery| delivery.body.clone()).collect();
        assert_eq!(bodies, expected.map(world::body).collect::<Vec<_>>());
        for delivery in w.delivered() {
            let id = nsq_queue::format_message_id(delivery.id);
            w.input(core, Input::Finish { consumer: delivery.consumer, id });
        }
        w.settle();
    }
    assert_eq!((w.cache_count(), w.seen.fetch_count, w.records().len()), (0, 0, 0));
    w.admin(t, Admin::DeleteTopic);
    assert_eq!(w.seen.closed, consumers);
}

#[test]
fn what_is_sent_to_a_deleted_topic_is_ignored() {
    let mut w = World::new(2, |config| config.cache_bytes_max = 0);
    let t = w.topic("t");
    let key = channel(&mut w, t, "ch", 1);
    w.publish_count(t, 10);
    let c = w.begin_subscribe(1, key, 60_000, 0);
    w.input(1, Input::Credit { consumer: c, credit: 5 });
    w.turn(1); // Asks for what is not in memory.
    w.input(0, Input::Admin { topic: t, action: Admin::DeleteTopic, token: None });
    w.input(0, Input::Loaded { topic: t, core: 1, seq: 0, batches: Vec::new(), lost: vec![(0, 10)] });
    w.settle();
    assert_eq!((w.seen.fetch_count, w.delivered().len(), w.seen.closed.len()), (0, 0, 1));
}
