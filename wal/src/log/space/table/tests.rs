use std::collections::BTreeSet;

use super::*;
use crate::disk::fault::Chance;
use crate::error::{EMFILE, ENOSPC};

const MIB: u64 = 1024 * 1024;
const EIO: Errno = 5;

fn needs() -> Needs {
    Needs { in_use: true, roll: None, usual_bytes: 4 * MIB, reserve_bytes: MIB, busy: false }
}

fn rolling(bytes: u64, messages: bool) -> Needs {
    Needs { roll: Some(RollNeeds { bytes, messages }), ..needs() }
}

fn blank(file: u32, bytes: u64) -> Blank<u32> {
    Blank { file, path: PathBuf::from(format!("free-{file}")), bytes }
}

fn table(sizes: &[u64]) -> Table<u32> {
    Table::new((0..).zip(sizes).map(|(file, bytes)| blank(file, *bytes)).collect())
}

fn preparing(bytes: u64, bytes_min: u64) -> Option<Job> {
    Some(Job::Prepare(Preparing { bytes, bytes_min }))
}

#[test]
fn a_shard_that_is_not_used_wants_nothing() {
    assert_eq!(table(&[]).wanted(&Needs { in_use: false, ..needs() }, 0), None);
}

#[test]
fn a_roll_that_waits_comes_first_and_the_reserve_next() {
    let mut t = table(&[]);
    assert_eq!(t.wanted(&rolling(MIB, true), 0), preparing(4 * MIB, MIB));
    assert_eq!(t.wanted(&rolling(9 * MIB, true), 0), preparing(9 * MIB, 9 * MIB));
    t.start_preparing(Preparing { bytes: 4 * MIB, bytes_min: MIB });
    assert_eq!(t.wanted(&rolling(MIB, true), 0), None, "one at a time");
    t.prepared(blank(7, 4 * MIB));
    assert_eq!(t.wanted(&rolling(MIB, true), 0), Some(Job::Name(0)));
    t.start_naming(0, 1);
    assert_eq!(t.wanted(&rolling(MIB, true), 0), preparing(MIB, MIB), "the reserve, meanwhile");
    t.named("wal-1".into());
    assert_eq!(t.take_next(MIB).map(|(seq, b)| (seq, b.file)), Some((1, 7)));
    for file in 0..RESERVE_COUNT as u32 {
        assert_eq!(t.wanted(&needs(), 0), preparing(MIB, MIB));
        t.start_preparing(Preparing { bytes: MIB, bytes_min: MIB });
        t.prepared(blank(file, MIB));
    }
    assert_eq!(t.wanted(&needs(), 0), preparing(4 * MIB, MIB), "and then the next segment");
}

#[test]
fn a_busy_log_has_its_next_file_before_its_reserve_and_a_spare_as_a_wish() {
    let busy = Needs { busy: true, ..needs() };
    let mut t = table(&[]);
    assert_eq!(t.wanted(&busy, 0), preparing(4 * MIB, MIB));
    t = table(&[4 * MIB, MIB, MIB, MIB]);
    t.start_naming(0, 1);
    assert_eq!(t.wanted(&busy, 0), preparing(4 * MIB, MIB));
    t.no_room = Some(ENOSPC);
    assert_eq!(t.wanted(&busy, 0), None, "not tried without room, and no reason to be full");
}

#[test]
fn without_room_a_smaller_file_is_tried_at_once_and_full_is_said_only_then() {
    let mut t = table(&[]);
    let roll = rolling(MIB / 2, true);
    t.start_preparing(Preparing { bytes: 64 * MIB, bytes_min: MIB });
    let mut sizes = Vec::new();
    while let Some(smaller) = t.not_prepared(ENOSPC, 0) {
        sizes.push(smaller.bytes / MIB);
        t.start_preparing(smaller);
        assert_eq!(t.wanted(&roll, 0), None);
    }
    assert_eq!(sizes, [16, 4, 1]);
    assert_eq!(t.wanted(&roll, 0), Some(Job::Full(true)));
    let mut with_reserve = table(&[MIB]);
    with_reserve.no_room = Some(ENOSPC);
    with_reserve.prepare_again_at = Some(1);
    let facts = with_reserve.wanted(&rolling(MIB / 2, false), 0);
    assert_eq!(facts, Some(Job::Name(0)), "facts make nothing full while there is a file for them");
    t.full = true;
    assert_eq!(t.wanted(&roll, 0), None);
    assert_eq!(t.retry_at(), Some(FULL_RETRY_NS));
    assert_eq!(t.wanted(&roll, FULL_RETRY_NS), preparing(4 * MIB, MIB));
}

#[test]
fn what_passes_is_tried_again_and_nothing_of_a_preparation_is_worse_than_no_room() {
    for (errno, no_room) in [(EMFILE, None), (EIO, Some(EIO)), (30, Some(30))] {
        let mut t = table(&[]);
        t.start_preparing(Preparing { bytes: 4 * MIB, bytes_min: MIB });
        assert_eq!(t.not_prepared(errno, 5), None);
        assert_eq!((t.no_room, t.retry_at()), (no_room, Some(5 + FULL_RETRY_NS)));
    }
}

#[test]
fn without_room_publishes_leave_the_reserve_to_facts() {
    let mut t = table(&[MIB, 4 * MIB, MIB, MIB]);
    t.no_room = Some(ENOSPC);
    t.start_preparing(Preparing { bytes: MIB, bytes_min: MIB });
    assert_eq!(t.choose(&rolling(MIB, true)), Some(1), "the one beyond the reserve");
    t.blanks.remove(1);
    assert_eq!(t.choose(&rolling(MIB, true)), None);
    assert_eq!(t.choose(&needs()), None, "nor is one of them named ahead");
    assert!(t.choose(&rolling(MIB, false)).is_some(), "facts may");
    t.full = true;
    assert!(t.choose(&rolling(MIB, true)).is_some(), "and what had been gathered before it was known");
}

#[test]
fn a_named_file_that_is_too_small_is_a_blank_again() {
    let mut t = table(&[4 * MIB, 16 * MIB]);
    t.start_naming(0, 1);
    t.named("wal-1".into());
    let large = rolling(9 * MIB, true);
    assert_eq!(t.wanted(&large, 0), Some(Job::Name(0)));
    t.start_naming(0, 2);
    assert_eq!(t.blanks.iter().map(|b| b.path.to_str().unwrap()).collect::<Vec<_>>(), ["wal-1"]);
    t.named("wal-2".into());
    assert_eq!(t.take_next(9 * MIB).map(|(seq, _)| seq), Some(2));
}

#[test]
fn of_many_that_leave_only_as_many_stay_as_are_of_use() {
    let mut t = table(&[]);
    t.leaving.extend(0..300);
    let mut kept = 0;
    let mut jobs = 0;
    while t.wanted(&needs(), 0) == Some(Job::Retire) {
        let (segments, keep) = t.start_retiring(&needs());
        assert!(segments.len() <= RETIRE_FILES_MAX);
        t.retired((0..keep as u32).map(|file| blank(file, 4 * MIB)).collect());
        kept += keep;
        jobs += 1;
    }
    assert_eq!((kept, jobs), (RESERVE_COUNT + 1, 300usize.div_ceil(RETIRE_FILES_MAX)));
}

#[test]
fn files_that_cannot_be_removed_are_left_to_the_next_start_in_the_end() {
    let mut t = table(&[]);
    t.leaving.extend(0..3);
    let mut now = 0;
    for _ in 0..100 {
        t.start_retiring(&needs());
        t.not_retired(EMFILE, now);
        assert_eq!(t.wanted(&Needs { in_use: false, ..needs() }, now), None, "not at once");
        now += FULL_RETRY_NS;
    }
    for _ in 0..RETIRE_TRIES_MAX {
        assert_eq!(t.wanted(&needs(), now), Some(Job::Retire));
        t.start_retiring(&needs());
        t.not_retired(EIO, now);
        now += FULL_RETRY_NS;
    }
    assert_eq!(t.leaving.len() + t.retiring.len(), 0);
}

/// A volume, and a log that rolls and drains on it.
struct World {
    chance: Chance,
    table: Table<u32>,
    needs: Needs,
    free: u64,
    now: u64,
    files: u32,
    seq: u64,
    /// Bytes of live segments.
    segments: Vec<u64>,
    leaving_bytes: Vec<u64>,
    names: BTreeSet<u64>,
}

impl World {
    fn step(&mut self) {
        self.check();
        match self.table.wanted(&self.needs, self.now) {
            Some(Job::Prepare(p)) => {
                assert!(self.table.preparing.is_none(), "two preparations");
                self.table.start_preparing(p);
            }
            Some(Job::Name(index)) => {
                self.seq += 1;
                self.table.start_naming(index, self.seq);
            }
            Some(Job::NameAgain) => {
                if let Next::Naming { again_at, .. } = &mut self.table.next {
                    *again_at = None;
                }
            }
            Some(Job::Retire) => {
                let (segments, keep) = self.table.start_retiring(&self.needs);
                assert!(keep <= segments.len());
            }
            Some(Job::Full(full)) => {
                if full {
                    let roll = self.needs.roll.unwrap();
                    let usable = self.table.blanks.iter().filter(|b| b.bytes >= roll.bytes).count();
                    let kept = if roll.messages { RESERVE_COUNT } else { 0 };
                    assert!(usable <= kept, "full with a file that may be taken");
                }
                self.table.full = full;
            }
            None => self.act(),
        }
    }

    fn act(&mut self) {
        match self.chance.below(10) {
            0..=2 if self.table.preparing.is_some() => self.answer_preparation(),
            3..=4 if matches!(self.table.next, Next::Naming { again_at: None, .. }) => {
                if self.chance.percent(20) {
                    assert!(self.table.not_named(EMFILE, self.now));
                } else {
                    self.table.named(PathBuf::from(format!("wal-{}", self.seq)));
                }
            }
            5 if !self.table.retiring.is_empty() => {
                let errno = if self.chance.percent(10) { Some(EMFILE) } else { None };
                self.answer_retirement(errno);
            }
            6..=7 => self.roll(),
            8 => {
                // Somebody drains, or another process takes or gives room.
                if !self.segments.is_empty() && self.chance.percent(50) {
                    let bytes = self.segments.remove(0);
                    self.leaving_bytes.push(bytes);
                    self.table.leaving.push_back(self.leaving_bytes.len() as u64);
                } else if self.chance.percent(30) {
                    self.free = self.chance.below(40) * MIB;
                }
            }
            _ => {
                self.now += FULL_RETRY_NS / 3;
                self.needs.busy = self.chance.percent(30);
            }
        }
    }

    fn answer_preparation(&mut self) {
        let bytes = self.table.preparing.as_ref().unwrap().bytes;
        let other = self.chance.percent(10);
        if other || self.free < bytes {
            let errno = if other { [EMFILE, EIO][self.chance.below(2) as usize] } else { ENOSPC };
            if let Some(smaller) = self.table.not_prepared(errno, self.now) {
                self.table.start_preparing(smaller);
            }
            return;
        }
        self.free -= bytes;
        self.files += 1;
        self.table.prepared(blank(self.files, bytes));
    }

    fn answer_retirement(&mut self, errno: Option<Errno>) {
        if let Some(errno) = errno {
            return self.table.not_retired(errno, self.now);
        }
        let count = self.table.retiring.len();
        let mut kept = Vec::new();
        for bytes in self.leaving_bytes.drain(..count.min(self.leaving_bytes.len())) {
            if self.table.count() + kept.len() < RESERVE_COUNT + 1 {
                self.files += 1;
                kept.push(blank(self.files, bytes));
            } else {
                self.free += bytes;
            }
        }
        self.table.retired(kept);
    }

    fn roll(&mut self) {
        match self.needs.roll {
            None => {
                let bytes = (1 + self.chance.below(3)) * MIB / 4;
                self.needs.roll =
                    Some(RollNeeds { bytes, messages: self.chance.percent(70) && !self.table.full });
            }
            Some(roll) => {
                if let Some((seq, b)) = self.table.take_next(roll.bytes) {
                    assert!(b.bytes >= roll.bytes);
                    assert!(self.names.insert(seq), "a name was given twice");
                    self.segments.push(b.bytes);
                    self.needs.roll = None;
                }
            }
        }
    }

    fn check(&self) {
        let mut files: Vec<u32> = self.table.blanks.iter().map(|b| b.file).collect();
        match &self.table.next {
            Next::None => {}
            Next::Naming { blank, .. } | Next::Ready { blank, .. } => files.push(blank.file),
        }
        let all = files.len();
        files.sort_unstable();
        files.dedup();
        assert_eq!(files.len(), all, "a file is in two places");
    }
}

#[test]
fn whatever_the_volume_answers_no_file_is_lost_or_used_twice_and_with_room_it_goes_on() {
    for seed in 0..400 {
        let mut chance = Chance::new(seed);
        let free = chance.below(60) * MIB;
        let mut world = World {
            chance,
            table: table(&[]),
            needs: needs(),
            free,
            now: 0,
            files: 100,
            seq: 0,
            segments: Vec::new(),
            leaving_bytes: Vec::new(),
            names: BTreeSet::new(),
        };
        for _ in 0..1500 {
            world.step();
        }
        // Room comes back: within five seconds a publish finds its file, and the disk is full no more.
        world.free = 1 << 40;
        world.needs.roll = Some(RollNeeds { bytes: MIB, messages: true });
        let until = world.now + 5_000_000_000;
        while world.needs.roll.is_some() || world.table.full {
            assert!(world.now < until, "seed {seed}: still stuck: {:?} {:?}", world.table, world.needs);
            match world.table.wanted(&world.needs, world.now) {
                Some(_) => world.step(),
                None if world.table.preparing.is_some() => world.answer_preparation(),
                None if !world.table.retiring.is_empty() => world.answer_retirement(None),
                None if matches!(world.table.next, Next::Naming { again_at: None, .. }) => {
                    world.table.named("wal".into());
                }
                None if world.needs.roll.is_some() && matches!(world.table.next, Next::Ready { .. }) => {
                    world.roll();
                    world.now += 1_000_000;
                }
                None => world.now += FULL_RETRY_NS / 10,
            }
        }
    }
}
