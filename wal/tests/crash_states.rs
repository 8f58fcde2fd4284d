//! Random work, a crash at a random operation (also of recovery), and the promise of each level afterwards.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use nsq_wal::disk::fault::{Chance, Fault, FaultPlan};
use nsq_wal::{ChannelId, Durability, Record, TopicId};
use support::{Rig, options};

const TOPICS: u64 = 3;
const CHANNELS: u64 = 2;
const EIO: i32 = 5;

fn topic(chance: &mut Chance) -> TopicId {
    TopicId(chance.below(TOPICS) as u32)
}

/// Tells the log again what a crash took: catalog records carry no promise of their own.
fn restore_catalog(rig: &mut Rig) {
    for t in 0..TOPICS as u32 {
        let id = TopicId(t);
        if rig.log().state().topic(id).is_none() {
            rig.create_topic(id);
        }
        for c in 0..CHANNELS as u32 {
            let state = rig.log().state().topic(id);
            let known = state.is_some_and(|s| s.channels().any(|(i, _)| i == ChannelId(c)));
            if !known {
                let from = state.map_or(0, |s| s.wanted_from());
                rig.create_channel(id, ChannelId(c), from);
            }
        }
    }
}

/// One random step; false once the log has failed.
fn step(rig: &mut Rig, chance: &mut Chance) -> bool {
    match chance.below(100) {
        0..=29 => {
            let count = if chance.percent(20) { 1 + chance.below(30) } else { 1 };
            let lens: Vec<usize> = (0..count)
                .map(|_| if chance.percent(5) { chance.below(30_000) } else { chance.below(600) } as usize)
                .collect();
            let _ = rig.publish(topic(chance), &lens);
        }
        30..=39 => {
            let id = topic(chance);
            let released: Vec<u64> = rig.promises[&id].released.iter().copied().collect();
            if !released.is_empty() {
                let from = released[chance.below(released.len() as u64) as usize];
                let known = released.iter().filter(|s| **s >= from && **s < from + 40).count() as u64;
                let all_there = (from..from + known).all(|s| rig.promises[&id].released.contains(&s));
                if all_there {
                    for channel in 0..CHANNELS as u32 {
                        let _ = rig.finish(id, ChannelId(channel), from, from + known);
                    }
                }
            }
        }
        40..=43 => {
            let id = topic(chance);
            if let Some(seq) = rig.promises[&id].released.first().copied() {
                let record = Record::Requeue {
                    topic: id,
                    channel: ChannelId(0),
                    seq,
                    attempts: 2,
                    due_at_ns: chance.below(2) as i64,
                };
                let _ = rig.log().record(&record);
            }
        }
        44..=69 => rig.turn(),
        70..=94 => {
            if !rig.outstanding.is_empty() {
                let index = chance.below(rig.outstanding.len() as u64) as usize;
                rig.do_io(index);
            }
        }
        95..=97 => rig.now += chance.below(5_000_000),
        _ => rig.now += chance.below(150_000_000),
    }
    !rig.poisoned
}

fn one_seed(seed: u64, durability: Durability, power: bool) {
    let mut chance = Chance::new(seed);
    let mut rig = Rig::new(options(durability));
    restore_catalog(&mut rig);
    for _life in 0..4 {
        let failing = chance.percent(50);
        if failing {
            let fault = if chance.percent(50) { Fault::Error(EIO) } else { Fault::ErrorHalfDone(EIO) };
            rig.disk.set_plan(Some(FaultPlan { at: chance.below(150), sticky: true, fault }));
        }
        for _ in 0..chance.below(900) {
            if !step(&mut rig, &mut chance) {
                break;
            }
        }
        if chance.percent(10) && !failing {
            rig.stop();
            rig.kill();
        } else if power {
            rig.crash(&mut chance);
        } else {
            rig.kill();
        }
        // The machine may die in the middle of recovery, more than once.
        while chance.percent(30) {
            let at = chance.below(25);
            rig.disk.set_plan(Some(FaultPlan { at, sticky: true, fault: Fault::Error(EIO) }));
            let survived = rig.start().is_ok();
            if power {
                rig.crash(&mut chance)
            } else {
                rig.kill()
            }
            let _ = survived;
        }
        rig.disk.set_plan(None);
        let report = rig.start().unwrap_or_else(|e| panic!("seed {seed} {durability:?}: {e}"));
        assert!(report.damage.is_empty(), "seed {seed} {durability:?}: {report}");
        let first = rig.log().state().clone();
        rig.kill();
        rig.start().unwrap();
        assert_eq!(rig.log().state(), &first, "seed {seed}: recovery twice gives two states");
        let kept = match durability {
            Durability::Sync => true,
            Durability::Write => !power,
            Durability::Async => false,
        };
        rig.verify(kept);
        restore_catalog(&mut rig);
    }
}

fn explore(seeds: std::ops::Range<u64>, durability: Durability, power: bool) {
    let scale: u64 = std::env::var("WAL_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    for seed in seeds.start..seeds.start + (seeds.end - seeds.start) * scale {
        let result = std::panic::catch_unwind(|| one_seed(seed, durability, power));
        if let Err(panic) = result {
            eprintln!("seed {seed} {durability:?} power {power}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn sync_keeps_what_it_released_over_power_cuts() {
    explore(0..50, Durability::Sync, true);
}

#[test]
fn sync_keeps_what_it_released_over_kills() {
    explore(1000..1030, Durability::Sync, false);
}

#[test]
fn write_keeps_what_it_released_over_kills() {
    explore(2000..2040, Durability::Write, false);
}

#[test]
fn write_delivers_nothing_torn_after_power_cuts() {
    explore(3000..3030, Durability::Write, true);
}

#[test]
fn async_delivers_nothing_torn_after_power_cuts() {
    explore(4000..4030, Durability::Async, true);
}
