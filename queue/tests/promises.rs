//! What NSQ promises its clients, each as a test of a few lines, on one core.

mod world;

use nsq_queue::{Admin, Cause, ChannelId, Command, Input, PublishError, QueueRecord, SubscribeError};
use world::{MS, World};

// -- publishing ----------------------------------------------------------------------------------------------------

#[test]
fn no_publisher_hears_ok_before_the_log_has_it() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    w.consumer(ch, 10);
    for _ in 0..3 {
        w.begin_publish(t, &[b"x"], 0).unwrap();
    }
    w.settle();
    assert!(w.seen.replies.is_empty() && w.seen.delivered.is_empty());
    w.commit(t, 2);
    w.settle();
    assert_eq!(w.seen.replies, [(1, 0, 2, Ok(()))]);
    assert_eq!(w.delivered().len(), 2);
    assert_eq!(w.topic_stats("t").message_count, 2);
}

#[test]
fn a_refused_publish_leaves_no_hole() {
    let mut w = World::one();
    let t = w.topic("t");
    let first = w.begin_publish(t, &[b"a", b"b"], 0).unwrap();
    w.logs.get_mut(&t).unwrap().messages.clear();
    w.input(0, Input::AppendFailed { topic: t, from_seq: first });
    assert_eq!(w.seen.replies, [(1, 0, 1, Err(PublishError::Refused))]);
    assert_eq!(w.publish(t, &[b"c"]), first);
    assert_eq!(w.topic_stats("t").message_count, 1);
}

#[test]
fn publishers_of_a_deleted_topic_hear_that_it_is_exiting() {
    let mut w = World::one();
    let t = w.topic("t");
    w.begin_publish(t, &[b"x"], 0).unwrap();
    w.admin(t, Admin::DeleteTopic);
    assert_eq!(w.seen.replies, [(1, 0, 1, Err(PublishError::Exiting))]);
    assert_eq!(w.begin_publish(t, &[b"x"], 0), Err(PublishError::Exiting));
    w.commit(t, 1); // The log may still be at it.
    assert!(w.topic_stats_all().is_empty());
}

#[test]
fn counters_are_those_of_the_bodies() {
    let mut w = World::one();
    let t = w.topic("t");
    w.publish(t, &[b"in the channel", b"in the topic", b"in the topic too"]);
    let stats = w.topic_stats("t");
    assert_eq!((stats.depth, stats.message_count, stats.message_bytes), (3, 3, 42));
}

// -- credit --------------------------------------------------------------------------------------------------------

#[test]
fn credit_is_a_ceiling_and_not_used_up() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 0);
    w.publish_count(t, 10);
    assert!(w.delivered().is_empty());
    w.credit(c, 3);
    let first = w.delivered();
    assert_eq!(first.len(), 3);
    assert_eq!(w.seen.deliver_count, 1, "consecutive messages are one slice");
    w.finish(c, first[1].id);
    w.finish(c, first[0].id);
    assert_eq!(w.delivered().len(), 2);
    w.credit(c, 1);
    w.finish(c, first[2].id);
    assert!(w.delivered().is_empty(), "two are still in flight");
    assert_eq!(w.counts("ch"), [5, 2, 0, 10]);
}

#[test]
fn a_socket_that_is_full_gets_nothing_until_it_drains() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 5);
    w.input(0, Input::Writable { consumer: c, room_bytes: 0 });
    w.publish_count(t, 2);
    assert!(w.delivered().is_empty());
    w.input(0, Input::Writable { consumer: c, room_bytes: 1_000 });
    w.settle();
    assert_eq!(w.delivered().len(), 2);
}

#[test]
fn a_consumer_gets_its_room_in_bytes_and_the_rest_of_one_message() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 2_500);
    w.input(0, Input::Writable { consumer: c, room_bytes: 200 });
    let body = [b'x'; 66]; // 100 bytes on the wire.
    w.publish(t, &[body.as_slice(); 10]);
    assert_eq!(w.delivered().len(), 2, "two messages use up 200 bytes");
    w.settle();
    assert_eq!(w.delivered().len(), 0);
    w.input(0, Input::Writable { consumer: c, room_bytes: 201 });
    w.settle();
    assert_eq!(w.delivered().len(), 3, "the third uses up the last byte");
    w.input(0, Input::Writable { consumer: c, room_bytes: 1 });
    w.settle();
    let large = w.one_delivered();
    w.requeue(c, large.id, 0);
    assert_eq!(w.delivered().len(), 0, "what comes again needs room too");
    w.input(0, Input::Writable { consumer: c, room_bytes: 1 });
    w.settle();
    assert_eq!(w.one_delivered().id, large.id);
}

#[test]
fn a_turn_deals_its_bytes_and_the_other_channels_come_first_in_the_next() {
    let mut w = World::one();
    let t = w.topic("t");
    let channels = [w.channel(t, "a"), w.channel(t, "b"), w.channel(t, "c")];
    let consumers = channels.map(|channel| w.consumer(channel, 2_500));
    let bodies = vec![b"0123456789".as_slice(); 100]; // 44 bytes each on the wire, 4,400 for a channel.
    w.begin_publish(t, &bodies, 0).unwrap();
    w.commit(t, 100);
    let mut served = Vec::new();
    while w.shards[0].has_more_to_deal() {
        let dealt = w.turn_within(0, 3_000);
        let delivered = w.delivered();
        assert_eq!(dealt, delivered.iter().map(World::bytes_of).sum::<u64>());
        assert!(dealt < 3_000 + 44, "{dealt} bytes in one turn");
        served.push(delivered[0].consumer);
    }
    assert_eq!(served.len(), 5, "13,200 bytes in turns of 3,036");
    let mut first = served[..3].to_vec();
    first.sort_unstable();
    assert_eq!(first, consumers, "nobody is served twice before everybody was served once");
    assert_eq!(w.turn_within(0, 0), 0);
}

#[test]
fn closing_stops_delivery_and_leaves_commands() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 3);
    w.publish_count(t, 3);
    let got = w.delivered();
    w.input(0, Input::Closing { consumer: c });
    w.credit(c, 5);
    w.touch(c, got[0].id);
    w.finish(c, got[0].id);
    w.requeue(c, got[1].id, 0);
    w.requeue(c, got[2].id, 60_000);
    assert!(w.delivered().is_empty() && w.seen.failed.is_empty());
    assert_eq!(w.counts("ch"), [1, 0, 1, 3]);
    let consumer = w.channel_stats("ch").consumers[0];
    assert_eq!((consumer.credit, consumer.finish_count, consumer.requeue_count), (0, 1, 2));
}

#[test]
fn ready_consumers_share_a_batch() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let consumers: Vec<_> = (0..4).map(|_| w.consumer(ch, 100)).collect();
    w.publish_count(t, 40);
    let got = w.delivered();
    for consumer in consumers {
        let count = got.iter().filter(|delivery| delivery.consumer == consumer).count();
        assert!((8..=12).contains(&count), "{count}");
    }
    assert!(w.seen.deliver_count <= 12, "{} outputs", w.seen.deliver_count);
}

#[test]
fn consumers_fill_up_to_their_credit() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    w.consumer(ch, 1);
    w.consumer(ch, 2);
    w.consumer(ch, 0);
    w.publish_count(t, 5);
    assert_eq!(w.delivered().len(), 3);
    assert_eq!(w.counts("ch"), [2, 3, 0, 5]);
}

// -- FIN, REQ, TOUCH -----------------------------------------------------------------------------------------------

#[test]
fn a_command_for_what_is_not_in_flight_fails_and_changes_nothing() {
    let mut w = World::one();
    let t = w.topic("t");
    let (a, b) = (w.channel(t, "a"), w.channel(t, "b"));
    let owner = w.consumer(a, 1);
    w.publish(t, &[b"x"]);
    let id = w.one_delivered().id;
    let other = w.consumer(a, 1);
    let elsewhere = w.consumer(b, 0);
    w.finish(other, id);
    w.finish(elsewhere, id);
    w.touch(other, id);
    w.requeue(other, id, 0);
    w.input(0, Input::Finish { consumer: owner, id: *b"not hexadecimal!" });
    w.finish(owner, id);
    w.finish(owner, id);
    let failed: Vec<_> =
        w.seen.failed.iter().map(|&(consumer, command, _, cause)| (consumer, command, cause)).collect();
    assert_eq!(
        failed,
        [
            (other, Command::Finish, Cause::NotOwner),
            (elsewhere, Command::Finish, Cause::NotInFlight),
            (other, Command::Touch, Cause::NotOwner),
            (other, Command::Requeue, Cause::NotOwner),
            (owner, Command::Finish, Cause::NotInFlight),
            (owner, Command::Finish, Cause::NotInFlight),
        ]
    );
    assert_eq!(&w.seen.failed[4].2, b"not hexadecimal!", "the id comes back as it was");
    assert_eq!(w.counts("a"), [0, 0, 0, 1]);
    assert_eq!(w.counts("b"), [1, 0, 0, 1]);
}

#[test]
fn a_requeued_message_is_the_next_attempt_with_the_same_id() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 1);
    w.publish(t, &[b"x"]);
    let id = w.one_delivered().id;
    for attempts in 2..5 {
        w.requeue(c, id, 0);
        let again = w.one_delivered();
        assert_eq!((again.id, again.attempts, again.body.as_slice()), (id, attempts, b"x".as_slice()));
    }
    let stats = w.channel_stats("ch");
    assert_eq!((stats.requeue_count, stats.message_count, stats.consumers[0].message_count), (3, 1, 4));
}

#[test]
fn attempts_stop_at_their_maximum() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 1);
    w.publish(t, &[b"x"]);
    let id = w.one_delivered().id;
    for _ in 0..65_540 {
        let requeued = w.shards[0].requeue(w.now, c, &nsq_queue::format_message_id(id), 0);
        requeued.unwrap();
        w.shards[0].end_turn(w.now, u64::MAX);
        while w.shards[0].poll_output().is_some() {}
    }
    w.requeue(c, id, 0);
    assert_eq!(w.one_delivered().attempts, 65_535);
}

#[test]
fn a_delayed_requeue_comes_in_time_and_frees_its_slot() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 1);
    w.publish(t, &[b"a", b"b"]);
    let a = w.one_delivered().id;
    w.requeue(c, a, 1_000);
    let b = w.one_delivered();
    assert_eq!(b.body, b"b");
    w.finish(c, a);
    assert_eq!(w.seen.failed.pop().unwrap().3, Cause::NotInFlight);
    assert_eq!(w.counts("ch"), [0, 1, 1, 2]);
    w.finish(c, b.id);
    w.wait(999);
    assert!(w.delivered().is_empty());
    w.wait(1);
    assert_eq!(w.texts(), ["a (2)"]);
}

#[test]
fn a_message_that_is_not_finished_in_time_comes_again() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.begin_subscribe(0, ch, 800, 0);
    w.credit(c, 1);
    w.publish(t, &[b"x"]);
    w.one_delivered();
    assert!(w.shards[0].poll_timeout().unwrap() <= w.now.mono_ns + 800 * MS);
    w.wait(799);
    assert!(w.delivered().is_empty());
    w.wait(1);
    assert_eq!(w.texts(), ["x (2)"]);
    let stats = w.channel_stats("ch");
    assert_eq!((stats.timeout_count, stats.requeue_count, stats.in_flight_count), (1, 0, 1));
    assert_eq!(stats.consumers[0].in_flight_count, 1);
}

#[test]
fn after_a_timeout_another_consumer_may_own_the_message() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let a = w.begin_subscribe(0, ch, 800, 0);
    w.credit(a, 1);
    w.publish(t, &[b"x"]);
    let id = w.one_delivered().id;
    w.credit(a, 0);
    let b = w.consumer(ch, 1);
    w.wait(800);
    assert_eq!(w.one_delivered().consumer, b);
    w.finish(a, id);
    assert_eq!(w.seen.failed.pop().unwrap().3, Cause::NotOwner);
    w.finish(b, id);
    assert_eq!(w.counts("ch"), [0, 0, 0, 1]);
}

#[test]
fn a_touch_starts_the_time_again_up_to_the_maximum() {
    let mut w = World::new(1, |config| config.message_timeout_max_ns = 1_300 * MS);
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.begin_subscribe(0, ch, 700, 0);
    w.credit(c, 1);
    w.publish(t, &[b"x"]);
    let id = w.one_delivered().id;
    for _ in 0..2 {
        w.wait(500);
        w.touch(c, id);
    }
    w.wait(299);
    assert!(w.delivered().is_empty());
    w.wait(1);
    assert_eq!(w.texts(), ["x (2)"]);
}

#[test]
fn what_a_lost_connection_had_stays_in_flight_until_its_deadline() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let a = w.consumer(ch, 1);
    w.publish(t, &[b"x"]);
    w.one_delivered();
    w.leave(a);
    let b = w.consumer(ch, 1);
    assert_eq!(w.counts("ch"), [0, 1, 0, 1]);
    w.wait(59_999);
    assert!(w.delivered().is_empty());
    w.wait(1);
    assert_eq!(w.one_delivered().consumer, b);
    assert_eq!((w.channel_stats("ch").timeout_count, w.channel_stats("ch").requeue_count), (1, 0));
}

#[test]
fn sampling_discards_for_good() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.begin_subscribe(0, ch, 60_000, 49);
    w.credit(c, 2_500);
    w.publish_count(t, 2_000);
    let got = w.delivered();
    assert!((850..1_150).contains(&got.len()), "{}", got.len());
    let stats = w.channel_stats("ch");
    assert_eq!((stats.depth, stats.message_count, stats.in_flight_count), (0, 2_000, got.len() as u64));
    got.iter().for_each(|delivery| w.finish(c, delivery.id));
    assert_eq!(w.seen.failed, []);
    assert_eq!(w.cache_count(), 0, "what was discarded keeps nothing in memory");
}

#[test]
fn the_time_from_publish_to_finish_is_told() {
    let mut w = World::new(1, |config| config.latency = true);
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 1);
    w.publish(t, &[b"x"]);
    let id = w.one_delivered().id;
    w.finish(c, id);
    assert_eq!(w.seen.latencies, [w.now.wall_ns as u64 - 1_000]);
}

// -- topics and channels -------------------------------------------------------------------------------------------

#[test]
fn a_backlog_goes_to_the_first_channel_only() {
    let mut w = World::one();
    let t = w.topic("t");
    w.publish_count(t, 3);
    assert_eq!(w.topic_stats("t").depth, 3);
    let a = w.channel(t, "a");
    let b = w.channel(t, "b");
    w.consumer(a, 10);
    assert_eq!(w.delivered().len(), 3);
    w.consumer(b, 10);
    assert!(w.delivered().is_empty());
    w.publish_count(t, 1);
    assert_eq!(w.delivered().len(), 2);
    assert_eq!((w.counts("a")[3], w.counts("b")[3], w.topic_stats("t").depth), (4, 1, 0));
}

#[test]
fn a_topic_gathers_again_after_its_last_channel() {
    let mut w = World::one();
    let t = w.topic("t");
    w.channel(t, "ch");
    w.publish(t, &[b"goes with the channel"]);
    w.admin(t, Admin::DeleteChannel("ch".into()));
    w.publish(t, &[b"stays"]);
    assert_eq!(w.topic_stats("t").depth, 1);
    let next = w.channel(t, "next");
    w.consumer(next, 10);
    assert_eq!(w.texts(), ["stays"]);
}

#[test]
fn a_held_topic_waits_for_its_channels() {
    let mut w = World::one();
    let t = w.topic_on(0, "t", true, None);
    w.publish(t, &[b"x"]);
    let (a, b) = (w.channel(t, "a"), w.channel(t, "b"));
    w.consumer(a, 1);
    w.consumer(b, 1);
    assert!(w.delivered().is_empty());
    w.input(0, Input::TopicRelease { topic: t });
    w.settle();
    assert_eq!(w.texts(), ["x", "x"]);
}

#[test]
fn a_paused_topic_forwards_nothing_and_its_delays_do_not_run() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    w.consumer(ch, 10);
    w.admin(t, Admin::PauseTopic);
    w.publish_deferred(t, &[b"later"], 700);
    w.publish(t, &[b"now"]);
    w.wait(900);
    assert!(w.delivered().is_empty());
    assert_eq!((w.topic_stats("t").depth, w.counts("ch")), (2, [0, 0, 0, 0]));
    w.admin(t, Admin::UnpauseTopic);
    assert_eq!(w.texts(), ["now"]);
    assert_eq!(w.counts("ch"), [0, 1, 1, 2]);
    w.wait(699);
    assert!(w.delivered().is_empty());
    w.wait(1);
    assert_eq!(w.texts(), ["later"], "the first attempt");
}

#[test]
fn a_paused_channel_takes_messages_commands_and_time() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.begin_subscribe(0, ch, 600, 0);
    w.credit(c, 3);
    w.publish_count(t, 3);
    let got = w.delivered();
    w.admin(t, Admin::PauseChannel("ch".into()));
    w.finish(c, got[0].id);
    w.requeue(c, got[1].id, 0);
    w.publish_deferred(t, &[b"deferred"], 300);
    w.wait(600);
    assert!(w.delivered().is_empty());
    assert_eq!((w.counts("ch"), w.channel_stats("ch").timeout_count), ([3, 0, 0, 4], 1));
    assert!(w.channel_stats("ch").paused);
    w.admin(t, Admin::UnpauseChannel("ch".into()));
    assert_eq!(w.texts(), ["1:....... (2)", "deferred", "2:.............. (2)"]);
}

#[test]
fn deferred_messages_wait_in_each_channel() {
    let mut w = World::one();
    let t = w.topic("t");
    let (a, b) = (w.channel(t, "a"), w.channel(t, "b"));
    w.consumer(a, 10);
    w.consumer(b, 10);
    w.publish(t, &[b"first"]);
    w.publish_deferred(t, &[b"later"], 1_000);
    w.publish(t, &[b"last"]);
    assert_eq!(w.texts(), ["first", "first", "last", "last"]);
    assert_eq!((w.counts("a"), w.counts("b")), ([0, 2, 1, 3], [0, 2, 1, 3]));
    w.wait(999);
    assert!(w.delivered().is_empty());
    w.wait(1);
    assert_eq!(w.texts(), ["later", "later"]);
}

#[test]
fn emptying_a_channel_drops_everything_and_keeps_its_consumers() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    w.publish_count(t, 10);
    let c = w.consumer(ch, 3);
    let got = w.delivered();
    w.requeue(c, got[0].id, 60_000);
    assert_eq!(w.counts("ch"), [6, 3, 1, 10]);
    w.records();
    w.admin(t, Admin::EmptyChannel("ch".into()));
    assert_eq!(w.records(), [QueueRecord::ChannelEmptied { channel: ChannelId(0), up_to: 10 }]);
    assert_eq!(w.counts("ch"), [0, 0, 0, 10]);
    assert_eq!(w.channel_stats("ch").consumers[0].in_flight_count, 0);
    w.finish(c, got[1].id);
    assert_eq!(w.seen.failed.pop().unwrap().3, Cause::NotInFlight);
    w.delivered();
    w.publish(t, &[b"new"]);
    assert_eq!(w.texts(), ["new"]);
}

#[test]
fn emptying_a_topic_leaves_its_channels_alone() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    w.publish(t, &[b"in the channel"]);
    w.admin(t, Admin::PauseTopic);
    w.publish(t, &[b"in the topic", b"in the topic too"]);
    w.records();
    w.admin(t, Admin::EmptyTopic);
    assert_eq!(w.records()[0], QueueRecord::TopicEmptied { from: 1, to: 3 });
    assert_eq!((w.topic_stats("t").depth, w.topic_stats("t").message_count), (0, 3));
    w.admin(t, Admin::UnpauseTopic);
    w.publish(t, &[b"after"]);
    w.consumer(ch, 5);
    assert_eq!(w.texts(), ["in the channel", "after"]);
    assert_eq!(w.counts("ch")[3], 2, "what was emptied never came to the channel");
}

#[test]
fn deleting_a_channel_closes_its_consumers_only() {
    let mut w = World::one();
    let t = w.topic("t");
    let (gone, stays) = (w.channel(t, "gone"), w.channel(t, "stays"));
    let (a, b) = (w.consumer(gone, 1), w.consumer(gone, 0));
    w.consumer(stays, 5);
    w.publish(t, &[b"x"]);
    w.delivered();
    w.admin(t, Admin::DeleteChannel("gone".into()));
    assert_eq!(w.seen.closed, [a, b]);
    w.leave(a); // The broker says so when the socket is closed.
    let again = w.channel(t, "gone");
    assert_ne!(again, gone);
    w.consumer(again, 5);
    assert!(w.delivered().is_empty());
    w.wait(60_000);
    assert_eq!(w.texts(), ["x (2)"], "the other channel's");
}

#[test]
fn deleting_a_topic_deletes_its_channels() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 1);
    w.publish_count(t, 5);
    w.admin(t, Admin::DeleteTopic);
    assert_eq!(w.seen.closed, [c]);
    assert_eq!(w.seen.registrations, ["+t", "+t/ch", "-t/ch", "-t"]);
    assert_eq!((w.topic_stats_all().len(), w.cache_count()), (0, 0));
    assert_eq!(w.shards[0].poll_timeout(), None);
    w.topic("t");
    assert_eq!(w.topic_stats("t").depth, 0);
}

#[test]
fn a_channel_has_no_more_consumers_than_it_may() {
    let mut w = World::new(1, |config| config.channel_consumers_max = 2);
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let a = w.consumer(ch, 0);
    w.consumer(ch, 0);
    let c = w.begin_subscribe(0, ch, 60_000, 0);
    assert_eq!(w.seen.subscribed.pop(), Some((c, Err(SubscribeError::TooManyConsumers))));
    w.leave(a);
    w.consumer(ch, 0);
}

// -- ephemeral -----------------------------------------------------------------------------------------------------

#[test]
fn an_ephemeral_channel_goes_with_its_last_consumer() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch#ephemeral");
    w.publish(t, &[b"x"]);
    assert_eq!(w.counts("ch#ephemeral"), [1, 0, 0, 1], "not before the first one came");
    let (a, b) = (w.consumer(ch, 0), w.consumer(ch, 0));
    w.leave(a);
    assert_eq!(w.channel_stats("ch#ephemeral").consumer_count, 1);
    w.leave(b);
    assert_eq!(w.shards[0].channel_by_name(t, "ch#ephemeral"), None);
    let late = w.begin_subscribe(0, ch, 60_000, 0);
    assert_eq!(w.seen.subscribed.pop(), Some((late, Err(SubscribeError::NoSuchChannel))));
    assert_eq!(w.topic_stats("t").channels, []);
}

#[test]
fn an_ephemeral_channel_drops_what_overflows_and_counts_it() {
    let mut w = World::new(1, |config| config.mem_queue_size = 3);
    let t = w.topic("t");
    w.channel(t, "other");
    let ch = w.channel(t, "ch#ephemeral");
    let c = w.consumer(ch, 0);
    for _ in 0..4 {
        w.publish_count(t, 2);
    }
    assert_eq!((w.counts("ch#ephemeral"), w.counts("other")), ([3, 0, 0, 8], [8, 0, 0, 8]));
    assert_eq!(w.channel_stats("other").backend_depth, 5);
    assert_eq!(w.channel_stats("ch#ephemeral").backend_depth, 0);
    w.credit(c, 10);
    let bodies: Vec<Vec<u8>> = w.delivered().into_iter().map(|delivery| delivery.body).collect();
    assert_eq!(bodies, [world::body(0), world::body(1), world::body(2)]);
}

#[test]
fn without_memory_a_waiting_consumer_still_gets_it() {
    let mut w = World::new(1, |config| config.mem_queue_size = 0);
    let t = w.topic("t");
    let ch = w.channel(t, "ch#ephemeral");
    let c = w.consumer(ch, 5);
    w.publish_count(t, 3);
    assert_eq!(w.delivered().len(), 3);
    w.credit(c, 0);
    w.publish(t, &[b"dropped"]);
    w.credit(c, 9);
    assert!(w.delivered().is_empty());
    assert_eq!(w.counts("ch#ephemeral"), [0, 3, 0, 4]);
}

#[test]
fn an_ephemeral_topic_drops_what_overflows_and_goes_with_its_last_channel() {
    let mut w = World::new(1, |config| config.mem_queue_size = 3);
    let t = w.topic("t#ephemeral");
    (0..4).for_each(|_| w.publish_count(t, 2));
    let stats = w.topic_stats("t#ephemeral");
    assert_eq!((stats.depth, stats.backend_depth, stats.message_count), (3, 0, 8));
    let ch = w.channel(t, "ch#ephemeral");
    let c = w.consumer(ch, 10);
    assert_eq!(w.delivered().len(), 3);
    w.publish_count(t, 1);
    let last = w.one_delivered();
    assert_eq!(last.body, world::body(8));
    w.requeue(c, last.id, 0);
    assert_eq!(w.one_delivered().attempts, 2);
    assert_eq!(w.seen.fetch_count, 0, "there is no log to read from");
    assert_eq!(w.records(), [], "nor one to write to");
    w.leave(c);
    assert_eq!(w.seen.registrations.last().unwrap(), "-t#ephemeral");
    assert!(w.topic_stats_all().is_empty());
    assert_eq!(w.cache_count(), 0);
}

#[test]
fn a_lasting_channel_keeps_its_ephemeral_topic() {
    let mut w = World::one();
    let t = w.topic("t#ephemeral");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 1);
    w.leave(c);
    w.publish_count(t, 1);
    assert_eq!(w.counts("ch"), [1, 0, 0, 1]);
    w.admin(t, Admin::DeleteChannel("ch".into()));
    assert!(w.topic_stats_all().is_empty());
}

// -- the log and the cache -----------------------------------------------------------------------------------------

#[test]
fn a_turns_finishes_are_one_record() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 10);
    w.publish_count(t, 10);
    let got = w.delivered();
    w.records();
    for index in [5, 0, 1, 2, 9, 8, 6] {
        w.input(0, Input::Finish { consumer: c, id: nsq_queue::format_message_id(got[index].id) });
    }
    w.settle();
    let ranges = vec![(0, 3), (5, 7), (8, 10)];
    assert_eq!(w.records(), [QueueRecord::Finish { channel: ChannelId(0), ranges }]);
}

#[test]
fn the_log_hears_of_everything_that_must_outlive_the_process() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 1);
    w.publish(t, &[b"x"]);
    let id = w.one_delivered().id;
    w.requeue(c, id, 500);
    let due_at_ns = w.now.wall_ns + 500 * MS as i64;
    for action in [Admin::PauseChannel("ch".into()), Admin::PauseChannel("ch".into()), Admin::PauseTopic] {
        w.admin(t, action);
    }
    w.admin(t, Admin::DeleteChannel("ch".into()));
    w.admin(t, Admin::DeleteTopic);
    let channel = ChannelId(0);
    assert_eq!(
        w.records(),
        [
            QueueRecord::TopicCreated { name: "t".into() },
            QueueRecord::ChannelCreated { channel, name: "ch".into(), from: 0 },
            QueueRecord::Requeue { channel, seq: 0, attempts: 1, due_at_ns },
            QueueRecord::ChannelPaused { channel, paused: true },
            QueueRecord::TopicPaused { paused: true, floor: 1 },
            QueueRecord::ChannelDeleted { channel, floor: 1 },
            QueueRecord::TopicDeleted,
        ]
    );
}

#[test]
fn finished_batches_leave_memory() {
    let mut w = World::one();
    let t = w.topic("t");
    let (a, b) = (w.channel(t, "a"), w.channel(t, "b"));
    let (x, y) = (w.consumer(a, 100), w.consumer(b, 100));
    w.publish_count(t, 10);
    let got = w.delivered();
    let of = |consumer| {
        got.iter().filter(move |delivery| delivery.consumer == consumer).map(|delivery| delivery.id)
    };
    of(x).for_each(|id| w.finish(x, id));
    assert_eq!(w.cache_count(), 1);
    of(y).for_each(|id| w.finish(y, id));
    assert_eq!(w.cache_count(), 0);
}

#[test]
fn a_deleted_channel_holds_nothing_in_memory() {
    let mut w = World::one();
    let t = w.topic("t");
    let (slow, quick) = (w.channel(t, "slow"), w.channel(t, "quick"));
    let c = w.consumer(quick, 10);
    w.publish_count(t, 3);
    w.delivered().iter().for_each(|delivery| w.finish(c, delivery.id));
    assert_eq!((w.cache_count(), w.counts("slow")[0]), (1, 3));
    w.admin(t, Admin::DeleteChannel("slow".into()));
    assert_eq!(w.cache_count(), 0);
    assert_ne!(slow, quick);
}

#[test]
fn a_backlog_beyond_the_cache_is_read_back_in_order() {
    let mut w = World::new(1, |config| config.cache_bytes_max = 1_000);
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    (0..20).for_each(|_| w.publish_count(t, 5));
    assert!(w.shards[0].cache_stats().resident_bytes <= 1_000);
    let c = w.consumer(ch, 1);
    for seq in 0..100 {
        let got = w.one_delivered();
        assert_eq!((got.attempts, got.body), (1, world::body(seq)));
        w.finish(c, got.id);
    }
    assert!(w.delivered().is_empty());
    assert!(w.seen.fetch_count < 20, "{} reads of {} messages each", w.seen.fetch_count, 8);
}

#[test]
fn what_is_read_ahead_is_there_when_it_is_wanted() {
    let mut w = World::one();
    let t = w.topic("t");
    w.publish_count(t, 64);
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 1);
    for _ in 0..64 {
        let got = w.one_delivered();
        assert!(w.seen.fetches.is_empty());
        w.input(0, Input::Finish { consumer: c, id: nsq_queue::format_message_id(got.id) });
        w.turn(0);
        w.settle();
    }
    assert_eq!(w.seen.fetch_count, 8, "one read for each run");
}

#[test]
fn what_is_lost_is_never_waited_for() {
    let mut w = World::new(1, |config| config.cache_bytes_max = 0);
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 2);
    w.publish_count(t, 12);
    let got = w.delivered();
    w.credit(c, 0);
    w.requeue(c, got[0].id, 0);
    w.logs.get_mut(&t).unwrap().lost.extend([(0, 1), (4, 6)]);
    w.credit(c, 20);
    let seqs: Vec<u64> = w.delivered().iter().map(|delivery| delivery.id - got[0].id).collect();
    assert_eq!(seqs, [2, 3, 6, 7, 8, 9, 10, 11]);
    assert_eq!(w.counts("ch")[..2], [0, 9]);
}

#[test]
fn a_read_that_fails_is_repeated() {
    let mut w = World::one();
    let t = w.topic("t");
    w.publish_count(t, 3);
    w.logs.get_mut(&t).unwrap().failing = true;
    let ch = w.channel(t, "ch");
    w.consumer(ch, 3);
    w.wait(500);
    assert_eq!((w.seen.fetch_count, w.delivered().len()), (1, 0));
    w.logs.get_mut(&t).unwrap().failing = false;
    w.wait(500);
    assert_eq!((w.seen.fetch_count, w.delivered().len()), (2, 3));
}

#[test]
fn what_is_in_memory_is_not_lost_with_the_disk() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    w.publish_count(t, 3);
    let lost = Input::Loaded { topic: t, core: 0, seq: 0, batches: Vec::new(), lost: vec![(0, 3)] };
    w.input(0, lost);
    w.consumer(ch, 3);
    assert_eq!(w.delivered().len(), 3);
}

#[test]
fn the_deletion_of_a_topic_can_be_recorded_before_one_of_the_same_name_is_made() {
    let mut w = World::one();
    let t = w.topic("t");
    w.records();
    let now = w.now;
    w.shards[0].handle(now, Input::Admin { topic: t, action: Admin::DeleteTopic, token: None });
    assert_eq!(w.shards[0].take_records(), [(t, QueueRecord::TopicDeleted)]);
    assert_eq!(w.shards[0].take_records(), []);
}

#[test]
fn a_message_that_is_deferred_for_long_is_not_kept_in_memory_and_comes_in_time() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 10);
    for _ in 0..20 {
        w.publish_deferred(t, &[b"far"], 3_600_000);
    }
    w.publish_deferred(t, &[b"near"], 1_000);
    assert_eq!(w.cache_count(), 1);
    w.wait(1_000);
    let near = w.one_delivered();
    w.finish(c, near.id);
    w.wait(3_598_000);
    assert!(w.delivered().is_empty(), "early");
    w.wait(1_500);
    assert_eq!(w.delivered().len(), 10);
}

#[test]
fn an_idle_shard_has_nothing_to_wait_for() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.consumer(ch, 1);
    w.publish_count(t, 1);
    let id = w.one_delivered().id;
    w.finish(c, id);
    assert_eq!(w.shards[0].poll_timeout(), None);
}
