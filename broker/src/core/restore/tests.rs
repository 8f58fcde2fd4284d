//! What a log that was killed gives back.

use std::path::Path;
use std::sync::Arc;

use nsq_wal::{ChannelId, DataDir, DataDirOptions, Disk, LogOptions, Publish, StdDisk};

use super::*;

/// Opens the only shard; what an earlier log had written is recovered.
fn open(path: &Path) -> Log {
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::new());
    let options = DataDirOptions { shard_count_if_new: 1, node_id: 1, entropy: [7; 32] };
    let dir = DataDir::open(&disk, path, &options).unwrap();
    let (mut log, _) = Log::open(disk, &dir, LogOptions::new(0, 1), 0).unwrap();
    drive(&mut log);
    log
}

/// Does everything that the log wants.
fn drive(log: &mut Log) {
    let disk = StdDisk::new();
    for now in 0..3 {
        log.turn(now * 1_000_000_000);
        while let Some(io) = log.poll_io() {
            let (tag, result) = io.run(&disk);
            log.handle_io(now * 1_000_000_000, tag, result);
            log.turn(now * 1_000_000_000);
        }
    }
}

fn record(log: &mut Log, records: &[Record]) {
    records.iter().for_each(|record| log.record(record).unwrap());
}

fn publish(log: &mut Log, topic: TopicId, first_seq: u64, count: u32) {
    let publish = Publish { topic, first_seq, count, defer_ms: 0, timestamp_ns: 0 };
    log.publish(publish, std::iter::repeat_n(&b"x"[..], count as usize)).unwrap();
}

fn created(topic: TopicId, name: &str) -> Record {
    Record::TopicCreated { topic, name: name.into() }
}

fn channel(topic: TopicId, id: u32, name: &str) -> Record {
    Record::ChannelCreated { topic, channel: ChannelId(id), name: name.into(), from: 0 }
}

const TOPIC: TopicId = TopicId(3);

#[test]
fn a_topic_of_ephemeral_channels_has_no_history_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    record(
        &mut log,
        &[created(TOPIC, "t"), channel(TOPIC, 0, "tail#ephemeral"), channel(TOPIC, 1, "b#ephemeral")],
    );
    publish(&mut log, TOPIC, 0, 100);
    record(&mut log, &[Record::Finish { topic: TOPIC, channel: ChannelId(0), ranges: vec![(0, 100)] }]);
    drive(&mut log);
    drop(log);

    let mut log = open(dir.path());
    let all = remember_all(0, &mut log, 0);
    let [Remembered { topic, channels, .. }] = &all[..] else { panic!("{} topics", all.len()) };
    assert_eq!((topic.floor, topic.next_seq, channels.len()), (100, 100, 0));
    // And the log, once it has the fact, agrees.
    drive(&mut log);
    let state = log.state().topic(TOPIC).unwrap();
    assert_eq!((state.floor(), state.channels().count()), (100, 0));
}

#[test]
fn what_waits_in_a_paused_topic_outlives_its_ephemeral_channels() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    record(&mut log, &[created(TOPIC, "t"), channel(TOPIC, 0, "tail#ephemeral")]);
    publish(&mut log, TOPIC, 0, 10);
    record(&mut log, &[Record::TopicPaused { topic: TOPIC, paused: true, floor: 10 }]);
    publish(&mut log, TOPIC, 10, 5);
    drive(&mut log);
    drop(log);

    let all = remember_all(0, &mut open(dir.path()), 0);
    assert_eq!((all[0].topic.floor, all[0].topic.next_seq), (10, 15));
}

#[test]
fn channel_ids_go_on_behind_those_of_channels_that_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    record(&mut log, &[created(TOPIC, "t"), channel(TOPIC, 0, "a"), channel(TOPIC, 4, "b")]);
    record(&mut log, &[Record::ChannelDeleted { topic: TOPIC, channel: ChannelId(4), floor: 0 }]);
    drive(&mut log);
    drop(log);

    let all = remember_all(0, &mut open(dir.path()), 0);
    assert_eq!((all[0].topic.next_channel, all[0].channels.len()), (5, 1));
}

#[test]
fn of_two_topics_with_one_name_the_newer_one_is_the_topic() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    // As a damaged frame with the deletion of the older one would leave it.
    record(&mut log, &[created(TopicId(3), "t"), created(TopicId(4), "other"), created(TopicId(9), "t")]);
    publish(&mut log, TopicId(3), 0, 2);
    publish(&mut log, TopicId(9), 0, 7);
    drive(&mut log);
    drop(log);

    let mut log = open(dir.path());
    let all = remember_all(0, &mut log, 0);
    let names: Vec<(&str, u64)> = all.iter().map(|r| (r.name.as_str(), r.topic.next_seq)).collect();
    assert_eq!(names, [("other", 0), ("t", 7)]);
    drive(&mut log);
    let left: Vec<TopicId> = log.state().topics().map(|(id, _)| id).collect();
    assert_eq!(left, [TopicId(4), TopicId(9)]);
}
