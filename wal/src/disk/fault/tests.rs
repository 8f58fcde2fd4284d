#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::disk::ReadBuf;
use crate::error::{EIO, EMFILE, ENOSPC};
use crate::limits::BLOCK_BYTES;

fn block(byte: u8) -> ReadBuf {
    let mut buf = ReadBuf::new(BLOCK_BYTES);
    buf.as_mut_slice().fill(byte);
    buf
}

fn path() -> &'static Path {
    Path::new("/d/f")
}

fn synced_file(disk: &FaultDisk) -> Arc<dyn LogFile> {
    let file = disk.create_zeroed(path(), 2 * BLOCK_BYTES as u64).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file
}

/// A seed whose power cut loses everything that is not durable.
fn all_lost() -> Chance {
    let loses_all = |seed: &u64| {
        let mut chance = Chance::new(*seed);
        chance.draw();
        chance.below(4) == 1
    };
    Chance::new((0..).find(loses_all).unwrap())
}

#[test]
fn a_sync_covers_only_what_was_answered_before_it_was_handed_out() {
    let disk = FaultDisk::new();
    let file = synced_file(&disk);
    file.write_at(0, block(1).as_slice(), false).unwrap();
    let sync = disk.begin_sync(&*file);
    file.write_at(BLOCK_BYTES as u64, block(2).as_slice(), false).unwrap();
    disk.end_sync(&sync, path()).unwrap();
    drop(file);
    disk.crash(&mut all_lost());
    let content = disk.content(path()).unwrap();
    assert_eq!((content[0], content[BLOCK_BYTES]), (1, 0));
}

#[test]
fn an_unlinked_file_keeps_its_space_until_it_is_closed() {
    let disk = FaultDisk::new();
    disk.set_capacity(Some(3 * BLOCK_BYTES as u64));
    let file = synced_file(&disk);
    disk.remove(path()).unwrap();
    assert_eq!(disk.used_bytes(), 2 * BLOCK_BYTES as u64);
    assert!(matches!(disk.create_zeroed(path(), 2 * BLOCK_BYTES as u64), Err(ENOSPC)));
    disk.remove(path()).unwrap();
    drop(file);
    assert_eq!(disk.used_bytes(), 0);
    assert!(disk.create_zeroed(path(), 2 * BLOCK_BYTES as u64).is_ok());
}

#[test]
fn files_and_sockets_share_one_table_of_descriptors() {
    let disk = FaultDisk::new();
    let file = synced_file(&disk);
    disk.set_descriptors_max(Some(2));
    disk.take_descriptor().unwrap();
    assert!(matches!(disk.open(path()), Err(EMFILE)));
    assert_eq!(disk.take_descriptor(), Err(EMFILE));
    drop(file);
    assert_eq!(disk.descriptor_count(), 1);
    assert!(disk.open(path()).is_ok());
    disk.give_back_descriptor();
    assert_eq!(disk.descriptor_count(), 0);
}

#[test]
fn a_process_that_died_in_mid_job_does_no_more() {
    let disk = FaultDisk::new();
    let file = synced_file(&disk);
    disk.die_after(Some(1));
    file.write_at(0, block(1).as_slice(), true).unwrap();
    assert_eq!(file.write_at(0, block(2).as_slice(), true), Err(EIO));
    assert!(disk.is_dead());
    drop(file);
    disk.kill();
    assert!(!disk.is_dead());
    assert_eq!(disk.content(path()).unwrap()[0], 1);
}

#[test]
fn a_failed_sync_loses_or_keeps_what_was_dirty_as_the_judge_says() {
    for (fault, left) in [(Fault::Error(EIO), 0), (Fault::ErrorKept(EIO), 1)] {
        let disk = FaultDisk::new();
        let file = synced_file(&disk);
        file.write_at(0, block(1).as_slice(), false).unwrap();
        disk.set_plan(Some(FaultPlan { at: 0, sticky: false, fault }));
        assert_eq!(file.sync_data(), Err(EIO));
        file.sync_data().unwrap();
        drop(file);
        disk.crash(&mut all_lost());
        assert_eq!(disk.content(path()).unwrap()[0], left);
    }
}

#[test]
fn what_is_written_to_a_fork_stays_there() {
    let disk = FaultDisk::new();
    let file = synced_file(&disk);
    file.write_at(0, block(1).as_slice(), true).unwrap();
    let copy = disk.fork();
    copy.open(path()).unwrap().write_at(0, block(2).as_slice(), true).unwrap();
    assert_eq!(disk.content(path()).unwrap()[0], 1);
    assert_eq!(copy.content(path()).unwrap()[0], 2);
}
