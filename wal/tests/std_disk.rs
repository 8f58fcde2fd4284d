//! The log on a real directory.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use nsq_wal::{
    ChannelId, DataDir, DataDirOptions, Disk, Durability, Event, Log, LogOptions, Publish, Record, StdDisk,
    TopicId,
};

fn open(path: &Path, durability: Durability) -> (DataDir, Log, Arc<dyn Disk>) {
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::new());
    let entropy = StdDisk::entropy().unwrap();
    let options = DataDirOptions { shard_count_if_new: 2, node_id: 1, entropy };
    let dir = DataDir::open(&disk, path, &options).unwrap();
    let options = LogOptions { durability, ..LogOptions::new(1, 1) };
    let (log, _) = Log::open(disk.clone(), &dir, options, 0).unwrap();
    (dir, log, disk)
}

/// Does everything the log wants, blocking, until it wants nothing; returns the events.
fn drive(log: &mut Log, disk: &dyn Disk, now_ns: u64) -> Vec<Event> {
    log.turn(now_ns);
    while let Some(io) = log.poll_io() {
        let (tag, result) = io.run(disk);
        log.handle_io(now_ns, tag, result);
        log.turn(now_ns);
    }
    std::iter::from_fn(|| log.poll_event()).collect()
}

#[test]
fn a_log_on_a_real_disk_keeps_its_messages() {
    for durability in [Durability::Sync, Durability::Write, Durability::Async] {
        let dir = tempfile::tempdir().unwrap();
        let (mut data, mut log, disk) = open(dir.path(), durability);
        assert!(std::fs::read_dir(dir.path().join("shard-01")).unwrap().next().is_none());
        let topic = TopicId(3);
        log.record(&Record::TopicCreated { topic, name: "t".into() }).unwrap();
        log.record(&Record::ChannelCreated { topic, channel: ChannelId(0), name: "c".into(), from: 0 })
            .unwrap();
        let mut released = 0;
        for i in 0..100u64 {
            let publish = Publish { topic, first_seq: i * 2, count: 2, defer_ms: 0, timestamp_ns: 5 };
            let bodies: [&[u8]; 2] = [&[i as u8; 70_000], b"small"];
            log.publish(publish, bodies.into_iter()).unwrap();
            for event in drive(&mut log, &*disk, i) {
                let Event::Released(batch) = event else { panic!("{event:?}") };
                released += batch.count;
            }
        }
        assert_eq!(released, 200);
        log.close(1000);
        drive(&mut log, &*disk, 1000);
        assert!(log.is_closed());
        data.mark_clean(&[0, log.last_frame_seq()]).unwrap();
        let state = log.state().clone();
        drop((log, data));

        let segment = std::fs::read_dir(dir.path().join("shard-01")).unwrap().next().unwrap().unwrap();
        assert_eq!(segment.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        let (data, mut log, disk) = open(dir.path(), durability);
        assert!(data.was_clean());
        assert_eq!(log.state(), &state);
        let mut seq = 0;
        while seq < 200 {
            log.fetch(topic, seq, 1);
            let events = drive(&mut log, &*disk, 2000);
            let [Event::Loaded { batches, lost, .. }] = &events[..] else { panic!("{events:?}") };
            assert!(lost.is_empty());
            assert_eq!(batches[0].first_seq, seq);
            seq = batches.last().unwrap().end_seq();
        }
    }
}

#[test]
fn where_direct_io_is_refused_the_disk_says_so() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return };
    let (_data, mut log, disk) = open(dir.path(), Durability::Sync);
    log.record(&Record::TopicCreated { topic: TopicId(0), name: "t".into() }).unwrap();
    drive(&mut log, &*disk, 0);
    assert_eq!(log.stats().segment_count, 1);
    // Newer kernels take the flag on tmpfs: the disk says what an attempt of our own says.
    let flag = rustix::fs::OFlags::DIRECT.bits() as i32;
    let mut attempt = std::fs::OpenOptions::new();
    attempt.read(true).write(true).create(true).custom_flags(flag);
    let taken = attempt.open(dir.path().join("attempt")).is_ok();
    assert_eq!(disk.is_direct(), taken);
}

#[test]
fn names_are_made_durable_without_a_new_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let disk = StdDisk::new();
    let shard = dir.path().join("shard-00");
    disk.create_dir(&shard).unwrap();
    // Were the directory opened for each sync, it would not be found.
    std::fs::rename(&shard, dir.path().join("elsewhere")).unwrap();
    assert_eq!(disk.sync_dir(&shard), Ok(()));
}
