//! The next segment gets its name: once, its own, and whatever passes is waited for.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::{Arc, Mutex};

use nsq_wal::disk::fault::{Class, Fault, Judge, Operation};
use nsq_wal::{Durability, Io, LogFile};
use support::{CHANNEL, Rig, TOPIC, options, segment_paths};

/// Lets operations on segments' names fail.
#[derive(Clone, Debug)]
struct Names {
    class: Class,
    fault: Fault,
    left: Arc<Mutex<u32>>,
}

impl Judge for Names {
    fn judge(&mut self, operation: &Operation<'_>) -> Option<Fault> {
        let name = operation.path.to_string_lossy();
        let hit = operation.class == self.class && (name.contains("wal-") || self.class == Class::SyncDir);
        let mut left = self.left.lock().unwrap();
        if !hit || *left == 0 {
            return None;
        }
        *left -= 1;
        Some(self.fault)
    }
}

fn ready() -> Rig {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.create_topic(TOPIC);
    rig.create_channel(TOPIC, CHANNEL, 0);
    rig.wait_ms(300);
    rig
}

#[test]
fn what_passes_at_the_naming_of_a_segment_is_waited_for_and_never_ends_the_log() {
    // EINTR, EAGAIN, ENOMEM, ENFILE, EMFILE, ENOSPC, EDQUOT
    for errno in [4, 11, 12, 23, 24, 28, 122] {
        for class in [Class::Rename, Class::SyncDir, Class::Stat] {
            for fault in [Fault::Error(errno), Fault::ErrorDone(errno)] {
                let mut rig = ready();
                let left = Arc::new(Mutex::new(5));
                rig.disk.set_judge(Some(Box::new(Names { class, fault, left: left.clone() })));
                let before = segment_paths(&rig.disk).len();
                for _ in 0..150 {
                    while rig.publish(TOPIC, &[2000]).is_err() {
                        rig.wait_ms(100);
                    }
                    rig.settle();
                }
                rig.wait_ms(3000);
                assert!(*left.lock().unwrap() < 5, "{class:?} was never asked for");
                assert!(!rig.poisoned, "{class:?} {fault:?}");
                assert_eq!(rig.promises[&TOPIC].released.len(), 150, "{class:?} {fault:?}");
                assert!(segment_paths(&rig.disk).len() > before);
                rig.kill();
                let report = rig.start().unwrap();
                assert!(report.damage.is_empty(), "{report}");
                rig.verify(true);
            }
        }
    }
}

#[test]
fn an_error_that_does_not_pass_at_the_naming_ends_the_log() {
    for errno in [5, 30] {
        let mut rig = ready();
        let left = Arc::new(Mutex::new(1));
        let names = Names { class: Class::Rename, fault: Fault::Error(errno), left };
        rig.disk.set_judge(Some(Box::new(names)));
        for _ in 0..150 {
            let _ = rig.publish(TOPIC, &[2000]);
            rig.settle();
        }
        assert!(rig.poisoned);
        rig.kill();
        rig.start().unwrap();
        rig.verify(true);
    }
}

/// Somebody puts another file in the place of the one that was prepared: nothing may be released that is in neither.
#[test]
fn a_segment_is_never_a_file_that_somebody_else_put_there() {
    let mut rig = ready();
    let mut swapped = false;
    for _ in 0..400 {
        if rig.publish(TOPIC, &[2000]).is_err() {
            break;
        }
        rig.turn();
        while let Some(io) = rig.outstanding.pop() {
            if let Io::Cold { job: nsq_wal::ColdJob::Name { from, .. }, .. } = &io
                && !swapped
            {
                swapped = true;
                let len = rig.disk.content(from).unwrap().len();
                rig.disk.set_file(from, Some(vec![0; len]));
            }
            rig.outstanding.push(io);
            let last = rig.outstanding.len() - 1;
            rig.do_io(last);
        }
        rig.turn();
    }
    assert!(swapped && rig.poisoned, "the log went on in a file without a name");
    rig.kill();
    let report = rig.start().unwrap();
    assert!(report.damage.is_empty(), "{report}");
    rig.verify(true);
}

#[test]
fn every_file_has_an_inode_of_its_own_and_keeps_it() {
    let rig = ready();
    let disk: Arc<dyn nsq_wal::Disk> = Arc::new(rig.disk.clone());
    let paths = segment_paths(&rig.disk);
    let file: Arc<dyn LogFile> = disk.open(&paths[0]).unwrap();
    assert_eq!(disk.inode_at(&paths[0]), Ok(file.inode()));
    disk.rename(&paths[0], &paths[0].with_extension("old")).unwrap();
    assert_eq!(disk.inode_at(&paths[0].with_extension("old")), Ok(file.inode()));
    assert_eq!(disk.inode_at(&paths[0]), Err(2));
}
