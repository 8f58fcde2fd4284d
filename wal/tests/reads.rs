//! Reading back, and everything that can go wrong with it: an error withholds, only proven damage loses.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use nsq_wal::{Batch, Durability, Io, IoDone, IoResult, TopicId, Unread};
use support::{CHANNEL, Messages, Rig, TOPIC, options, segment_paths, split};

/// Every errno that open and read are known for, those that pass included.
const ERRNOS: [i32; 14] = [2, 4, 5, 6, 9, 11, 12, 13, 22, 23, 24, 75, 116, 121];

/// A backlog of 200 messages of 2,000 bytes over several segments, one per frame.
fn backlog() -> Rig {
    let mut rig = Rig::new(options(Durability::Sync));
    rig.create_topic(TOPIC);
    rig.create_channel(TOPIC, CHANNEL, 0);
    for _ in 0..200 {
        rig.publish(TOPIC, &[2000]).unwrap();
        rig.settle();
    }
    assert!(segment_paths(&rig.disk).len() > 3);
    rig
}

/// Asks for `seq`; `answer` decides what becomes of each operation.
fn fetch(rig: &mut Rig, seq: u64, mut answer: impl FnMut(&mut Rig, Io) -> Option<(Io, IoResult)>) -> Answer {
    rig.loaded.clear();
    rig.log().fetch(TOPIC, seq, 1);
    rig.collect();
    let deadline = rig.now + 5_000_000_000;
    while rig.loaded.is_empty() {
        assert!(rig.now < deadline, "a fetch without an answer");
        let Some(io) = rig.outstanding.pop() else {
            rig.now += 1_000_000;
            rig.turn();
            continue;
        };
        if let Some((io, result)) = answer(rig, io) {
            let now = rig.now;
            rig.log().handle_io(now, io.tag(), result);
            rig.collect();
        }
    }
    let (_, batches, lost) = rig.loaded.pop().unwrap();
    Answer { batches, lost }
}

struct Answer {
    batches: Vec<Batch>,
    lost: Vec<(u64, u64)>,
}

impl Answer {
    fn messages(&self) -> Messages {
        let mut messages = Messages::new();
        for batch in &self.batches {
            for (i, message) in (0u64..).zip(split(batch)) {
                messages.insert(batch.first_seq + i, message);
            }
        }
        messages
    }
}

/// Runs `io` and gives it back beside its result, with a buffer of its own.
fn run(rig: &Rig, io: Io) -> (Io, IoResult) {
    let Io::Read { tag, file, offset, mut buf } = io else {
        let tag = io.tag();
        let (_, result) = io.run(&rig.disk);
        let nothing = Io::Cold { tag, job: nsq_wal::ColdJob::Open { path: "/".into() } };
        return (nothing, result);
    };
    let result = file.read_at(offset, buf.as_mut_slice()).map(|len| IoDone::Read { buf, len });
    (Io::Read { tag, file, offset, buf: nsq_wal::ReadBuf::new(1) }, result)
}

#[test]
fn no_error_of_open_or_read_is_a_loss() {
    let mut rig = backlog();
    rig.wait_ms(300);
    for errno in ERRNOS {
        // The n-th operation of a fetch fails, once or as long as it lasts.
        for at in 0..4 {
            for sticky in [false, true] {
                let mut count = 0;
                rig.loaded.clear();
                rig.log().fetch(TOPIC, 0, 1);
                for _ in 0..200 {
                    rig.now += 1_000_000;
                    rig.turn();
                    while let Some(io) = rig.outstanding.pop() {
                        let fails = if sticky { count >= at } else { count == at };
                        count += 1;
                        let (tag, result) = if fails { (io.tag(), Err(errno)) } else { io.run(&rig.disk) };
                        let now = rig.now;
                        rig.log().handle_io(now, tag, result);
                        rig.collect();
                    }
                }
                for (_, _, lost) in &rig.loaded {
                    assert!(lost.is_empty(), "errno {errno} at {at}: lost {lost:?}");
                }
                // What passes is waited for; anything else is answered, so that the asker can do other things.
                assert!(count > 0 && (sticky || !rig.loaded.is_empty()), "errno {errno} at {at}");
                assert!(!rig.poisoned, "errno {errno} at {at}");
                // Let what was repeated for ever end before the next case.
                rig.wait_ms(30);
            }
        }
    }
    assert!(rig.lost.is_empty() && rig.log().stats().lost_message_count == 0);
    assert!(rig.log().stats().read_retry_count > 0 && rig.log().stats().read_error_count > 0);
    rig.loaded.clear();
    rig.verify(true);
}

#[test]
fn an_error_is_told_with_its_place_and_counted() {
    let mut rig = backlog();
    rig.stop();
    rig.start().unwrap();
    let path = segment_paths(&rig.disk)[0].clone();
    let denied = |rig: &mut Rig, io: Io| match io {
        Io::Cold { job: nsq_wal::ColdJob::Open { .. }, .. } => Some((io, Err(13))),
        io => Some(run(rig, io)),
    };
    let rig = &mut rig;
    for seq in 0..5 {
        let answer = fetch(rig, seq, denied);
        assert!(answer.batches.is_empty() && answer.lost.is_empty());
    }
    assert_eq!(rig.read_failures.len(), 1, "one line for a segment: {:?}", rig.read_failures);
    assert_eq!((&rig.read_failures[0].path, rig.read_failures[0].why), (&path, Unread::Open(13)));
    assert_eq!(rig.log().stats().read_error_count, 5);
    rig.now += 10_000_000_000;
    fetch(rig, 0, denied);
    assert_eq!(rig.read_failures.len(), 2, "and another after ten seconds");
}

#[test]
fn a_short_read_loses_nothing_and_what_comes_again_is_delivered() {
    let mut rig = backlog();
    let mut short = true;
    let answer = fetch(&mut rig, 0, |rig, io| {
        let (io, mut result) = run(rig, io);
        if let Ok(IoDone::Read { len, .. }) = &mut result
            && std::mem::take(&mut short)
        {
            *len = 4096;
        }
        Some((io, result))
    });
    assert!(!short && answer.lost.is_empty());
    assert!(answer.messages().len() > 10);
    rig.verify(true);
}

#[test]
fn a_bad_sector_withholds_what_is_on_it_and_delivers_the_rest() {
    let mut rig = backlog();
    // One message per frame of one block: what lies at this place is message `bad`.
    let mut bad_offset = None;
    let bad = 7;
    for errno in [5, 121] {
        let place = *bad_offset.get_or_insert_with(|| place_of(&mut backlog(), bad));
        let answer = fetch(&mut rig, 0, |rig, io| {
            if let Io::Read { offset, buf, .. } = &io
                && (*offset..*offset + buf.len() as u64).contains(&place)
            {
                return Some((io, Err(errno)));
            }
            Some(run(rig, io))
        });
        assert!(answer.lost.is_empty(), "{:?}", answer.lost);
        let messages = answer.messages();
        assert!(!messages.contains_key(&bad));
        assert!((0..bad).chain(bad + 1..20).all(|seq| messages.contains_key(&seq)), "{:?}", messages.keys());
    }
    assert_eq!(rig.log().stats().lost_message_count, 0);
    rig.verify(true);
}

/// Where the message begins in its segment: found by damaging every block in turn.
fn place_of(rig: &mut Rig, seq: u64) -> u64 {
    let path = segment_paths(&rig.disk)[0].clone();
    let content = rig.disk.content(&path).unwrap();
    let body = support::body(TOPIC, seq, 2000);
    content.windows(body.len()).position(|w| w == body).unwrap() as u64
}

#[test]
fn damage_loses_that_message_alone_and_names_segment_offset_and_id() {
    let mut rig = backlog();
    let path = segment_paths(&rig.disk)[0].clone();
    let place = place_of(&mut rig, 5);
    rig.disk.damage(&path, |bytes| bytes[place as usize + 100] ^= 1);
    let answer = fetch(&mut rig, 0, |rig, io| Some(run(rig, io)));
    assert_eq!(answer.lost, [(5, 6)]);
    let messages = answer.messages();
    assert!((0..5).chain(6..20).all(|seq| messages.contains_key(&seq)));
    let [lost] = &rig.lost[..] else { panic!("{:?}", rig.lost) };
    assert_eq!((lost.topic, lost.first_seq, lost.count), (TOPIC, 5, 1));
    assert_eq!((&lost.path, lost.offset), (&path, place - 34));
    assert_eq!(lost.first_id, messages[&4].0 + 1);
    assert_eq!(rig.log().stats().lost_message_count, 1);
}

#[test]
fn damage_that_is_gone_at_the_second_look_is_none() {
    let mut rig = backlog();
    let mut reads = 0;
    let answer = fetch(&mut rig, 0, |rig, io| {
        let (io, mut result) = run(rig, io);
        if let Ok(IoDone::Read { buf, .. }) = &mut result {
            reads += 1;
            if reads == 1 {
                buf.as_mut_slice()[9000] ^= 1;
            }
        }
        Some((io, result))
    });
    assert_eq!((reads, answer.lost.len()), (2, 0));
    assert!((0..20).all(|seq| answer.messages().contains_key(&seq)));
    assert_eq!(rig.log().stats().lost_message_count, 0);
}

#[test]
fn a_frame_that_cannot_be_told_apart_is_withheld_not_lost() {
    let mut rig = backlog();
    let path = segment_paths(&rig.disk)[0].clone();
    let place = place_of(&mut rig, 5) as usize / 4096 * 4096;
    rig.disk.damage(&path, |bytes| bytes[place + 5] ^= 1);
    let answer = fetch(&mut rig, 0, |rig, io| Some(run(rig, io)));
    assert!(answer.lost.is_empty(), "{:?}", answer.lost);
    assert!((0..5).chain(6..20).all(|seq| answer.messages().contains_key(&seq)));
    assert_eq!(rig.read_failures.iter().map(|f| f.why).collect::<Vec<_>>(), [Unread::Damaged]);
    assert_eq!(rig.log().stats().lost_message_count, 0);
}

#[test]
fn a_failing_read_does_not_hold_up_another_topic() {
    let mut rig = backlog();
    let other = TopicId(1);
    rig.create_topic(other);
    for _ in 0..40 {
        rig.publish(other, &[2000]).unwrap();
        rig.settle();
    }
    let first = segment_paths(&rig.disk)[0].clone();
    let content = rig.disk.content(&first).unwrap();
    rig.disk.set_file(&first, None);
    rig.log().fetch(TOPIC, 0, 1);
    rig.log().fetch(other, 0, 2);
    rig.collect();
    rig.settle();
    let tokens: Vec<u64> = rig.loaded.iter().map(|(token, ..)| *token).collect();
    assert!(tokens.contains(&1) && tokens.contains(&2), "{tokens:?}");
    let (_, batches, _) = rig.loaded.iter().find(|(token, ..)| *token == 2).unwrap();
    assert!(!batches.is_empty());
    rig.disk.set_file(&first, Some(content));
    rig.loaded.clear();
    rig.verify(true);
}
