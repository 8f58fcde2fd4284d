//! A disk without room: publishes are refused, everything else goes on for as long as it takes, and a start works.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use nsq_wal::disk::fault::{Chance, Class, Fault, Judge, Operation};
use nsq_wal::{Durability, LogOptions, Record, Refused, TopicId};
use support::{CHANNEL, Rig, TOPIC, options, segment_paths};

const MIB: u64 = 1 << 20;

fn small(durability: Durability) -> LogOptions {
    LogOptions {
        segment_bytes_first: MIB,
        segment_bytes_max: 4 * MIB,
        reserve_bytes: MIB / 4,
        ..options(durability)
    }
}

/// A log on a disk of `bytes`, published to until it is full: calls of three messages of 20,000 bytes. Returns how
/// many messages it took.
fn filled(bytes: u64, options: LogOptions) -> (Rig, u64) {
    let mut rig = Rig::new(options);
    rig.create_topic(TOPIC);
    rig.create_channel(TOPIC, CHANNEL, 0);
    rig.disk.set_capacity(Some(bytes));
    let mut count = 0;
    for _ in 0..1_000_000 {
        match rig.publish(TOPIC, &[20_000; 3]) {
            Ok(first) => count = first + 3,
            Err(Refused::Full) => break,
            Err(Refused::Busy) => {}
            Err(other) => panic!("{other}"),
        }
        rig.settle();
        rig.now += 1_000_000;
    }
    assert!(rig.full, "never full");
    (rig, count)
}

#[test]
fn most_of_a_small_disk_can_be_used_before_it_is_full() {
    let (rig, count) = filled(64 * MIB, small(Durability::Sync));
    let stored = count * 20_000;
    assert!(stored > 52 * MIB, "{} MiB of 64", stored / MIB);
    assert_eq!(rig.promises[&TOPIC].released.len() as u64, count, "what was taken is released");
}

/// One message per record, the worst there is: a consumer that trickles and requeues for an hour of virtual time, in
/// which the reserve is written over and over.
#[test]
fn facts_go_on_for_ever_on_a_full_disk() {
    let (mut rig, count) = filled(16 * MIB, small(Durability::Sync));
    let used = rig.disk.used_bytes();
    for i in 0..3_600u64 {
        // Never the first message: nothing becomes free.
        let seq = 1 + i % (count - 1);
        let fact = match i % 3 {
            0 => Record::Finish { topic: TOPIC, channel: CHANNEL, ranges: vec![(seq, seq + 1)] },
            1 => Record::Requeue { topic: TOPIC, channel: CHANNEL, seq, attempts: 2, due_at_ns: 1 << 60 },
            _ => Record::ChannelPaused { topic: TOPIC, channel: CHANNEL, paused: i % 2 == 0 },
        };
        if !matches!(fact, Record::Finish { .. }) || seq % 10 != 0 {
            rig.log().record(&fact).unwrap();
        }
        rig.now += 1_000_000_000;
        rig.settle();
        assert!(rig.log().stats().gathered_bytes < MIB / 4, "after {i} s facts pile up");
    }
    assert!(rig.full && !rig.poisoned);
    assert!(rig.disk.used_bytes() <= used);
    // And all of it is there.
    let live = rig.log().state().clone();
    rig.kill();
    rig.disk.set_capacity(Some(0));
    rig.start().unwrap();
    assert_eq!(rig.log().state(), &live);
}

#[test]
fn deleting_and_emptying_free_a_full_disk_and_publishes_come_back() {
    for what in 0..3 {
        let (mut rig, count) = filled(16 * MIB, small(Durability::Sync));
        let record = match what {
            0 => Record::TopicDeleted { topic: TOPIC },
            1 => Record::ChannelEmptied { topic: TOPIC, channel: CHANNEL, up_to: count },
            _ => Record::Finish { topic: TOPIC, channel: CHANNEL, ranges: vec![(0, count)] },
        };
        rig.log().record(&record).unwrap();
        rig.log().notify(3);
        rig.wait_ms(5000);
        assert_eq!(rig.recorded, [3]);
        assert!(!rig.full, "case {what}: still full");
        rig.create_topic(TopicId(5));
        rig.publish(TopicId(5), &[1000; 50]).unwrap();
        rig.settle();
        assert_eq!(rig.promises[&TopicId(5)].released.len(), 50);
    }
}

#[test]
fn a_killed_log_starts_and_drains_with_not_one_byte_free() {
    for durability in [Durability::Sync, Durability::Write, Durability::Async] {
        let (mut rig, count) = filled(16 * MIB, small(durability));
        rig.wait_ms(3000);
        let count = count.min(rig.log().state().topic(TOPIC).unwrap().next_seq());
        rig.kill();
        // Somebody else takes the last byte.
        rig.disk.set_capacity(Some(0));
        rig.start().unwrap();
        assert_eq!(rig.log().state().topic(TOPIC).unwrap().next_seq(), count);
        for at in 0..count / 2 {
            rig.log()
                .record(&Record::Finish { topic: TOPIC, channel: CHANNEL, ranges: vec![(at, at + 1)] })
                .unwrap();
        }
        rig.wait_ms(3000);
        assert!(!rig.poisoned);
        assert_eq!(rig.log().stats().gathered_bytes, 0, "{durability:?}: facts have no place");
        assert_eq!(rig.log().state().topic(TOPIC).unwrap().wanted_from(), count / 2);
        rig.disk.set_capacity(None);
        rig.wait_ms(3000);
        rig.publish(TOPIC, &[10]).unwrap();
        rig.settle();
        assert!(rig.promises[&TOPIC].released.contains(&count), "{durability:?}");
    }
}

/// The process dies at a random operation of a full disk, again and again, while a consumer goes on.
#[test]
fn no_crash_on_a_full_disk_loses_anything() {
    for seed in 0..10 {
        let mut chance = Chance::new(seed);
        let (mut rig, _) = filled(6 * MIB, small(Durability::Sync));
        let mut at = 0;
        for _life in 0..4 {
            for _ in 0..chance.below(60) {
                let to = at + chance.below(20);
                let end = rig.log().state().topic(TOPIC).unwrap().next_seq();
                if at < to && to <= end {
                    let _ = rig.finish(TOPIC, CHANNEL, at, to);
                    at = to;
                }
                let _ = rig.publish(TOPIC, &[500]);
                rig.now += chance.below(1_500_000_000);
                rig.turn();
                for _ in 0..chance.below(6) {
                    if !rig.outstanding.is_empty() {
                        let index = chance.below(rig.outstanding.len() as u64) as usize;
                        rig.do_io(index);
                    }
                }
            }
            rig.crash(&mut chance);
            let report = rig.start().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            assert!(report.damage.is_empty(), "seed {seed}: {report}");
            rig.verify(true);
            at = rig.log().state().topic(TOPIC).unwrap().wanted_from();
        }
    }
}

#[test]
fn much_that_becomes_free_at_once_goes_back_to_the_disk() {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.create_topic(TOPIC);
    rig.create_channel(TOPIC, CHANNEL, 0);
    let mut count = 0;
    for _ in 0..900 {
        count = rig.publish(TOPIC, &[80_000]).unwrap() + 1;
        rig.settle();
    }
    let before = segment_paths(&rig.disk).len();
    assert!(before >= 300, "{before} segments");
    let open = rig.disk.descriptor_count();
    rig.finish(TOPIC, CHANNEL, 0, count).unwrap();
    rig.wait_ms(300);
    let files = rig.disk.paths().len();
    assert!(files <= 3 + 5 + 2, "{files} files are left of 300");
    assert!(rig.disk.descriptor_count() <= open + 5, "{} descriptors", rig.disk.descriptor_count());
    rig.kill();
    rig.start().unwrap();
    rig.verify(true);
}

/// A roll while many files are on their way out: it does not wait for them.
#[test]
fn a_roll_does_not_wait_for_files_that_leave() {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.create_topic(TOPIC);
    rig.create_channel(TOPIC, CHANNEL, 0);
    for _ in 0..100 {
        rig.publish(TOPIC, &[60_000]).unwrap();
        rig.settle();
    }
    rig.finish(TOPIC, CHANNEL, 0, 100).unwrap();
    let mut held = Vec::new();
    for i in 0..100 {
        let first = rig.publish(TOPIC, &[60_000]).unwrap();
        for _ in 0..20 {
            rig.now += 10_000_000;
            rig.turn();
            while let Some(io) = rig.outstanding.pop() {
                // The job that removes files takes for ever.
                if matches!(&io, nsq_wal::Io::Cold { job: nsq_wal::ColdJob::Retire { .. }, .. }) {
                    held.push(io);
                    continue;
                }
                rig.outstanding.push(io);
                let last = rig.outstanding.len() - 1;
                rig.do_io(last);
            }
        }
        assert!(rig.promises[&TOPIC].released.contains(&first), "message {i} waits for the removal of files");
    }
    assert!(!held.is_empty());
    // Killed in this state, the next start finds them as what they are.
    rig.kill();
    let report = rig.start().unwrap();
    assert!(report.damage.is_empty(), "{report}");
    rig.verify(true);
}

/// Whatever a preparation answers, no data is in it: it never ends the log, and publishes are refused meanwhile.
#[test]
fn no_error_of_a_preparation_ends_the_log() {
    #[derive(Debug)]
    struct NoFiles(i32);
    impl Judge for NoFiles {
        fn judge(&mut self, operation: &Operation<'_>) -> Option<Fault> {
            (operation.class == Class::Create).then_some(Fault::ErrorHalfDone(self.0))
        }
    }
    for errno in [4, 5, 11, 12, 13, 23, 24, 27, 28, 30, 122] {
        let mut rig = Rig::new(options(Durability::Sync));
        rig.create_topic(TOPIC);
        rig.create_channel(TOPIC, CHANNEL, 0);
        rig.wait_ms(200);
        rig.disk.set_judge(Some(Box::new(NoFiles(errno))));
        let mut seq = 0;
        for _ in 0..400 {
            match rig.publish(TOPIC, &[3000]) {
                Ok(first) => seq = first + 1,
                Err(Refused::Full | Refused::Busy) => {}
                Err(other) => panic!("errno {errno}: {other}"),
            }
            rig.settle();
        }
        assert!(!rig.poisoned, "errno {errno}");
        rig.disk.set_judge(None);
        rig.wait_ms(2500);
        assert!(!rig.full, "errno {errno}");
        assert_eq!(rig.publish(TOPIC, &[10]), Ok(seq), "errno {errno}");
        rig.settle();
        assert_eq!(rig.promises[&TOPIC].released.len() as u64, seq + 1, "errno {errno}");
    }
}
