//! How connections end: what is owed is answered, nothing more is carried out, the slot comes back once.

use super::{MS, SECOND, World, publish};
use crate::client::stage::{Reason, Stage};
use crate::core::turn::Next;
use crate::limits::*;
use crate::transport::{Close, Event};

#[test]
fn nothing_behind_a_refused_command_is_carried_out_though_answers_are_owed() {
    let (mut world, client) = World::one(&[]);
    world.disk_stands(0, true);
    let bytes = [publish("t", b"first"), b"FIN short\n".to_vec(), publish("t", b"second")].concat();
    world.send(client, &bytes);
    assert_eq!(world.stage(client), Some(Stage::Ending(Reason::LastCommand)));
    world.disk_stands(0, false);
    world.settle();
    let frames = world.frames(client);
    assert_eq!(frames[0], "response OK", "what was owed is answered first");
    assert!(frames[1].starts_with("error E_INVALID"), "{frames:?}");
    assert_eq!(frames.len(), 2);
    assert!(world.is_closed(client));
    let messages: u64 =
        world.engine(0).queue.topic_stats(Some("t")).iter().map(|topic| topic.message_count).sum();
    assert_eq!(messages, 1, "the second publish was not carried out");
}

#[test]
fn a_stop_answers_what_commits_a_moment_later() {
    let (mut world, client) = World::one(&[]);
    world.disk_stands(0, true);
    world.send(client, &publish("t", b"x"));
    world.process.stop();
    world.turn(0);
    assert_eq!(world.stage(client), Some(Stage::Ending(Reason::Stop)));
    world.disk_stands(0, false);
    for _ in 0..20 {
        world.kernels[0].borrow_mut().run();
        world.turn(0);
    }
    assert_eq!(world.frames(client), ["response OK"]);
    assert_eq!(world.with_peer(client, |peer| peer.closes.clone()), [Close::Flush]);
    assert!(world.is_closed(client));
}

#[test]
fn a_stop_waits_for_nobody_who_is_gone_and_no_longer_than_a_second_for_the_others() {
    let (mut world, client) = World::one(&[]);
    let other = world.connect(0);
    world.disk_stands(0, true);
    world.send(client, &publish("t", b"x"));
    world.process.stop();
    let mut stopped = None;
    for step in 0..4_000 {
        world.now.mono_ns += MS;
        world.now.wall_ns += MS as i64;
        if step == 1_500 {
            world.disk_stands(0, false);
        }
        world.kernels[0].borrow_mut().run();
        if world.turn(0) == Next::Stopped {
            stopped = Some(step);
            break;
        }
        assert_eq!(world.is_closed(other), step > 1 || world.is_closed(other));
        if step == 1_100 {
            assert!(world.is_closed(client), "a second is enough");
        }
    }
    assert!(stopped.is_some(), "the core does not stop");
}

#[test]
fn a_slot_that_is_used_again_takes_nobody_elses_place() {
    let mut world = World::new(1, &[]);
    for n in 0..100 {
        let client = world.connect(0);
        world.arrive(client, &[b"  V2".as_slice(), &publish("t", b"x")].concat());
        world.event(0, Event::EndOfInput { slot: client.slot });
        if n % 3 == 0 {
            world.event(0, Event::Failed { slot: client.slot, errno: 104 });
        }
        // The next client comes while this one goes.
        world.kernels[0].borrow_mut().accept();
        world.settle();
        let next = world.slots(0).into_iter().next().expect("the next one");
        world.event(0, Event::EndOfInput { slot: next });
        world.settle();
    }
    assert_eq!(world.slots(0), []);
    assert_eq!((world.engine(0).connections.len(), world.process.permits.taken()), (0, 0));
}

#[test]
fn permits_are_those_of_the_process_and_come_back() {
    let mut world = World::new(2, &["--max-connections=3"]);
    let clients: Vec<_> = [0, 0, 1].map(|core| world.connect(core)).into();
    world.kernels[0].borrow_mut().accept();
    world.settle();
    assert_eq!((world.slots(0).len(), world.slots(1).len()), (2, 1), "the fourth is turned away");
    world.event(0, Event::EndOfInput { slot: clients[0].slot });
    world.settle();
    assert_eq!(world.process.permits.taken(), 2);
    world.connect(1);
    assert_eq!(world.process.permits.taken(), 3);
}

#[test]
fn a_client_without_magic_hears_nothing_and_is_closed() {
    let mut world = World::new(1, &[]);
    let client = world.connect(0);
    world.send(client, b"  V");
    world.pass(MAGIC_NS_MAX - 200 * MS);
    assert_eq!(world.stage(client), Some(Stage::Magic));
    world.pass(SECOND);
    assert!(world.is_closed(client));
    assert_eq!(world.read(client), b"", "no heartbeat before the magic");
}

#[test]
fn a_silent_client_gets_heartbeats_and_then_ends() {
    let (mut world, client) = World::one(&[]);
    world.pass(61 * SECOND);
    let frames = world.frames(client);
    assert!((1..=2).contains(&frames.len()) && frames[0] == "response _heartbeat_", "{frames:?}");
    assert!(world.is_closed(client));
}

#[test]
fn a_client_that_waits_for_us_is_not_silent() {
    let (mut world, client) = World::one(&[]);
    world.disk_stands(0, true);
    world.send(client, &publish("t", b"x"));
    world.pass(100 * SECOND);
    assert_eq!(world.stage(client), Some(Stage::Open));
    world.disk_stands(0, false);
    world.settle();
    assert!(world.frames(client).contains(&"response OK".to_owned()));
    world.pass(50 * SECOND);
    assert_eq!(world.stage(client), Some(Stage::Open), "its time begins with the answer");
    world.pass(20 * SECOND);
    assert!(world.is_closed(client));
}

#[test]
fn a_held_client_costs_no_timer_but_its_heartbeats() {
    let (mut world, client) = World::one(&[]);
    world.disk_stands(0, true);
    world.send(client, &publish("t", &[b'x'; 1_000_000]).repeat(2));
    assert!(matches!(world.stage(client), Some(Stage::Held(_))));
    world.pass(200 * SECOND);
    let connection = world.engine(0).connections.iter().next().unwrap().1;
    let timer = connection.timer.expect("the next heartbeat");
    assert!(timer > world.now.mono_ns + SECOND, "looked at again in {} ns", timer - world.now.mono_ns);
}

#[test]
fn a_consumer_that_reads_slowly_is_kept_and_one_that_reads_nothing_is_not() {
    let (mut world, producer) = World::one(&[]);
    let [slow, stuck] = [(), ()].map(|()| world.connect(0));
    for (consumer, channel) in [(slow, "a"), (stuck, "b")] {
        world.send(consumer, format!("  V2SUB t {channel}\nRDY 100\n").as_bytes());
        world.stop_reading(consumer);
    }
    world.send(producer, &publish("t", &[b'x'; 200_000]));
    for _ in 0..8 {
        world.pass(10 * SECOND);
        world.send(slow, b"NOP\n");
        world.send(producer, b"NOP\n");
        if !world.is_closed(stuck) {
            world.send(stuck, b"NOP\n");
        }
        world.kernels[0].borrow_mut().take(slow.slot, 16 << 10);
        world.settle();
    }
    assert_eq!(world.stage(slow), Some(Stage::Open), "each part that it takes is progress");
    assert!(world.is_closed(stuck), "a heartbeat without a byte is too long");
}

#[test]
fn without_heartbeats_too_somebody_who_reads_nothing_is_not_kept() {
    let (mut world, client) = World::one(&[]);
    world.stop_reading(client);
    world.send(client, &super::identify(r#"{"heartbeat_interval":-1}"#));
    world.pass(WRITE_NS_MAX - SECOND);
    assert_eq!(world.stage(client), Some(Stage::Open));
    world.pass(2 * SECOND);
    assert!(world.is_closed(client));
}

#[test]
fn without_heartbeats_a_command_that_was_begun_is_completed_in_time() {
    let (mut world, client) = World::one(&[]);
    world.send(client, &super::identify(r#"{"heartbeat_interval":-1}"#));
    world.pass(500 * SECOND);
    assert_eq!(world.stage(client), Some(Stage::Open), "idle for as long as it likes");
    world.send(client, b"PUB t\n\0\0\0\x09half");
    world.pass(COMMAND_NS_MAX + SECOND);
    assert!(world.is_closed(client));
    assert_eq!(world.frames(client).last().unwrap(), "error E_BAD_MESSAGE PUB failed to read message body");
}

#[test]
fn a_consumer_whose_channel_is_deleted_is_closed_and_its_neighbour_is_not() {
    let (mut world, first) = World::one(&[]);
    let second = world.connect(0);
    world.send(first, b"SUB t gone#ephemeral\n");
    world.send(second, b"  V2SUB t stays\n");
    let engine = world.cores[0].engine_mut();
    let topic = engine.queue.topic_by_name("t").unwrap();
    let action = nsq_queue::Admin::DeleteChannel("gone#ephemeral".into());
    engine.queue.handle(engine.now, nsq_queue::Input::Admin { topic, action, token: None });
    world.settle();
    assert!(world.is_closed(first));
    assert_eq!(world.stage(second), Some(Stage::Open));
}
