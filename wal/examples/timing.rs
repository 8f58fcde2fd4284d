//! What a publish costs, and how fast a shard recovers: `cargo run --release --example timing -- <directory>`.
//!
//! Prints figures and asserts nothing: they depend on the machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use nsq_wal::{
    DataDir, DataDirOptions, Disk, Durability, Log, LogOptions, Publish, Record, StdDisk, TopicId,
};

const MESSAGES: u64 = 2_000_000;
const BODY_BYTES: usize = 200;
const PER_TURN: u64 = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("wal-timing");
    std::fs::create_dir_all(&path)?;
    for durability in [Durability::Sync, Durability::Write, Durability::Async] {
        let data = path.join(format!("{durability:?}"));
        std::fs::create_dir_all(&data)?;
        measure(&data, durability)?;
        std::fs::remove_dir_all(&data)?;
    }
    Ok(())
}

fn open(data: &std::path::Path, durability: Durability) -> Result<(Arc<dyn Disk>, Log, String), String> {
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::new());
    let options = DataDirOptions { shard_count_if_new: 1, node_id: 1, entropy: [7; 32] };
    let dir = DataDir::open(&disk, data, &options).map_err(|e| e.to_string())?;
    // One large segment, so that recovery has much to replay.
    let bytes = 1 << 30;
    let options = LogOptions {
        durability,
        segment_bytes_first: bytes,
        segment_bytes_max: bytes,
        ..LogOptions::new(0, 1)
    };
    let (log, report) = Log::open(disk.clone(), &dir, options, 0).map_err(|e| e.to_string())?;
    Ok((disk, log, report.to_string()))
}

fn drive(log: &mut Log, disk: &dyn Disk, now_ns: u64) -> u64 {
    log.turn(now_ns);
    let mut released = 0;
    while let Some(io) = log.poll_io() {
        let (tag, result) = io.run(disk);
        log.handle_io(now_ns, tag, result);
    }
    while let Some(event) = log.poll_event() {
        if let nsq_wal::Event::Released(batch) = event {
            released += u64::from(batch.count);
        }
    }
    released
}

fn measure(data: &std::path::Path, durability: Durability) -> Result<(), Box<dyn std::error::Error>> {
    let (disk, mut log, _) = open(data, durability)?;
    let topic = TopicId(0);
    log.record(&Record::TopicCreated { topic, name: "t".into() })?;
    for _ in 0..100 {
        drive(&mut log, &*disk, 0);
    }
    let body = [1u8; BODY_BYTES];
    let start = Instant::now();
    let (mut publish_ns, mut released) = (0, 0);
    for turn in 0..MESSAGES / PER_TURN {
        let before = Instant::now();
        for i in 0..PER_TURN {
            let first_seq = turn * PER_TURN + i;
            let publish = Publish { topic, first_seq, count: 1, defer_ms: 0, timestamp_ns: 1 };
            log.publish(publish, std::iter::once(&body[..]))?;
        }
        publish_ns += before.elapsed().as_nanos() as u64;
        released += drive(&mut log, &*disk, start.elapsed().as_nanos() as u64);
    }
    let seconds = start.elapsed().as_secs_f64();
    let stats = log.stats();
    println!(
        "{durability:?}: {} ns per publish, {:.0} released/s, {} frames, {} MiB, {:.1} % padding",
        publish_ns / MESSAGES,
        released as f64 / seconds,
        stats.frame_count,
        stats.frame_bytes >> 20,
        100.0 * stats.padding_bytes as f64 / stats.frame_bytes as f64,
    );
    drop(log);
    let start = Instant::now();
    let (_, log, report) = open(data, durability)?;
    let gib = stats.frame_bytes as f64 / f64::from(1 << 30);
    println!("  recovery {:.2} s/GiB: {report}", start.elapsed().as_secs_f64() / gib);
    assert!(log.state().topic(topic).is_some());
    Ok(())
}
