//! Every row of the decision table, on a log that was damaged for it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::path::PathBuf;

use nsq_wal::disk::fault::{Class, Fault, FaultDisk, Judge, Operation};
use nsq_wal::{Durability, Lost, Recover, RecoveryReport, Row, WalError};
use support::{Rig, TOPIC, broken_paths, options, segment_paths, shard_file};

const BLOCK: usize = 4096;

/// A log with five commits of one message each, killed. Frames: checkpoint at block 1, then the topic's record
/// with message 0 at block 2, and messages 1 to 4 at blocks 3 to 6, each with two blocks.
fn five_commits() -> (Rig, PathBuf) {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.create_topic(TOPIC);
    for _ in 0..5 {
        rig.publish(TOPIC, &[5000]).unwrap();
        rig.settle();
    }
    rig.kill();
    let path = segment_paths(&rig.disk).pop().unwrap();
    (rig, path)
}

/// Offset of the frame of message `seq`.
fn frame_of(seq: usize) -> usize {
    (2 + 2 * seq) * BLOCK
}

fn recovered_messages(rig: &mut Rig) -> u64 {
    rig.log().state().topic(TOPIC).map_or(0, |t| t.next_seq())
}

fn refused_row(rig: &mut Rig) -> Row {
    match rig.start() {
        Err(WalError::Corrupt { row, .. }) => row,
        other => panic!("not refused: {other:?}"),
    }
}

/// Starts with quarantine, then again without: what was set aside is not met again.
fn quarantine(rig: &mut Rig) -> RecoveryReport {
    rig.options.recover = Recover::Quarantine;
    let report = rig.start().unwrap();
    rig.settle();
    let state = rig.log().state().clone();
    rig.kill();
    rig.options.recover = Recover::Refuse;
    let again = rig.start().unwrap();
    assert!(again.lost.is_empty() || again.damage.is_empty(), "{again}");
    assert_eq!(rig.log().state(), &state);
    report
}

fn rows(report: &RecoveryReport) -> Vec<Row> {
    report.damage.iter().map(|d| d.row).collect()
}

#[test]
fn row_a_an_intact_frame_is_accepted_and_row_b_zeros_end_the_log() {
    let (mut rig, _) = five_commits();
    let report = rig.start().unwrap();
    assert_eq!(report.verdict.row, Row::B);
    assert_eq!(report.frame_count, 5);
    rig.verify(true);
    assert_eq!(recovered_messages(&mut rig), 5);
}

#[test]
fn row_b_stale_frames_of_a_recycled_file_end_the_log() {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.create_topic(TOPIC);
    rig.create_channel(TOPIC, support::CHANNEL, 0);
    let is_recycled = |rig: &Rig| {
        let newest = segment_paths(&rig.disk).pop();
        let content = newest.and_then(|path| rig.disk.content(&path)).unwrap_or_default();
        content.iter().rev().take(BLOCK * 8).any(|b| *b != 0)
            && content.iter().skip(BLOCK * 10).step_by(BLOCK).any(|b| *b != 0)
    };
    let mut i = 0;
    while !(is_recycled(&rig) && rig.log().stats().frame_count % 10 == 5) {
        assert!(i < 5000, "no segment is ever recycled");
        rig.publish(TOPIC, &[3000]).unwrap();
        rig.finish(TOPIC, support::CHANNEL, i, i + 1).unwrap();
        rig.settle();
        i += 1;
    }
    rig.kill();
    let report = rig.start().unwrap();
    assert_eq!(report.verdict.row, Row::B);
    rig.verify(true);
}

#[test]
fn the_middle_of_a_stale_frame_is_an_ordinary_end_and_leaves_nothing_aside() {
    use nsq_wal::format::Seed;
    use nsq_wal::format::frame::FrameHeader;
    let seed = Seed::new(&[3; 16], &[3; 16]);
    let (mut rig, path) = five_commits();
    // What a recycled file has behind the last frame: the middle of an old frame, and then another old one.
    rig.disk.damage(&path, |bytes| {
        let end = frame_of(5);
        let (mut header, _) = FrameHeader::decode(&bytes[frame_of(3)..], &seed).unwrap();
        bytes.copy_within(frame_of(3) + BLOCK..frame_of(4), end);
        header.segment_seq -= 1;
        header.block_index = (end / BLOCK + 1) as u32;
        bytes.copy_within(frame_of(3)..frame_of(4), end + BLOCK);
        bytes[end + BLOCK..end + BLOCK + 64].copy_from_slice(&header.encode(&seed).0);
    });
    let report = rig.start().unwrap();
    assert_eq!((report.verdict.row, report.cut_bytes), (Row::B, 0), "{report}");
    assert!(broken_paths(&rig.disk).is_empty());
    assert_eq!(recovered_messages(&mut rig), 5);
}

#[test]
fn a_torn_tail_on_a_disk_without_room_does_not_keep_the_log_from_starting() {
    for errno in [28, 122, 30] {
        let (mut rig, path) = five_commits();
        rig.disk.damage(&path, |bytes| bytes[frame_of(4) + 8] ^= 0x40);
        rig.disk.set_judge(Some(Box::new(NoNewFiles(errno))));
        let report = rig.start().unwrap();
        assert_eq!((report.verdict.row, report.tail_not_copied), (Row::C, Some(errno)));
        rig.disk.set_judge(None);
        assert_eq!(recovered_messages(&mut rig), 4);
    }
}

#[derive(Debug)]
struct NoNewFiles(i32);

impl Judge for NoNewFiles {
    fn judge(&mut self, operation: &Operation<'_>) -> Option<Fault> {
        (operation.class == Class::Create).then_some(Fault::Error(self.0))
    }
}

#[test]
fn what_a_later_version_wrote_is_refused_as_such_and_not_called_damaged() {
    use nsq_wal::format::Seed;
    let seed = Seed::new(&[3; 16], &[3; 16]);
    let reseal = |bytes: &mut [u8], from: usize| {
        let crc = seed.crc(&bytes[from + 4..]);
        bytes[from..from + 4].copy_from_slice(&crc.to_le_bytes());
    };
    for (field, place) in
        [("segment version", 12), ("frame version", 9), ("frame kind", 8), ("record kind", 0)]
    {
        let (mut rig, path) = five_commits();
        rig.disk.damage(&path, |bytes| match field {
            "segment version" => {
                bytes[place] = 2;
                reseal(&mut bytes[..4096], 8);
            }
            "record kind" => {
                let frame = frame_of(2);
                let start = u32::from_le_bytes(bytes[frame + 24..frame + 28].try_into().unwrap()) as usize;
                let len = u32::from_le_bytes(bytes[frame + 16..frame + 20].try_into().unwrap()) as usize;
                bytes[frame + start] = 99;
                let records = bytes[frame + start..frame + start + len].to_vec();
                let mut table = Vec::new();
                let crc = nsq_wal::format::frame::put_table(&mut table, &records);
                bytes[frame + start + len..frame + start + len + table.len()].copy_from_slice(&table);
                bytes[frame + 20..frame + 24].copy_from_slice(&crc.to_le_bytes());
                reseal(&mut bytes[frame..frame + 64], 4);
            }
            _ => {
                let frame = frame_of(2);
                bytes[frame + place] = 9;
                reseal(&mut bytes[frame..frame + 64], 4);
            }
        });
        for recover in [Recover::Refuse, Recover::Quarantine] {
            rig.options.recover = recover;
            match rig.start() {
                Err(error @ WalError::Unsupported { field: named, .. }) => {
                    assert_eq!(named, field);
                    assert!(error.to_string().contains("another version"), "{error}");
                    assert!(!error.to_string().contains("quarantine"), "{error}");
                }
                other => panic!("{field}: {other:?}"),
            }
        }
        assert!(broken_paths(&rig.disk).is_empty());
    }
}

#[test]
fn row_c_a_torn_tail_is_set_aside_and_the_log_ends_before_it() {
    for place in [8, 70, 5110, 6000] {
        let (mut rig, path) = five_commits();
        rig.disk.damage(&path, |bytes| bytes[frame_of(4) + place] ^= 0x40);
        let report = rig.start().unwrap();
        assert_eq!(report.verdict.row, if place == 6000 { Row::B } else { Row::C }, "at {place}");
        if place == 6000 {
            continue; // padding: nothing depends on it
        }
        assert_eq!(recovered_messages(&mut rig), 4);
        assert!(report.cut_bytes > 5000);
        let broken = broken_paths(&rig.disk);
        assert_eq!(broken.len(), 2);
        assert!(rig.disk.content(&broken[0]).unwrap().len() as u64 == report.cut_bytes);
        let line = String::from_utf8(rig.disk.content(&broken[1]).unwrap()).unwrap();
        assert!(line.contains("\"row\":\"C\""), "{line}");
        // Appending after it, and again a crash: the tail does not come back.
        rig.promises.get_mut(&TOPIC).unwrap().released.remove(&4);
        rig.verify(true);
        rig.publish(TOPIC, &[70]).unwrap();
        rig.settle();
        rig.kill();
        rig.start().unwrap();
        rig.verify(true);
    }
}

#[test]
fn row_c_recovery_twice_gives_one_state() {
    let (mut rig, path) = five_commits();
    rig.disk.damage(&path, |bytes| bytes[frame_of(4)] ^= 1);
    let first = rig.start().unwrap();
    let state = rig.log().state().clone();
    rig.kill();
    assert_eq!(rig.start().unwrap(), first);
    assert_eq!(rig.log().state(), &state);
    assert_eq!(broken_paths(&rig.disk).len(), 2);
}

#[test]
fn row_d_a_hole_before_frames_that_do_not_vouch_ends_the_log() {
    for fill in [0u8, 7] {
        let roomy = nsq_wal::LogOptions {
            segment_bytes_first: 4 << 20,
            segment_bytes_max: 4 << 20,
            ..options(Durability::Sync)
        };
        let mut rig = Rig::new(roomy);
        rig.create_topic(TOPIC);
        rig.settle();
        rig.publish(TOPIC, &[10]).unwrap();
        rig.settle();
        // Three full frames in flight at once; the first never arrives.
        for _ in 0..3 {
            rig.publish(TOPIC, &[300_000]).unwrap();
        }
        rig.turn();
        assert_eq!(rig.outstanding.len(), 3);
        rig.do_io(2);
        rig.do_io(1);
        assert_eq!(rig.promises[&TOPIC].released.len(), 1);
        let nsq_wal::Io::Write { offset, .. } = rig.outstanding[0] else { panic!("not a write") };
        let path = segment_paths(&rig.disk).pop().unwrap();
        rig.kill();
        rig.disk.damage(&path, |bytes| bytes[offset as usize..][..BLOCK].fill(fill));
        let report = rig.start().unwrap();
        assert_eq!(report.verdict.row, Row::D);
        assert!(report.cut_bytes > 600_000, "{report}");
        rig.verify(true);
        assert_eq!(recovered_messages(&mut rig), 1);
    }
}

#[test]
fn row_e_damage_that_a_later_frame_vouches_for_is_refused() {
    // A header, and the record area behind the body of 5034 bytes.
    for place in [40, 64 + 5040 + 20] {
        let (mut rig, path) = five_commits();
        rig.disk.damage(&path, |bytes| bytes[frame_of(2) + place] ^= 1);
        let before = rig.disk.content(&path);
        assert_eq!(refused_row(&mut rig), Row::E, "at {place}");
        assert_eq!(rig.disk.content(&path), before, "a refusal changes nothing");
        let report = quarantine(&mut rig);
        assert_eq!(rows(&report), [Row::E]);
        assert_eq!(report.lost.len(), 1);
        assert!(matches!(report.lost[0], Lost::Frames { from, to } if to == from + 1));
        assert!(!report.set_aside.is_empty());
        let (messages, lost) = rig.read_all(TOPIC, 0);
        assert_eq!(messages.keys().copied().collect::<Vec<_>>(), [0, 1, 3, 4]);
        assert_eq!(lost.into_iter().collect::<Vec<_>>(), [2]);
    }
}

#[test]
fn row_f_a_hole_that_a_later_frame_vouches_for_is_refused() {
    let (mut rig, path) = five_commits();
    rig.disk.damage(&path, |bytes| bytes[frame_of(1)..frame_of(2)].fill(0));
    assert_eq!(refused_row(&mut rig), Row::F);
    assert_eq!(rows(&quarantine(&mut rig)), [Row::F]);
    let (messages, lost) = rig.read_all(TOPIC, 0);
    assert_eq!((messages.len(), lost.len()), (4, 1));
}

#[test]
fn row_g_a_frame_in_the_wrong_place_is_refused() {
    let (mut rig, path) = five_commits();
    rig.disk.damage(&path, |bytes| bytes.copy_within(frame_of(2)..frame_of(3), frame_of(4)));
    assert_eq!(refused_row(&mut rig), Row::G);
    let report = quarantine(&mut rig);
    assert_eq!(rows(&report), [Row::G]);
    let (messages, _) = rig.read_all(TOPIC, 0);
    assert_eq!(messages.len(), 4);
}

#[test]
fn row_h_rot_in_a_body_withholds_that_message_alone() {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.create_topic(TOPIC);
    rig.settle();
    rig.publish(TOPIC, &[100, 100, 100]).unwrap();
    rig.settle();
    rig.publish(TOPIC, &[100]).unwrap();
    rig.settle();
    rig.kill();
    let path = segment_paths(&rig.disk).pop().unwrap();
    let second_body = 3 * BLOCK + 64 + 134 + 40;
    rig.disk.damage(&path, |bytes| bytes[second_body] ^= 0x80);
    let report = rig.start().unwrap();
    assert_eq!(rows(&report), [Row::H]);
    let Lost::Messages { from: 1, to: 2, first_id: Some(_), .. } = report.lost[0] else { panic!("{report}") };
    let (messages, lost) = rig.read_all(TOPIC, 0);
    assert_eq!(messages.keys().copied().collect::<Vec<_>>(), [0, 2, 3]);
    assert_eq!(lost.into_iter().collect::<Vec<_>>(), [1]);
    assert_eq!(rig.log().stats().lost_message_count, 1);
}

#[test]
fn row_i_a_clean_stop_without_its_close_frame_is_refused() {
    let (mut rig, _) = five_commits();
    rig.start().unwrap();
    rig.publish(TOPIC, &[9]).unwrap();
    rig.settle();
    rig.stop();
    let path = segment_paths(&rig.disk).pop().unwrap();
    rig.disk.damage(&path, |bytes| {
        let last = bytes.rchunks(BLOCK).position(|block| block.iter().any(|b| *b != 0)).unwrap();
        let start = bytes.len() - (last + 1) * BLOCK;
        bytes[start..start + BLOCK].fill(0);
    });
    // A refused start does not use the claim up: the next one must refuse as well.
    assert_eq!(refused_row(&mut rig), Row::I);
    assert_eq!(refused_row(&mut rig), Row::I);
    let report = quarantine(&mut rig);
    assert_eq!(rows(&report), [Row::I]);
}

#[test]
fn row_i_a_clean_stop_without_any_segment_is_refused() {
    let (mut rig, _) = five_commits();
    rig.start().unwrap();
    rig.publish(TOPIC, &[9]).unwrap();
    rig.settle();
    rig.stop();
    for path in segment_paths(&rig.disk) {
        rig.disk.set_file(&path, None);
    }
    assert_eq!(refused_row(&mut rig), Row::I);
}

#[test]
fn an_old_superblock_that_claims_a_clean_stop_is_not_believed() {
    let (mut rig, _) = five_commits();
    rig.start().unwrap();
    rig.stop();
    let root = PathBuf::from(support::ROOT);
    let old: Vec<_> = ["superblock.a", "superblock.b"].map(|n| (n, rig.disk.content(&root.join(n)))).into();
    rig.start().unwrap();
    rig.publish(TOPIC, &[9]).unwrap();
    rig.settle();
    rig.kill();
    for (name, content) in old {
        rig.disk.set_file(&root.join(name), content);
    }
    let report = rig.start().unwrap();
    assert!(report.clean_claim_was_stale && !report.was_clean);
    rig.verify(true);
}

/// A log of several segments, killed.
fn several_segments() -> Rig {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.create_topic(TOPIC);
    for _ in 0..150 {
        rig.publish(TOPIC, &[5000]).unwrap();
        rig.settle();
    }
    rig.kill();
    assert!(segment_paths(&rig.disk).len() >= 4);
    rig
}

#[test]
fn row_j_a_missing_segment_is_refused_by_name() {
    let mut rig = several_segments();
    let path = segment_paths(&rig.disk)[1].clone();
    rig.disk.set_file(&path, None);
    match rig.start() {
        Err(WalError::SegmentMissing { path: named }) => assert_eq!(named, path),
        other => panic!("not refused: {other:?}"),
    }
    let report = quarantine(&mut rig);
    assert_eq!(rows(&report), [Row::J]);
    let named: u64 = report
        .lost
        .iter()
        .map(|lost| match lost {
            Lost::Messages { from, to, .. } => to - from,
            Lost::Frames { .. } => panic!("{report}"),
        })
        .sum();
    let (messages, lost) = rig.read_all(TOPIC, 0);
    assert_eq!(lost.len() as u64, named);
    assert_eq!(messages.len() + lost.len(), 150);
}

#[test]
fn row_k_an_unknown_segment_is_moved_aside() {
    let mut rig = several_segments();
    let paths = segment_paths(&rig.disk);
    let copy = rig.disk.content(&paths[1]);
    // Under a later number a copy is a file that was named ahead, under an earlier one it was never here.
    rig.disk.set_file(&shard_file("wal-00000000000099999999.seg"), copy.clone());
    rig.disk.set_file(&shard_file("wal-00000000000000000001.seg"), copy);
    let report = rig.start().unwrap();
    assert_eq!(rows(&report), [Row::K]);
    assert_eq!(segment_paths(&rig.disk), paths);
    assert_eq!(broken_paths(&rig.disk).len(), 1);
    rig.verify(true);
}

#[test]
fn a_damaged_checkpoint_is_refused_and_an_older_one_serves_in_quarantine() {
    for place in [100, BLOCK + 20, BLOCK + 80] {
        let mut rig = several_segments();
        let newest = segment_paths(&rig.disk).pop().unwrap();
        rig.disk.damage(&newest, |bytes| bytes[place] ^= 1);
        assert_eq!(refused_row(&mut rig), Row::E, "at {place}");
        let report = quarantine(&mut rig);
        assert!(rows(&report).contains(&Row::E));
        let (messages, lost) = rig.read_all(TOPIC, 0);
        assert_eq!((messages.len(), lost.len()), (150, 0), "at {place}: {report}");
    }
}

#[test]
fn a_truncated_segment_is_refused() {
    let mut rig = several_segments();
    let paths = segment_paths(&rig.disk);
    for path in [&paths[1], paths.last().unwrap()] {
        let disk: FaultDisk = rig.disk.fork();
        disk.damage(path, |bytes| bytes.truncate(10 * BLOCK));
        let mut damaged = Rig { disk, ..Rig::new(rig.options.clone()) };
        assert_eq!(refused_row(&mut damaged), Row::F);
    }
    rig.start().unwrap();
    rig.verify(true);
}

#[test]
fn a_directory_of_another_log_is_damage_not_data() {
    let (mut rig, path) = five_commits();
    rig.disk.damage(&path, |bytes| bytes[BLOCK..].fill(0xee));
    assert_eq!(refused_row(&mut rig), Row::E);
}

#[test]
fn swapped_segments_are_refused() {
    let mut rig = several_segments();
    let paths = segment_paths(&rig.disk);
    let (a, b) = (rig.disk.content(&paths[0]), rig.disk.content(&paths[1]));
    rig.disk.set_file(&paths[0], b);
    rig.disk.set_file(&paths[1], a);
    assert!(rig.start().is_err());
}

#[test]
fn a_frame_that_breaks_the_chain_is_no_frame_of_this_log() {
    use nsq_wal::format::Seed;
    use nsq_wal::format::frame::FrameHeader;
    for change in 0..2 {
        let (mut rig, path) = five_commits();
        // Forged with the secret: nothing but the chain and the number can tell.
        let seed = Seed::new(&[3; 16], &[3; 16]);
        rig.disk.damage(&path, |bytes| {
            let place = frame_of(4);
            let (mut header, _) = FrameHeader::decode(&bytes[place..], &seed).unwrap();
            if change == 0 {
                header.prev_crc ^= 1;
            } else {
                header.frame_seq += 1;
            }
            bytes[place..place + 64].copy_from_slice(&header.encode(&seed).0);
        });
        let report = rig.start().unwrap();
        assert_eq!(report.verdict.row, Row::C);
        assert_eq!(recovered_messages(&mut rig), 4);
    }
}
