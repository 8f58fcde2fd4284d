//! Rot: whatever is flipped, zeroed or swapped, nothing corrupt is delivered, and nothing vanishes in silence.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use nsq_wal::disk::fault::{Chance, FaultDisk};
use nsq_wal::{Durability, Recover, Row};
use support::{Rig, TOPIC, options, segment_paths};

const BLOCK: usize = 4096;

/// A small log of four commits and a marker, its frames all durable, stopped by a power cut.
fn small_log() -> Rig {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.create_topic(TOPIC);
    for i in 0..4 {
        rig.publish(TOPIC, &[100 + i, 30]).unwrap();
        rig.settle();
    }
    rig.wait_ms(20);
    rig.kill();
    rig
}

/// Opens what is on `disk`, by refusal or with quarantine. Panics if anything is corrupt or silently gone.
fn judge(rig: &Rig, disk: FaultDisk, what: &str) {
    let mut damaged = Rig { disk, ..Rig::new(rig.options.clone()) };
    damaged.promises = rig.promises.clone();
    damaged.rot = true;
    let refused = match damaged.start() {
        Err(_) => true,
        Ok(report) => {
            let tail = report.verdict.row == Row::C || report.verdict.row == Row::D;
            let silent = report.damage.is_empty() && !tail;
            damaged.verify(silent);
            damaged.verify(false);
            false
        }
    };
    if refused {
        damaged.options.recover = Recover::Quarantine;
        damaged.outstanding.clear();
        match damaged.start() {
            // The very checkpoint, and no older one: there is nothing to go on from, and it says so.
            Err(_) => {}
            Ok(report) => {
                assert!(!report.damage.is_empty(), "{what}");
                damaged.verify(false);
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_a_small_log_is_harmless_or_named() {
    let rig = small_log();
    let path = segment_paths(&rig.disk).pop().unwrap();
    let len = 7 * BLOCK;
    let step: usize = if std::env::var("WAL_SEEDS").is_ok() { 1 } else { 17 };
    for bit in (0..len * 8).step_by(step) {
        let disk = rig.disk.fork();
        disk.damage(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        judge(&rig, disk, &format!("bit {bit}"));
    }
}

#[test]
fn every_zeroed_or_swapped_block_is_harmless_or_named() {
    let rig = small_log();
    let path = segment_paths(&rig.disk).pop().unwrap();
    for block in 0..8 {
        let disk = rig.disk.fork();
        disk.damage(&path, |bytes| bytes[block * BLOCK..][..BLOCK].fill(0));
        judge(&rig, disk, &format!("block {block} zeroed"));
        for other in 0..8 {
            let disk = rig.disk.fork();
            disk.damage(&path, |bytes| bytes.copy_within(block * BLOCK..(block + 1) * BLOCK, other * BLOCK));
            judge(&rig, disk, &format!("block {block} copied to {other}"));
        }
    }
}

#[test]
fn random_damage_of_several_segments_is_harmless_or_named() {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.create_topic(TOPIC);
    for i in 0..120 {
        rig.publish(TOPIC, &[4000, i]).unwrap();
        rig.settle();
    }
    rig.wait_ms(20);
    rig.kill();
    let paths = segment_paths(&rig.disk);
    for seed in 0..150u64 {
        let mut chance = Chance::new(seed);
        let disk = rig.disk.fork();
        for _ in 0..1 + chance.below(4) {
            let path = &paths[chance.below(paths.len() as u64) as usize];
            let kind = chance.below(4);
            let at = chance.draw() as usize;
            disk.damage(path, |bytes| match kind {
                0 => {
                    let at = at % bytes.len();
                    bytes[at] ^= 1 << (seed % 8);
                }
                1 => {
                    let at = at % (bytes.len() / BLOCK) * BLOCK;
                    bytes[at..at + BLOCK].fill(0);
                }
                2 => bytes.truncate(at % bytes.len()),
                _ => {
                    let at = at % (bytes.len() / 512) * 512;
                    bytes[at..at + 512].iter_mut().for_each(|b| *b = b.wrapping_mul(31).wrapping_add(7));
                }
            });
        }
        judge(&rig, disk, &format!("seed {seed}"));
    }
}
