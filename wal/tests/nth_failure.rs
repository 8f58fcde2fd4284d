//! The n-th operation fails, for every n: nothing is promised that does not hold, and nothing hangs.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use nsq_wal::disk::fault::{Chance, Fault, FaultDisk, FaultPlan};
use nsq_wal::{Durability, Refused};
use support::{CHANNEL, Rig, TOPIC, open_dir, options};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A fixed piece of work with rolls, retirement and a clean stop. True if it came to its end.
fn work(rig: &mut Rig) -> bool {
    for i in 0..120u64 {
        match rig.publish(TOPIC, &[2500, 10]) {
            Ok(first) => {
                rig.settle();
                if i % 4 == 3 && rig.promises[&TOPIC].released.contains(&(first + 1)) {
                    let _ = rig.finish(TOPIC, CHANNEL, first - 6, first + 2);
                }
            }
            Err(Refused::Full | Refused::Busy) => rig.wait_ms(300),
            Err(Refused::Poisoned) => return false,
            Err(other) => panic!("{other}"),
        }
        rig.settle();
    }
    rig.wait_ms(120);
    if rig.poisoned {
        return false;
    }
    let now = rig.now;
    rig.log().close(now);
    rig.collect();
    rig.settle();
    rig.log().is_closed()
}

fn prepared() -> Rig {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.create_topic(TOPIC);
    rig.create_channel(TOPIC, CHANNEL, 0);
    rig
}

fn count_operations(durability: Durability) -> u64 {
    let mut rig = prepared();
    rig.options.durability = durability;
    rig.disk.set_plan(None);
    assert!(work(&mut rig));
    rig.disk.operation_count()
}

fn run(at: u64, sticky: bool, fault: Fault, durability: Durability, power: bool) {
    let mut rig = Rig::new(options(durability));
    rig.create_topic(TOPIC);
    rig.create_channel(TOPIC, CHANNEL, 0);
    rig.disk.set_plan(Some(FaultPlan { at, sticky, fault }));
    let finished = work(&mut rig);
    if fault == Fault::Error(EIO) && sticky {
        // A disk that makes no file is full, whatever it answers: nothing is in a file that is being prepared.
        assert!(rig.poisoned || finished || rig.full, "operation {at}: neither failed nor done");
    }
    if rig.poisoned {
        let released = rig.promises[&TOPIC].released.len();
        rig.wait_ms(50);
        assert_eq!(rig.promises[&TOPIC].released.len(), released, "released after the failure");
        assert!(rig.outstanding.is_empty(), "tried again after the failure");
        assert_eq!(rig.publish(TOPIC, &[1]), Err(Refused::Poisoned));
        assert_eq!(rig.log().poll_timeout(), None);
    }
    if power {
        rig.crash(&mut Chance::new(at));
    } else {
        rig.kill();
    }
    rig.disk.set_plan(None);
    let report = rig.start().unwrap_or_else(|e| panic!("operation {at} {fault:?} sticky {sticky}: {e}"));
    assert!(report.damage.is_empty(), "operation {at} {fault:?}: {report}");
    rig.verify(durability == Durability::Sync || !power);
}

#[test]
fn the_nth_operation_fails_with_an_error() {
    let count = count_operations(Durability::Sync);
    assert!(count > 100, "{count} operations are no test");
    for at in 0..count {
        for sticky in [false, true] {
            run(at, sticky, Fault::Error(EIO), Durability::Sync, true);
        }
        run(at, true, Fault::ErrorHalfDone(EIO), Durability::Sync, true);
    }
}

#[test]
fn the_nth_operation_is_short_or_finds_the_disk_full() {
    for at in 0..count_operations(Durability::Sync) {
        run(at, false, Fault::Short, Durability::Sync, true);
        run(at, true, Fault::Short, Durability::Sync, true);
        run(at, false, Fault::Error(ENOSPC), Durability::Sync, true);
        run(at, true, Fault::Error(ENOSPC), Durability::Sync, true);
    }
}

#[test]
fn a_failed_sync_ends_the_log_although_the_next_would_succeed() {
    let mut rig = Rig::new(options(Durability::Write));
    rig.create_topic(TOPIC);
    rig.publish(TOPIC, &[10]).unwrap();
    rig.settle();
    rig.publish(TOPIC, &[10]).unwrap();
    rig.settle();
    rig.now += 3_000_000_000;
    rig.turn();
    rig.disk.set_plan(Some(FaultPlan { at: 0, sticky: false, fault: Fault::Error(EIO) }));
    rig.settle();
    assert!(rig.poisoned);
    assert_eq!(rig.publish(TOPIC, &[10]), Err(Refused::Poisoned));
}

#[test]
fn the_nth_operation_fails_at_write_and_async() {
    for durability in [Durability::Write, Durability::Async] {
        for at in 0..count_operations(durability) {
            run(at, true, Fault::Error(EIO), durability, true);
        }
    }
}

#[test]
fn the_nth_operation_of_a_start_fails_and_the_next_start_succeeds() {
    let mut rig = prepared();
    assert!(work(&mut rig));
    rig.kill();
    let good: FaultDisk = rig.disk.fork();
    for at in 0..60 {
        let disk = good.fork();
        disk.set_plan(Some(FaultPlan { at, sticky: true, fault: Fault::Error(EIO) }));
        let mut again = Rig { disk, ..Rig::new(options(Durability::Sync)) };
        again.promises = rig.promises.clone();
        let failed = again.start().is_err();
        if !failed {
            assert!(at > 5, "a start without operations");
        }
        again.crash(&mut Chance::new(at));
        again.start().unwrap();
        again.verify(true);
    }
    assert!(open_dir(&good).is_ok());
}
