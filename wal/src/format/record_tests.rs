use super::*;
use crate::format::message;

fn samples() -> Vec<Record> {
    let (topic, channel) = (TopicId(7), ChannelId(9));
    vec![
        Record::TopicCreated { topic, name: "orders".into() },
        Record::TopicDeleted { topic },
        Record::TopicPaused { topic, paused: true, floor: 5 },
        Record::TopicEmptied { topic, from: 1, to: u64::MAX },
        Record::ChannelCreated { topic, channel, name: "billing#ephemeral".into(), from: 3 },
        Record::ChannelDeleted { topic, channel, floor: 4 },
        Record::ChannelPaused { topic, channel, paused: false },
        Record::ChannelEmptied { topic, channel, up_to: 8 },
        Record::Finish { topic, channel, ranges: vec![(1, 2), (5, 900)] },
        Record::Finish { topic, channel, ranges: vec![] },
        Record::Requeue { topic, channel, seq: 6, attempts: 65535, due_at_ns: -1 },
        Record::IdReservation { until: 1 << 40 },
        Record::Retire { segment: 12 },
    ]
}

fn owned(view: RecordView<'_>) -> Option<Record> {
    Some(match view {
        RecordView::Publish(_) => return None,
        RecordView::TopicCreated { topic, name } => Record::TopicCreated { topic, name: name.into() },
        RecordView::TopicDeleted { topic } => Record::TopicDeleted { topic },
        RecordView::TopicPaused { topic, paused, floor } => Record::TopicPaused { topic, paused, floor },
        RecordView::TopicEmptied { topic, from, to } => Record::TopicEmptied { topic, from, to },
        RecordView::ChannelCreated { topic, channel, name, from } => {
            Record::ChannelCreated { topic, channel, name: name.into(), from }
        }
        RecordView::ChannelDeleted { topic, channel, floor } => {
            Record::ChannelDeleted { topic, channel, floor }
        }
        RecordView::ChannelPaused { topic, channel, paused } => {
            Record::ChannelPaused { topic, channel, paused }
        }
        RecordView::ChannelEmptied { topic, channel, up_to } => {
            Record::ChannelEmptied { topic, channel, up_to }
        }
        RecordView::Finish { topic, channel, ranges } => {
            Record::Finish { topic, channel, ranges: ranges.iter().collect() }
        }
        RecordView::Requeue { topic, channel, seq, attempts, due_at_ns } => {
            Record::Requeue { topic, channel, seq, attempts, due_at_ns }
        }
        RecordView::IdReservation { until } => Record::IdReservation { until },
        RecordView::Retire { segment } => Record::Retire { segment },
    })
}

#[test]
fn every_record_survives_the_round_trip() {
    let mut area = Vec::new();
    for record in samples() {
        let before = area.len();
        record.encode(&mut area);
        assert!(area.len() - before <= record.encoded_bytes_max(), "{record:?}");
        assert_eq!(area.len() % 8, 0);
    }
    let back: Vec<Record> = Records::new(&area).map(|r| owned(r.unwrap()).unwrap()).collect();
    assert_eq!(back, samples());
}

#[test]
fn a_publish_names_each_message_and_its_words() {
    let bodies: [&[u8]; 3] = [b"", b"abc", &[9; 20_000]];
    let mut frame = vec![0; 64];
    let mut area = Vec::new();
    let fields = PublishFields {
        topic: TopicId(1),
        first_seq: 10,
        first_id: 100,
        count: 3,
        defer_ms: 0,
        timestamp_ns: 5,
        payload_offset: 64,
        payload_len: 0,
    };
    let open = OpenPublish::begin(&mut area, &fields);
    for (i, body) in bodies.iter().enumerate() {
        let start = frame.len();
        frame.extend_from_slice(&message::header(body.len() as u32, 5, 100 + i as u64));
        frame.extend_from_slice(body);
        area.extend_from_slice(&((frame.len() - start) as u32).to_le_bytes());
        message::put_words(&mut area, &frame[start..]);
    }
    open.close(&mut area, 3, (frame.len() - 64) as u32);
    Record::Retire { segment: 1 }.encode(&mut area);

    let mut records = Records::new(&area);
    let Some(Some(RecordView::Publish(view))) = records.next() else { panic!("no publish") };
    assert_eq!((view.fields.count, view.end_seq()), (3, 13));
    let messages: Vec<_> = view.messages().collect();
    assert_eq!(messages.len(), 3);
    for (message, body) in messages.iter().zip(bodies) {
        assert!(message.is_intact(&frame));
        assert_eq!(&frame[message.offset + 34..message.offset + message.len], body);
    }
    assert_eq!(records.next(), Some(Some(RecordView::Retire { segment: 1 })));
    assert_eq!(records.next(), None);
}

#[test]
fn garbage_never_panics_and_always_ends() {
    let mut area = Vec::new();
    samples().iter().for_each(|r| r.encode(&mut area));
    let mut x = 42u64;
    for _ in 0..20_000 {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = (x >> 33) as usize % area.len();
        let mut bad = area.clone();
        bad[at] ^= (x >> 20) as u8;
        bad.truncate((x >> 13) as usize % (area.len() + 1));
        for view in Records::new(&bad).flatten() {
            if let RecordView::Publish(p) = view {
                p.messages().for_each(|m| assert!(m.len >= 34));
            }
        }
    }
    // A publish that claims more than there is.
    for claimed in [0u32, 1, 2, u32::MAX] {
        let mut bad = Vec::new();
        let fields = PublishFields {
            topic: TopicId(1),
            first_seq: u64::MAX,
            first_id: 0,
            count: 0,
            defer_ms: 0,
            timestamp_ns: 0,
            payload_offset: u32::MAX,
            payload_len: 0,
        };
        let open = OpenPublish::begin(&mut bad, &fields);
        bad.extend_from_slice(&claimed.to_le_bytes());
        open.close(&mut bad, claimed, claimed);
        assert_eq!(Records::new(&bad).next(), Some(None));
    }
}
