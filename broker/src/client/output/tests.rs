//! The counts, against a model that keeps every byte with its kind.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use proptest::prelude::*;

use super::{Buffers, Output};
use crate::limits::{
    ANSWER_BYTES_LOW, ANSWER_BYTES_MAX, BUFFER_KEPT_BYTES_MAX, BUFFERS_KEPT_MAX, DELIVERY_ROOM_BYTES,
};

#[derive(Clone, Debug)]
enum Step {
    Answer(usize),
    Deliver(usize),
    Redeliver(usize),
    Heartbeat,
    Take,
    Taken(usize),
    Sent,
    Tell(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let room = prop_oneof![3 => Just(DELIVERY_ROOM_BYTES), 1 => Just(16_384_u64)];
    prop_oneof![
        4 => (1..30_000_usize).prop_map(Step::Answer),
        4 => (1..60_000_usize).prop_map(Step::Deliver),
        1 => (20..500_usize).prop_map(Step::Redeliver),
        1 => Just(Step::Heartbeat),
        4 => Just(Step::Take),
        4 => (1..50_000_usize).prop_map(Step::Taken),
        2 => Just(Step::Sent),
        2 => room.prop_map(Step::Tell),
    ]
}

/// Naive: every byte, and whether it is one of an answer.
#[derive(Default)]
struct Model {
    queued: Vec<(u8, bool)>,
    under_way: VecDeque<(u8, bool)>,
    sending: bool,
    answers_under_way: usize,
    buffer: Vec<u8>,
    told: u64,
}

impl Model {
    fn untaken(&self) -> usize {
        self.queued.len() + self.under_way.len()
    }

    fn answers(&self) -> usize {
        self.queued.iter().filter(|byte| byte.1).count() + self.answers_under_way
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_counted_once_and_leaves_in_order(steps in prop::collection::vec(step(), 1..60)) {
        let (mut output, mut buffers, mut model) = (Output::default(), Buffers::default(), Model::default());
        model.told = output.begin(DELIVERY_ROOM_BYTES);
        for (index, step) in steps.iter().enumerate() {
            let (now, fill) = (index as u64, index as u8);
            match *step {
                Step::Answer(bytes) => {
                    output.answer(|out| out.resize(out.len() + bytes, fill));
                    model.queued.resize(model.queued.len() + bytes, (fill, true));
                }
                Step::Deliver(bytes) => {
                    output.deliver(&mut buffers, &vec![fill; bytes]);
                    model.queued.resize(model.queued.len() + bytes, (fill, false));
                    model.told = model.told.saturating_sub(bytes as u64);
                }
                Step::Redeliver(bytes) => {
                    output.redeliver(&mut buffers, &vec![fill; bytes], 16, 0x0102);
                    let at = model.queued.len() + 16;
                    model.queued.resize(model.queued.len() + bytes, (fill, false));
                    (model.queued[at].0, model.queued[at + 1].0) = (1, 2);
                    model.told = model.told.saturating_sub(bytes as u64);
                }
                Step::Heartbeat => {
                    output.heartbeat(b"beat");
                    model.queued.extend(b"beat".map(|byte| (byte, false)));
                }
                Step::Take => {
                    let taken = output.take(now);
                    prop_assert_eq!(taken.is_some(), !model.sending && !model.queued.is_empty());
                    if let Some(bytes) = taken {
                        let expected: Vec<u8> = model.queued.iter().map(|byte| byte.0).collect();
                        prop_assert_eq!(&bytes, &expected);
                        model.answers_under_way = model.queued.iter().filter(|byte| byte.1).count();
                        model.under_way = model.queued.drain(..).collect();
                        (model.sending, model.buffer) = (true, bytes);
                        prop_assert_eq!(output.progress_at, now);
                    }
                }
                Step::Taken(bytes) if model.sending => {
                    let bytes = bytes.min(model.under_way.len());
                    output.on_taken(bytes, now);
                    model.under_way.drain(..bytes);
                    model.answers_under_way = model.answers_under_way.min(model.under_way.len());
                    prop_assert_eq!(output.progress_at, now);
                }
                Step::Sent if model.sending => {
                    output.on_sent(&mut buffers, std::mem::take(&mut model.buffer), now);
                    model.under_way.clear();
                    (model.sending, model.answers_under_way) = (false, 0);
                }
                Step::Tell(room_max) => {
                    let room = DELIVERY_ROOM_BYTES.saturating_sub(model.untaken() as u64).min(room_max);
                    let told = output.room_to_tell(room_max);
                    if let Some(told) = told {
                        prop_assert_eq!(told, room);
                        prop_assert_ne!(told, model.told);
                        model.told = told;
                    }
                    prop_assert!(model.told <= room_max, "what was told must shrink");
                    prop_assert!(room < 2 * model.told.max(1), "what has doubled, or left 0, is told");
                }
                Step::Taken(_) | Step::Sent => {}
            }
            prop_assert_eq!(output.untaken(), model.untaken());
            prop_assert_eq!(output.is_sending(), model.sending);
            prop_assert_eq!(output.is_empty(), model.queued.is_empty() && !model.sending);
            prop_assert_eq!(output.room(), DELIVERY_ROOM_BYTES.saturating_sub(model.untaken() as u64));
            prop_assert_eq!(output.is_over(), model.answers() > ANSWER_BYTES_MAX);
            prop_assert_eq!(output.is_low(), model.answers() < ANSWER_BYTES_LOW);
            prop_assert!(buffers.bytes() <= BUFFERS_KEPT_MAX * BUFFER_KEPT_BYTES_MAX);
        }
    }
}

#[test]
fn a_quiet_connection_keeps_no_large_buffer() {
    let (mut output, mut buffers) = (Output::default(), Buffers::default());
    output.deliver(&mut buffers, &vec![1; 200_000]);
    let bytes = output.take(1).unwrap();
    output.on_sent(&mut buffers, bytes, 2);
    assert!(buffers.bytes() >= 200_000, "the core has it, for the next");
    output.deliver(&mut buffers, &vec![2; 100_000]);
    assert_eq!(buffers.bytes(), 0, "and it was taken");
    for _ in 0..2 * BUFFERS_KEPT_MAX {
        buffers.give(Vec::with_capacity(BUFFER_KEPT_BYTES_MAX));
        buffers.give(Vec::with_capacity(2 * BUFFER_KEPT_BYTES_MAX));
    }
    assert_eq!(buffers.bytes(), BUFFERS_KEPT_MAX * BUFFER_KEPT_BYTES_MAX);
}
