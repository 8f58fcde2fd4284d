//! The life of a log without faults: what goes in comes out, also after a stop.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use nsq_wal::disk::fault::{Chance, FaultDisk};
use nsq_wal::format::frame::Kind;
use nsq_wal::{Durability, Io, LogOptions, Record, Refused, State, TopicId};
use support::{CHANNEL, Rig, TOPIC, options, segment_paths};

fn with_channel(durability: Durability) -> Rig {
    let mut rig = Rig::new(options(durability));
    rig.create_topic(TOPIC);
    rig.create_channel(TOPIC, CHANNEL, 0);
    rig
}

#[test]
fn an_unused_shard_has_no_segment() {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.wait_ms(200);
    assert!(segment_paths(&rig.disk).is_empty());
    rig.stop();
    assert!(segment_paths(&rig.disk).is_empty());
    assert!(rig.start().unwrap().was_clean);
}

#[test]
fn a_clean_stop_keeps_everything_and_state_equals_replay() {
    for durability in [Durability::Sync, Durability::Write, Durability::Async] {
        let mut rig = with_channel(durability);
        for i in 0..200 {
            rig.publish(TOPIC, &[i % 50, 300]).unwrap();
            if i % 3 == 0 {
                rig.finish(TOPIC, CHANNEL, i as u64, i as u64 + 1).unwrap();
            }
            if i % 10 == 0 {
                rig.settle();
            }
        }
        let requeue =
            Record::Requeue { topic: TOPIC, channel: CHANNEL, seq: 100, attempts: 3, due_at_ns: 1 << 50 };
        rig.log().record(&requeue).unwrap();
        rig.stop();
        let live = rig.log().state().clone();
        assert_eq!(rig.promises[&TOPIC].released.len(), 400, "{durability:?}");
        let report = rig.start().unwrap();
        assert!(report.was_clean && report.damage.is_empty(), "{report}");
        assert_eq!(rig.log().state(), &live, "{durability:?}");
        rig.verify(true);
    }
}

#[test]
fn state_equals_replay_across_rolls() {
    let mut rig = with_channel(Durability::Sync);
    for i in 0..300u64 {
        rig.publish(TOPIC, &[2000]).unwrap();
        rig.settle();
        if i >= 100 {
            rig.finish(TOPIC, CHANNEL, i - 100, i - 99).unwrap();
        }
    }
    rig.stop();
    let live = rig.log().state().clone();
    rig.start().unwrap();
    assert_eq!(rig.log().state(), &live);
    rig.verify(true);
}

#[test]
fn sync_releases_after_the_write_and_in_one_commit() {
    let mut rig = with_channel(Durability::Sync);
    rig.settle();
    rig.wait_ms(1);
    rig.publish(TOPIC, &[10]).unwrap();
    rig.turn();
    assert!(rig.promises[&TOPIC].released.is_empty());
    assert_eq!(rig.outstanding.len(), 1);
    assert!(matches!(rig.outstanding[0], Io::Write { dsync: true, .. }));
    for _ in 0..50 {
        rig.publish(TOPIC, &[10]).unwrap();
    }
    rig.turn();
    assert_eq!(rig.outstanding.len(), 1, "gathers behind the frame in flight");
    rig.do_io(0);
    assert_eq!(rig.promises[&TOPIC].released.len(), 1);
    rig.turn();
    assert_eq!(rig.outstanding.len(), 1, "fifty publishes are one commit");
    rig.do_io(0);
    assert_eq!(rig.promises[&TOPIC].released.len(), 51);
}

#[test]
fn async_releases_before_the_write() {
    let mut rig = with_channel(Durability::Async);
    rig.publish(TOPIC, &[1]).unwrap();
    rig.settle();
    rig.publish(TOPIC, &[10]).unwrap();
    rig.turn();
    assert!(rig.outstanding.is_empty());
    assert_eq!(rig.promises[&TOPIC].released.len(), 2);
    // It can be read although it is nowhere but in the open frame.
    rig.log().fetch(TOPIC, 1, 4);
    rig.collect();
    assert_eq!(rig.loaded.pop().unwrap().1[0].first_seq, 1);
    rig.now += 100_000_000;
    rig.turn();
    assert!(matches!(rig.outstanding[..], [Io::Write { dsync: false, .. }]));
    rig.settle();
    rig.now += 2_000_000_000;
    rig.turn();
    assert!(matches!(rig.outstanding[..], [Io::Sync { .. }]));
}

#[test]
fn write_releases_in_order_of_the_prefix() {
    let roomy =
        LogOptions { segment_bytes_first: 4 << 20, segment_bytes_max: 4 << 20, ..options(Durability::Write) };
    let mut rig = Rig::new(roomy);
    rig.create_topic(TOPIC);
    rig.settle();
    for _ in 0..3 {
        rig.publish(TOPIC, &[300_000]).unwrap();
    }
    rig.turn();
    assert_eq!(rig.outstanding.len(), 3, "full frames go together");
    assert!(rig.outstanding.iter().all(|io| matches!(io, Io::Write { dsync: false, .. })));
    rig.do_io(2);
    rig.do_io(1);
    assert!(rig.promises[&TOPIC].released.is_empty());
    rig.do_io(0);
    assert_eq!(rig.promises[&TOPIC].released.len(), 3);
}

#[test]
fn lazy_records_ride_along_or_go_after_a_while() {
    let mut rig = with_channel(Durability::Sync);
    rig.publish(TOPIC, &[10, 10]).unwrap();
    rig.settle();
    rig.wait_ms(20);
    let before = rig.log().stats().frame_count;
    rig.finish(TOPIC, CHANNEL, 0, 1).unwrap();
    rig.settle();
    assert_eq!(rig.log().stats().frame_count, before);
    let due = rig.log().poll_timeout().unwrap();
    assert_eq!(due, rig.now + 100_000_000);
    rig.now = due;
    rig.settle();
    assert_eq!(rig.log().stats().frame_count, before + 1);
}

#[test]
fn one_marker_follows_a_sync_and_then_silence() {
    for durability in [Durability::Sync, Durability::Write, Durability::Async] {
        let mut rig = with_channel(durability);
        rig.publish(TOPIC, &[10]).unwrap();
        rig.settle();
        rig.wait_ms(3000);
        let frames = rig.log().stats().frame_count;
        assert_eq!(rig.log().poll_timeout(), None, "{durability:?}");
        rig.wait_ms(3000);
        assert_eq!(rig.log().stats().frame_count, frames);
    }
}

#[test]
fn retired_segments_give_their_files_back() {
    let mut rig = with_channel(Durability::Sync);
    let mut finished = 0;
    for i in 0..2000u64 {
        rig.publish(TOPIC, &[3000]).unwrap();
        rig.settle();
        if i % 20 == 19 {
            rig.finish(TOPIC, CHANNEL, finished, i + 1).unwrap();
            finished = i + 1;
        }
    }
    rig.wait_ms(300);
    assert!(rig.log().stats().frame_bytes > 4 << 20);
    let files = rig.disk.paths().len();
    assert!(files <= 8, "{files} files: {:?}", rig.disk.paths());
    rig.stop();
    rig.start().unwrap();
    rig.verify(true);
}

#[test]
fn a_backlog_is_read_back_after_a_restart_and_without_one() {
    let mut rig = with_channel(Durability::Sync);
    let other = TopicId(1);
    rig.create_topic(other);
    for i in 0..200 {
        rig.publish(TOPIC, &[1000, i]).unwrap();
        rig.publish(other, &[20_000]).unwrap();
        rig.settle();
    }
    rig.verify(true);
    rig.stop();
    rig.start().unwrap();
    rig.verify(true);
    assert_eq!(rig.promises[&other].released.len(), 200);
}

#[test]
fn a_message_larger_than_a_segment_gets_a_segment_of_its_size() {
    let mut rig = with_channel(Durability::Sync);
    rig.publish(TOPIC, &[100]).unwrap();
    rig.settle();
    rig.publish(TOPIC, &[5 << 20, 7]).unwrap();
    rig.settle();
    rig.publish(TOPIC, &[100]).unwrap();
    rig.settle();
    assert_eq!(rig.promises[&TOPIC].released.len(), 4);
    rig.stop();
    rig.start().unwrap();
    rig.verify(true);
}

#[test]
fn more_than_a_frame_holds_is_refused_without_a_trace() {
    let mut rig = with_channel(Durability::Sync);
    let huge = vec![0u8; 65 << 20];
    let publish = nsq_wal::Publish { topic: TOPIC, first_seq: 0, count: 1, defer_ms: 0, timestamp_ns: 0 };
    assert_eq!(rig.log().publish(publish, std::iter::once(&huge[..])), Err(Refused::TooLarge));
    rig.publish(TOPIC, &[1]).unwrap();
    rig.settle();
    assert_eq!(rig.promises[&TOPIC].released.len(), 1);
}

#[test]
fn what_waits_for_the_disk_is_bounded() {
    let mut rig = with_channel(Durability::Sync);
    rig.settle();
    let mut refused = None;
    for _ in 0..10_000 {
        if let Err(refusal) = rig.publish(TOPIC, &[3000]) {
            refused = Some(refusal);
            break;
        }
        rig.turn();
    }
    assert_eq!(refused, Some(Refused::Busy));
    assert!(rig.log().is_busy());
    rig.settle();
    assert!(!rig.log().is_busy());
    rig.publish(TOPIC, &[1]).unwrap();
}

#[test]
fn a_full_disk_refuses_publishes_and_lets_consumers_drain() {
    let mut rig = with_channel(Durability::Sync);
    rig.disk.set_capacity(Some(1 << 20));
    let mut seq = 0;
    loop {
        match rig.publish(TOPIC, &[3000]) {
            Ok(first) => seq = first + 1,
            Err(Refused::Full) => break,
            Err(Refused::Busy) => {}
            Err(other) => panic!("{other}"),
        }
        rig.settle();
        assert!(seq < 1000, "never full");
    }
    assert!(rig.full);
    assert_eq!(rig.promises[&TOPIC].released.len() as u64, seq, "all that was taken is on disk");
    // Finishing needs log space of its own, and gets it, until publishes go on by themselves.
    let mut at = 0;
    while rig.full {
        assert!(at < seq, "drained and still full");
        rig.finish(TOPIC, CHANNEL, at, at + 1).unwrap();
        at += 1;
        rig.wait_ms(120);
    }
    rig.publish(TOPIC, &[3000]).unwrap();
    rig.settle();
    assert!(rig.promises[&TOPIC].released.contains(&seq));
    rig.disk.set_capacity(None);
    rig.stop();
    rig.start().unwrap();
    rig.verify(true);
}

#[test]
fn a_disk_that_is_full_from_the_start_recovers_by_itself() {
    let disk = FaultDisk::new();
    disk.set_capacity(Some(100_000));
    let mut rig = Rig::on(disk, options(Durability::Sync));
    rig.create_topic(TOPIC);
    rig.settle();
    assert_eq!(rig.publish(TOPIC, &[1]), Err(Refused::Full));
    rig.disk.set_capacity(None);
    rig.wait_ms(1001);
    rig.publish(TOPIC, &[1]).unwrap();
    rig.settle();
    assert_eq!(rig.promises[&TOPIC].released.len(), 1);
}

#[test]
fn ids_are_never_issued_again_after_a_crash() {
    let mut chance = Chance::new(1);
    for durability in [Durability::Sync, Durability::Write, Durability::Async] {
        let mut rig = Rig::new(options(durability));
        rig.create_topic(TOPIC);
        for _ in 0..10 {
            for _ in 0..20 {
                rig.publish(TOPIC, &[5]).unwrap();
                rig.turn();
                if !rig.outstanding.is_empty() {
                    rig.do_io(0);
                }
            }
            rig.crash(&mut chance);
            rig.start().unwrap();
            rig.verify(durability == Durability::Sync);
            if rig.log().state().topic(TOPIC).is_none() {
                rig.create_topic(TOPIC);
            }
        }
    }
}

#[test]
fn ids_say_node_and_shard() {
    let mut rig = with_channel(Durability::Sync);
    let publish = nsq_wal::Publish { topic: TOPIC, first_seq: 0, count: 1, defer_ms: 0, timestamp_ns: 0 };
    let placed = rig.log().publish(publish, std::iter::once(&b"x"[..])).unwrap();
    assert_eq!(placed.first_id >> 54, 5);
    assert_eq!((placed.first_id >> 48) & 63, 0);
}

#[test]
fn deferred_publishes_keep_their_time() {
    let mut rig = with_channel(Durability::Sync);
    let publish =
        nsq_wal::Publish { topic: TOPIC, first_seq: 0, count: 1, defer_ms: 500, timestamp_ns: 1_000 };
    rig.promises.get_mut(&TOPIC).unwrap().attempted.insert(0, 3);
    let bytes = support::body(TOPIC, 0, 3);
    rig.log().publish(publish, std::iter::once(&bytes[..])).unwrap();
    rig.settle();
    rig.kill();
    rig.start().unwrap();
    let state = rig.log().state().topic(TOPIC).unwrap();
    let pending: Vec<_> = state.pending(CHANNEL).collect();
    assert_eq!((pending[0].seq, pending[0].attempts, pending[0].due_at_ns), (0, 0, 500_001_000));
}

#[test]
fn a_short_write_is_completed_once() {
    use nsq_wal::disk::fault::{Fault, FaultPlan};
    let mut rig = with_channel(Durability::Sync);
    rig.settle();
    rig.publish(TOPIC, &[30_000]).unwrap();
    rig.turn();
    rig.disk.set_plan(Some(FaultPlan { at: 0, sticky: false, fault: Fault::Short }));
    rig.settle();
    assert_eq!(rig.promises[&TOPIC].released.len(), 1);
    rig.publish(TOPIC, &[30_000]).unwrap();
    rig.turn();
    rig.disk.set_plan(Some(FaultPlan { at: 0, sticky: true, fault: Fault::Short }));
    rig.settle();
    assert!(rig.poisoned);
    assert_eq!(rig.promises[&TOPIC].released.len(), 1);
    assert_eq!(rig.publish(TOPIC, &[1]), Err(Refused::Poisoned));
    rig.kill();
    rig.start().unwrap();
    rig.verify(true);
}

#[test]
fn a_buffer_does_not_change_while_the_disk_may_read_it() {
    for durability in [Durability::Sync, Durability::Write, Durability::Async] {
        let mut rig = with_channel(durability);
        rig.settle();
        for _ in 0..200 {
            let _ = rig.publish(TOPIC, &[700, 40]);
            rig.now += 60_000_000;
            rig.turn();
        }
        let held: Vec<Vec<u8>> = rig.outstanding.iter().map(written).collect();
        assert!(!held.is_empty());
        for _ in 0..200 {
            let _ = rig.publish(TOPIC, &[900]);
            rig.turn();
        }
        let now: Vec<Vec<u8>> = rig.outstanding.iter().map(written).collect();
        assert_eq!(now[..held.len()], held[..], "{durability:?}");
    }
}

fn written(io: &Io) -> Vec<u8> {
    match io {
        Io::Write { buf, .. } => buf.as_slice().to_vec(),
        _ => Vec::new(),
    }
}

#[test]
fn a_sync_vouches_only_for_what_was_written_before_it() {
    use nsq_wal::format::Seed;
    use nsq_wal::format::frame::FrameHeader;
    let mut rig = with_channel(Durability::Write);
    rig.publish(TOPIC, &[10]).unwrap();
    rig.settle();
    rig.now += 3_000_000_000;
    rig.turn();
    assert!(matches!(rig.outstanding[..], [Io::Sync { .. }]));
    let synced = rig.log().last_frame_seq();
    // Written while the sync is under way: not covered by it.
    rig.publish(TOPIC, &[10]).unwrap();
    rig.turn();
    rig.do_io(1);
    rig.do_io(0);
    rig.publish(TOPIC, &[10]).unwrap();
    rig.turn();
    let [Io::Write { buf, .. }] = &rig.outstanding[..] else { panic!("{:?}", rig.outstanding) };
    let (header, _) = FrameHeader::decode(buf.as_slice(), &Seed::new(&[3; 16], &[3; 16])).unwrap();
    assert_eq!((header.frame_seq, header.durable_seq), (synced + 2, synced));
}

#[test]
fn what_was_noticed_is_there_after_a_power_cut_in_sync_and_after_a_kill_at_every_level() {
    for durability in [Durability::Sync, Durability::Write, Durability::Async] {
        let mut rig = with_channel(durability);
        rig.settle();
        rig.log().record(&Record::ChannelPaused { topic: TOPIC, channel: CHANNEL, paused: true }).unwrap();
        rig.log().notify(7);
        assert!(rig.recorded.is_empty(), "told before anything was written");
        rig.settle();
        assert_eq!(rig.recorded, [7]);
        rig.log().notify(8);
        rig.collect();
        assert_eq!(rig.recorded, [7, 8], "nothing waits: told at once");
        if durability == Durability::Sync {
            rig.crash(&mut Chance::new(1));
        } else {
            rig.kill();
        }
        rig.start().unwrap();
        let paused =
            rig.log().state().topic(TOPIC).unwrap().channels().all(|(_, channel)| channel.is_paused());
        assert!(paused, "{durability:?}");
    }
}

#[test]
fn the_frames_handed_to_the_disk_say_what_the_state_says() {
    let mut rig = with_channel(Durability::Sync);
    let state = rig.log().state().clone();
    let mut replay = rig.dir.as_ref().unwrap().replay(state);
    for i in 0..200u64 {
        rig.publish(TOPIC, &[700, 0]).unwrap();
        if i > 20 {
            rig.finish(TOPIC, CHANNEL, i - 20, i - 19).unwrap();
        }
        rig.turn();
        while !rig.outstanding.is_empty() {
            if let Io::Write { buf, .. } = &rig.outstanding[0]
                && let Some(frame) = replay.read(buf.as_slice())
            {
                let facts = frame.facts.len();
                assert!(frame.kind != Kind::Data || facts > 0);
                assert!(replay.apply(buf.as_slice()));
            }
            rig.do_io(0);
        }
    }
    rig.settle();
    let topics = |state: &State| state.topics().map(|(id, topic)| (id, topic.clone())).collect::<Vec<_>>();
    assert_eq!(topics(replay.state()), topics(rig.log().state()));
}

#[test]
fn a_publish_is_never_refused_while_the_log_is_not_busy() {
    let small = LogOptions { gather_bytes_max: 2 << 20, ..options(Durability::Sync) };
    let mut rig = Rig::new(small);
    rig.create_topic(TOPIC);
    let bodies = vec![1usize; 12_000];
    let mut held = 0;
    for i in 0..40 {
        while rig.log().is_busy() {
            held += 1;
            rig.settle();
        }
        // In delivery form nine times as much as its bodies, and more than the spares and half the reserve.
        rig.publish(TOPIC, &bodies).unwrap_or_else(|refused| panic!("publish {i}: {refused}"));
        rig.publish(TOPIC, &[10]).ok();
        if i % 3 == 0 {
            rig.turn();
        }
    }
    assert!(held > 0, "never busy: no test");
    rig.settle();
}

#[test]
fn a_fact_is_never_refused_however_much_waits() {
    let mut rig = with_channel(Durability::Sync);
    rig.settle();
    while rig.publish(TOPIC, &[3000]) != Err(Refused::Busy) {
        rig.turn();
    }
    for i in 0..1000 {
        rig.finish(TOPIC, CHANNEL, i, i + 1).unwrap();
    }
    rig.wait_ms(200);
    rig.kill();
    rig.start().unwrap();
    assert_eq!(rig.log().state().topic(TOPIC).unwrap().wanted_from(), 1000);
}

#[test]
fn one_message_that_waits_keeps_its_own_segment_and_no_other() {
    let mut rig = with_channel(Durability::Sync);
    rig.publish(TOPIC, &[100]).unwrap();
    rig.settle();
    // Ten times the files that may stay: the one with the message, the active one, two spares, the reserve.
    for i in 1..2000u64 {
        rig.publish(TOPIC, &[3000]).unwrap();
        rig.settle();
        if i % 20 == 0 {
            rig.finish(TOPIC, CHANNEL, i - 19, i + 1).unwrap();
        }
        rig.now += 2_000_000;
    }
    rig.wait_ms(300);
    assert!(rig.log().stats().frame_bytes > 4 << 20);
    let segments = segment_paths(&rig.disk).len();
    assert!(segments <= 3, "{segments} segments for one message");
    rig.stop();
    rig.start().unwrap();
    rig.verify(true);
    assert!(rig.promises[&TOPIC].released.contains(&0));
}
