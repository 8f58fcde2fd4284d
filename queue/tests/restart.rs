//! What the log knew comes back: nothing is lost, nothing is hurried, attempts go on.

#![allow(clippy::unwrap_used)]

mod world;

use nsq_queue::{
    Admin, ChannelId, ChannelKey, Input, QueueRecord, RestoredChannel, RestoredMessage, RestoredTopic,
    TopicKey,
};
use world::{MS, Stored, World, body};

const CHANNEL: RestoredChannel = RestoredChannel {
    channel: ChannelId(0),
    paused: false,
    watermark: 0,
    finished: Vec::new(),
    requeued: Vec::new(),
};

fn topic(paused: bool, floor: u64, next_seq: u64) -> RestoredTopic {
    RestoredTopic { paused, floor, next_seq, next_channel: 0, deferred: Vec::new() }
}

/// A world whose log has `next_seq` messages of topic `t`.
fn restored(cores: u16, restored: RestoredTopic) -> (World, TopicKey) {
    let mut w = World::new(cores, |_| {});
    let count = restored.next_seq;
    let t = w.topic_on(0, "t", false, Some(restored));
    let log = w.logs.get_mut(&t).unwrap();
    log.messages = (0..count).map(|seq| Stored { id: 0x100 + seq, body: body(seq), defer_ms: 0 }).collect();
    log.released = count;
    (w, t)
}

fn channel(w: &mut World, t: TopicKey, name: &str, restored: RestoredChannel) -> ChannelKey {
    let key = w.channel_on(t, name, 0, Some(restored)).unwrap().0;
    w.settle();
    key
}

fn seqs(w: &mut World) -> Vec<(u64, u16)> {
    w.delivered().into_iter().map(|delivery| (delivery.id - 0x100, delivery.attempts)).collect()
}

#[test]
fn what_was_not_finished_comes_again_and_what_was_does_not() {
    let (mut w, t) = restored(1, topic(false, 0, 10));
    let ch = channel(
        &mut w,
        t,
        "ch",
        RestoredChannel { watermark: 2, finished: vec![(4, 6), (9, 10)], ..CHANNEL },
    );
    assert_eq!(w.records(), [], "the log knows all this");
    assert_eq!(
        (w.counts("ch"), w.topic_stats("t").depth),
        ([5, 0, 0, 0], 0),
        "no counter survives, depth does"
    );
    let c = w.consumer(ch, 10);
    let got = seqs(&mut w);
    assert_eq!(got, [(2, 1), (3, 1), (6, 1), (7, 1), (8, 1)]);
    got.iter().for_each(|(seq, _)| w.finish(c, 0x100 + seq));
    w.publish(t, &[b"new"]);
    assert_eq!(w.texts(), ["new"]);
    assert_eq!(w.counts("ch")[3], 1);
}

#[test]
fn attempts_and_due_times_outlive_the_process() {
    let (mut w, t) = restored(1, topic(false, 0, 6));
    let wall = w.now.wall_ns;
    let at = |seq, attempts, due_at_ns| RestoredMessage { seq, attempts, due_at_ns };
    let requeued = vec![
        at(4, 3, 0),
        at(1, 2, wall + 500 * MS as i64),
        at(2, 0, wall + 700 * MS as i64),
        at(5, 7, wall - 1),
        at(0, 9, 0),
    ];
    let ch = channel(&mut w, t, "ch", RestoredChannel { watermark: 1, requeued, ..CHANNEL });
    assert_eq!(w.counts("ch"), [3, 0, 2, 0]);
    w.consumer(ch, 10);
    assert_eq!(seqs(&mut w), [(4, 4), (5, 8), (3, 1)], "what is finished is not requeued");
    w.wait(499);
    assert_eq!(seqs(&mut w), []);
    w.wait(1);
    assert_eq!(seqs(&mut w), [(1, 3)]);
    w.wait(200);
    assert_eq!(seqs(&mut w), [(2, 1)], "a deferred publish is a first attempt");
}

#[test]
fn a_paused_topic_keeps_its_backlog_and_its_delays() {
    let (mut w, t) = restored(1, RestoredTopic { deferred: vec![(1, 9), (4, 800)], ..topic(true, 3, 5) });
    let ch = channel(&mut w, t, "ch", RestoredChannel { watermark: 2, ..CHANNEL });
    w.consumer(ch, 10);
    assert_eq!(seqs(&mut w), [(2, 1)]);
    assert_eq!((w.topic_stats("t").depth, w.topic_stats("t").paused), (2, true));
    w.wait(900);
    w.admin(t, Admin::UnpauseTopic);
    assert_eq!(seqs(&mut w), [(3, 1)]);
    w.wait(800);
    assert_eq!(seqs(&mut w), [(4, 1)]);
}

#[test]
fn a_topic_without_channels_keeps_its_backlog_for_the_first_one() {
    let (mut w, t) = restored(1, topic(false, 4, 6));
    assert_eq!(w.topic_stats("t").depth, 2);
    let ch = w.channel(t, "new");
    assert_eq!(ch.channel, ChannelId(0));
    w.consumer(ch, 10);
    assert_eq!(seqs(&mut w), [(4, 1), (5, 1)]);
}

#[test]
fn a_paused_channel_stays_paused_and_ids_go_on() {
    let (mut w, t) = restored(1, topic(false, 0, 3));
    let a = channel(&mut w, t, "a", RestoredChannel { paused: true, channel: ChannelId(7), ..CHANNEL });
    let b = w.channel(t, "b");
    assert_eq!(b.channel, ChannelId(8));
    w.consumer(a, 10);
    w.consumer(b, 10);
    assert_eq!(seqs(&mut w), []);
    w.admin(t, Admin::UnpauseChannel("a".into()));
    assert_eq!(seqs(&mut w).len(), 3);
}

#[test]
fn a_clean_stop_writes_down_attempts() {
    let mut w = World::one();
    let t = w.topic("t");
    let ch = w.channel(t, "ch");
    let c = w.begin_subscribe(0, ch, 1_000, 0);
    w.credit(c, 3);
    w.publish_count(t, 5);
    let got = w.delivered();
    w.requeue(c, got[2].id, 60_000);
    w.finish(c, got[1].id);
    w.credit(c, 1);
    w.wait(1_000);
    w.delivered();
    w.records();
    w.input(0, Input::Stop);
    w.settle();
    let channel = ChannelId(0);
    let requeue = |seq, attempts| QueueRecord::Requeue { channel, seq, attempts, due_at_ns: 0 };
    assert_eq!(w.records(), [requeue(0, 2), requeue(3, 1), requeue(4, 1)]);
    w.credit(c, 10);
    assert!(w.delivered().is_empty(), "what is delivered now would be counted by nobody");
}

#[test]
fn a_channel_of_another_core_comes_back_there() {
    let (mut w, t) = restored(2, topic(false, 0, 40));
    let finished = vec![(10, 20), (30, 35)];
    let restored = RestoredChannel { watermark: 5, finished, ..CHANNEL };
    let (ch, core) = w.channel_on(t, "ch", 1, Some(restored)).unwrap();
    assert_eq!(core, 1);
    w.settle();
    let c = w.begin_subscribe(1, ch, 60_000, 0);
    w.input(1, Input::Credit { consumer: c, credit: 100 });
    w.settle();
    let expected: Vec<(u64, u16)> = (5..10).chain(20..30).chain(35..40).map(|seq| (seq, 1)).collect();
    assert_eq!(seqs(&mut w), expected);
}

#[test]
fn the_id_of_a_channel_that_is_gone_is_not_given_again() {
    let (mut w, t) = restored(1, RestoredTopic { next_channel: 8, ..topic(false, 0, 3) });
    let old = channel(&mut w, t, "old", RestoredChannel { channel: ChannelId(2), ..CHANNEL });
    let new = w.channel(t, "new");
    assert_eq!((old.channel, new.channel), (ChannelId(2), ChannelId(8)));
}
