use super::*;
use crate::format::checkpoint;
use crate::format::record::{Record, Records};

const TOPIC: TopicId = TopicId(1);
const CHANNEL: ChannelId = ChannelId(4);

fn apply(state: &mut State, record: Record) {
    let mut area = Vec::new();
    record.encode(&mut area);
    let view = Records::new(&area).next().unwrap().unwrap();
    state.apply(&view, Place { segment: 1, offset: 4096, len: 4096 });
    state.check();
}

fn publish(state: &mut State, first_seq: u64, count: u32, offset: u64, defer_ms: u32) {
    let fields = PublishFields {
        topic: TOPIC,
        first_seq,
        first_id: first_seq + 1,
        count,
        defer_ms,
        timestamp_ns: 1_000,
        payload_offset: 64,
        payload_len: 0,
    };
    state.publish(&fields, Place { segment: 1, offset, len: 4096 });
    state.check();
}

fn with_topic() -> State {
    let mut state = State::default();
    state.add_segment(1, 1 << 22);
    apply(&mut state, Record::TopicCreated { topic: TOPIC, name: "t".into() });
    state
}

fn with_channel() -> State {
    let mut state = with_topic();
    apply(&mut state, Record::ChannelCreated { topic: TOPIC, channel: CHANNEL, name: "c".into(), from: 0 });
    state
}

fn finish(state: &mut State, ranges: &[(u64, u64)]) {
    apply(state, Record::Finish { topic: TOPIC, channel: CHANNEL, ranges: ranges.to_vec() });
}

#[test]
fn a_topic_without_channels_keeps_its_backlog() {
    let mut state = with_topic();
    publish(&mut state, 0, 10, 8192, 0);
    assert_eq!(state.segments[&1].run_count, 1);
    apply(&mut state, Record::TopicEmptied { topic: TOPIC, from: 0, to: 10 });
    assert_eq!(state.segments[&1].run_count, 0);
}

#[test]
fn a_run_goes_when_every_channel_has_finished_it() {
    let mut state = with_channel();
    publish(&mut state, 0, 10, 8192, 0);
    finish(&mut state, &[(3, 10)]);
    assert_eq!(state.topics[&TOPIC].channels[&CHANNEL].watermark(), 0);
    assert_eq!(state.segments[&1].run_count, 1);
    finish(&mut state, &[(0, 2), (2, 3)]);
    assert_eq!(state.topics[&TOPIC].channels[&CHANNEL].watermark(), 10);
    assert_eq!(state.segments[&1].run_count, 0);
}

#[test]
fn runs_grow_within_a_mebibyte_and_one_segment() {
    let mut state = with_channel();
    for i in 0..512 {
        publish(&mut state, i * 2, 2, 8192 + i * 4096, 0);
    }
    let runs: Vec<Run> = state.topics[&TOPIC].runs().copied().collect();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].len, RUN_SPAN);
    assert_eq!(state.topics[&TOPIC].run_of(511).unwrap().first_seq, 0);
    assert_eq!(state.topics[&TOPIC].run_of(512).unwrap().first_seq, 512);
    assert!(state.topics[&TOPIC].run_of(1024).is_none());
}
const RUN_SPAN: u64 = crate::limits::RUN_SPAN_BYTES;

#[test]
fn delays_are_pending_until_finished() {
    let mut state = with_channel();
    publish(&mut state, 0, 1, 8192, 5);
    publish(&mut state, 1, 1, 8192, 0);
    apply(&mut state, Record::Requeue { topic: TOPIC, channel: CHANNEL, seq: 1, attempts: 2, due_at_ns: 9 });
    let pending: Vec<Pending> = state.topics[&TOPIC].pending(CHANNEL).collect();
    assert_eq!(
        pending,
        [
            Pending { seq: 1, attempts: 2, due_at_ns: 9 },
            Pending { seq: 0, attempts: 0, due_at_ns: 5_001_000 }
        ]
    );
    finish(&mut state, &[(0, 2)]);
    assert_eq!(state.topics[&TOPIC].pending(CHANNEL).count(), 0);
    assert!(state.topics[&TOPIC].deferred.is_empty());
}

#[test]
fn late_facts_are_ignored() {
    let mut state = with_channel();
    publish(&mut state, 0, 4, 8192, 0);
    apply(&mut state, Record::ChannelDeleted { topic: TOPIC, channel: CHANNEL, floor: 4 });
    finish(&mut state, &[(0, 1)]);
    assert_eq!(state.topics[&TOPIC].wanted_from(), 4);
    apply(&mut state, Record::TopicDeleted { topic: TOPIC });
    finish(&mut state, &[(0, 1)]);
    publish(&mut state, 4, 1, 12288, 0);
    assert_eq!(state.segments[&1].run_count, 0);
    assert_eq!(state.next_topic_id(), TopicId(2));
}

#[test]
fn a_checkpoint_is_the_state() {
    let mut state = with_channel();
    publish(&mut state, 0, 10, 8192, 0);
    publish(&mut state, 10, 1, 12288, 70);
    finish(&mut state, &[(3, 5), (7, 8)]);
    apply(
        &mut state,
        Record::Requeue { topic: TOPIC, channel: CHANNEL, seq: 9, attempts: 3, due_at_ns: 1 << 60 },
    );
    apply(&mut state, Record::TopicPaused { topic: TOPIC, paused: true, floor: 6 });
    apply(&mut state, Record::ChannelPaused { topic: TOPIC, channel: CHANNEL, paused: true });
    apply(&mut state, Record::IdReservation { until: 1 << 33 });
    let besides = checkpoint::Besides { id_reserved_until: 1 << 34, leaving: vec![7, 9] };
    let bytes = checkpoint::encode(&state, &besides).at_start_of(3, 4096);
    state.add_segment(3, 4096);
    state.id_reserved_until = 1 << 34;
    assert_eq!(checkpoint::decode(&bytes), Some((state, vec![7, 9])));
    for len in 0..bytes.len() - 8 {
        assert_eq!(checkpoint::decode(&bytes[..len]), None, "cut at {len}");
    }
}

#[test]
fn a_run_in_the_middle_goes_when_every_channel_has_finished_it() {
    let mut state = with_channel();
    state.add_segment(2, 1 << 22);
    for i in 0..4 {
        publish(&mut state, i * 10, 10, (i + 1) << 21, 0);
    }
    finish(&mut state, &[(10, 20)]);
    finish(&mut state, &[(21, 40)]);
    let left: Vec<u64> = state.topics[&TOPIC].runs().map(|run| run.first_seq).collect();
    assert_eq!(left, [0, 20], "0 to 9 and 20 are wanted, and nothing else");
    assert_eq!(state.topics[&TOPIC].run_of(25).map(|run| run.first_seq), Some(20));
    assert!(state.topics[&TOPIC].run_of(15).is_none() && state.topics[&TOPIC].run_of(35).is_none());
    assert_eq!(state.topics[&TOPIC].next_run_after(10), 20);
}

#[test]
fn a_delay_goes_with_its_message_wherever_it_lies() {
    let mut state = with_channel();
    publish(&mut state, 0, 1, 8192, 3_600_000);
    for i in 1..100 {
        publish(&mut state, i, 1, 8192, 10);
        finish(&mut state, &[(i, i + 1)]);
    }
    assert_eq!(state.topics[&TOPIC].deferred.len(), 1);
}

/// Random histories: after every step a run is there if and only if somebody wants one of its messages, as told by
/// sets of single messages.
#[test]
fn a_run_is_kept_if_and_only_if_somebody_wants_a_message_of_it() {
    use crate::disk::fault::Chance;
    use std::collections::BTreeSet;
    for seed in 0..200 {
        let mut chance = Chance::new(seed);
        let mut state = with_topic();
        let mut channels: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
        let (mut published, mut floor, mut paused, mut next_channel) = (0u64, 0u64, false, 0u32);
        let mut offset = 8192;
        for _ in 0..150 {
            let pick = |chance: &mut Chance| {
                channels.keys().nth(chance.below(channels.len() as u64) as usize).copied()
            };
            match chance.below(20) {
                0..=5 => {
                    let count = 1 + chance.below(5) as u32;
                    let defer = if chance.percent(20) { 60_000 } else { 0 };
                    publish(&mut state, published, count, offset, defer);
                    offset += if chance.percent(50) { 1 << 21 } else { 4096 };
                    published += u64::from(count);
                    if !paused && !channels.is_empty() {
                        floor = published;
                    }
                }
                6..=14 => {
                    let Some(channel) = pick(&mut chance) else { continue };
                    let start = chance.below(published + 1);
                    let end = (start + 1 + chance.below(8)).min(floor);
                    if start < end {
                        channels.get_mut(&channel).unwrap().extend(start..end);
                        let ranges = vec![(start, end)];
                        apply(
                            &mut state,
                            Record::Finish { topic: TOPIC, channel: ChannelId(channel), ranges },
                        );
                    }
                }
                15 => {
                    let (topic, channel) = (TOPIC, ChannelId(next_channel));
                    let record = Record::ChannelCreated {
                        topic,
                        channel,
                        name: format!("c{next_channel}"),
                        from: floor,
                    };
                    apply(&mut state, record);
                    channels.insert(next_channel, (0..floor).collect());
                    next_channel += 1;
                    if !paused {
                        floor = published;
                    }
                }
                16 => {
                    let Some(channel) = pick(&mut chance) else { continue };
                    channels.remove(&channel);
                    apply(
                        &mut state,
                        Record::ChannelDeleted { topic: TOPIC, channel: ChannelId(channel), floor },
                    );
                }
                17 => {
                    paused = !paused;
                    apply(&mut state, Record::TopicPaused { topic: TOPIC, paused, floor });
                    if !paused && !channels.is_empty() {
                        floor = published;
                    }
                }
                18 => {
                    let Some(channel) = pick(&mut chance) else { continue };
                    channels.get_mut(&channel).unwrap().extend(0..floor);
                    let record =
                        Record::ChannelEmptied { topic: TOPIC, channel: ChannelId(channel), up_to: floor };
                    apply(&mut state, record);
                }
                _ => {
                    apply(&mut state, Record::TopicEmptied { topic: TOPIC, from: floor, to: published });
                    channels.values_mut().for_each(|finished| finished.extend(floor..published));
                    floor = published;
                }
            }
            let waits = paused || channels.is_empty();
            let wanted = |seq: u64| (waits && seq >= floor) || channels.values().any(|f| !f.contains(&seq));
            let topic = &state.topics[&TOPIC];
            for seq in (0..published).filter(|seq| wanted(*seq)) {
                assert!(topic.run_of(seq).is_some(), "seed {seed}: {seq} is wanted and has no run");
            }
            for run in topic.runs() {
                let some = (run.first_seq..run.end_seq()).any(wanted);
                assert!(some, "seed {seed}: nobody wants {run:?}");
            }
        }
    }
}
