//! What a client makes its core keep is bounded, and nobody else is hindered.

use super::{MS, SECOND, World, identify, publish, publish_many};
use crate::client::stage::{Stage, Why};
use crate::limits::*;

#[test]
fn a_client_that_does_not_read_its_answers_is_not_read() {
    let (mut world, client) = World::one(&[]);
    world.stop_reading(client);
    let flood = identify(r#"{"feature_negotiation":true,"heartbeat_interval":-1}"#).repeat(1_000);
    let mut sent = 0;
    while world.with_peer(client, |peer| peer.receiving) {
        world.send(client, &flood);
        sent += flood.len();
        assert!(sent <= 1 << 20, "{sent} bytes were read");
    }
    assert_eq!(world.stage(client), Some(Stage::Held(Why::Output)));
    let kept =
        world.engine(0).connections.iter().map(|(_, c)| c.kept_bytes() + c.output.untaken()).sum::<usize>();
    assert!(kept <= ANSWER_BYTES_MAX + 2 * INPUT_KEPT_BYTES_MAX + (64 << 10) + 4096, "{kept} bytes are kept");
    world.read_again(client);
    assert_eq!(world.stage(client), Some(Stage::Open), "what it has read makes room");
    assert!(world.with_peer(client, |peer| peer.receiving));
    let answers = world.frames(client).len();
    assert!(answers > 600, "{answers} answers");
}

#[test]
fn a_consumer_that_does_not_read_can_still_finish() {
    let (mut world, consumer) = World::one(&[]);
    let producer = world.connect(0);
    world.send(producer, b"  V2");
    world.send(consumer, b"SUB t ch\nRDY 100\n");
    world.stop_reading(consumer);
    for _ in 0..20 {
        world.send(producer, &publish("t", &[b'x'; 20_000]));
    }
    assert_eq!(world.stage(consumer), Some(Stage::Open), "deliveries hold nobody");
    let untaken = world.engine(0).budget.untaken;
    assert!((DELIVERY_ROOM_BYTES..DELIVERY_ROOM_BYTES + 20_100).contains(&untaken), "{untaken} bytes");
    world.read_again(consumer);
    assert_eq!(world.frames(consumer).len(), 1 + 20, "in the end everything is there");
}

#[test]
fn a_consumer_is_dealt_its_room_and_not_its_credit() {
    let (mut world, producer) = World::one(&["--mem-cache-size=64MiB"]);
    let consumer = world.connect(0);
    world.send(consumer, b"  V2SUB t ch\n");
    let bodies = [[b'x'; 50_000].as_slice(); 20];
    for _ in 0..10 {
        world.send(producer, &publish_many("t", &bodies));
    }
    world.stop_reading(consumer);
    world.send(consumer, b"RDY 2500\n");
    let untaken = world.engine(0).budget.untaken;
    assert!(untaken < DELIVERY_ROOM_BYTES + 50_100, "{untaken} bytes for a consumer that does not read");
    let largest = world.with_peer(consumer, |peer| {
        peer.reads = true;
        peer.read.len()
    });
    assert!(largest < 300_000 + 50_100);
    world.settle();
    assert_eq!(world.frames(consumer).len(), 1 + 200);
}

#[test]
fn a_turn_carries_out_its_share_of_one_clients_commands() {
    let (mut world, client) = World::one(&[]);
    let other = world.connect(0);
    world.send(other, b"  V2");
    world.arrive(client, &b"NOP\n".repeat(200_000));
    world.arrive(other, &publish("t", b"x"));
    world.turn(0);
    assert_eq!(world.stage(client), Some(Stage::Held(Why::Turn)));
    let share = world.engine(0).connections.iter().map(|(_, connection)| connection.share.1).max();
    assert!(share <= Some(INPUT_BYTES_PER_TURN + 4), "{share:?} bytes of commands in one turn");
    let mut turns = 1;
    while world.frames(other).is_empty() {
        world.kernels[0].borrow_mut().run();
        world.turn(0);
        turns += 1;
        assert!(turns < 20, "somebody waits behind a flood");
    }
    world.settle();
    assert_eq!(world.kernels[0].borrow().chunk_count(), 0, "every buffer was given back");
    world.send(client, &publish("t", b"y"));
    assert_eq!(world.frames(client), ["response OK"]);
}

#[test]
fn a_turn_takes_so_many_buffers_and_leaves_the_rest_for_the_next() {
    let mut world = World::new(1, &[]);
    let clients: Vec<_> = (0..4 * CHUNKS_PER_TURN_MAX).map(|_| world.connect(0)).collect();
    for client in &clients {
        world.arrive(*client, b"  V2");
    }
    world.turn(0);
    let left = world.kernels[0].borrow().chunk_count();
    assert!(left >= 3 * CHUNKS_PER_TURN_MAX, "{left} buffers are left");
    world.settle();
    assert!(clients.iter().all(|client| world.stage(*client) == Some(Stage::Open)));
}

#[test]
fn unfinished_commands_reserve_their_size_and_the_rest_is_not_read() {
    let mut world = World::new(1, &[]);
    let clients: Vec<_> = (0..100).map(|_| world.connect(0)).collect();
    let command = publish("t", &[b'x'; 1_000_000]);
    for client in &clients {
        world.send(*client, b"  V2");
        world.send(*client, &command[..20_000]);
    }
    let read = |world: &World| clients.iter().filter(|c| world.with_peer(**c, |peer| peer.receiving)).count();
    let receipt = world.engine(0).budget.receipt;
    assert!(receipt <= RECEIPT_BYTES_MAX + command.len() + 100 * 20_000, "{receipt} bytes in receipt");
    assert!((64..70).contains(&read(&world)), "{} clients are read", read(&world));
    // A client with a small command is not hindered.
    let small = world.connect(0);
    world.send(small, &[b"  V2".as_slice(), &publish("t", b"small")].concat());
    assert_eq!(world.frames(small), ["response OK"]);
    // The clock of those that wait stands; whoever completes makes room for them, the oldest first.
    world.pass(40 * SECOND);
    let mut done = vec![false; clients.len()];
    while done.iter().any(|done| !done) {
        let next: Vec<usize> = (0..clients.len())
            .filter(|n| !done[*n] && world.with_peer(clients[*n], |peer| peer.receiving))
            .collect();
        assert!(!next.is_empty(), "nobody is read");
        for n in next {
            world.send(clients[n], &command[20_000..]);
            let answered = world.frames(clients[n]).last().is_some_and(|frame| frame == "response OK");
            assert!(answered, "client {n}");
            done[n] = true;
        }
    }
    assert_eq!(world.engine(0).budget.receipt, 0);
}

#[test]
fn who_takes_nothing_for_longest_goes_when_too_much_is_untaken() {
    let mut world = World::new(1, &["--mem-cache-size=512MiB"]);
    let producer = world.connect(0);
    world.send(producer, b"  V2");
    // One message of a megabyte uses up a consumer's room: so 300 consumers have 300 MB.
    let consumers: Vec<_> = (0..300).map(|_| world.connect(0)).collect();
    for (n, consumer) in consumers.iter().enumerate() {
        world.send(*consumer, format!("  V2SUB t ch{n}\nRDY 1\n").as_bytes());
        world.stop_reading(*consumer);
    }
    world.send(producer, &publish("t", &[b'x'; 1_000_000]));
    let untaken = world.engine(0).budget.untaken;
    assert!(untaken > UNTAKEN_BYTES_MAX - DEAL_BYTES_PER_TURN, "{untaken}");
    assert!(untaken < UNTAKEN_BYTES_MAX + 2 * DEAL_BYTES_PER_TURN, "{untaken} bytes are not taken");
    world.pass(EVICT_NS_MIN + 500 * MS);
    let closed = consumers.iter().filter(|consumer| world.is_closed(**consumer)).count();
    assert!((1..200).contains(&closed), "{closed} were closed");
    assert!(world.engine(0).budget.untaken < UNTAKEN_BYTES_MAX + 2 * DEAL_BYTES_PER_TURN);
    world.send(producer, &publish("u", b"x"));
    assert_eq!(world.frames(producer), ["response OK", "response OK"]);
}

#[test]
fn what_is_handed_to_another_core_is_bounded_in_bytes() {
    let mut world = World::new(2, &[]);
    let (here, there) = (world.topic_on(0, "here"), world.topic_on(1, "there"));
    let producers: Vec<_> = (0..40).map(|_| world.connect(0)).collect();
    for producer in &producers {
        world.send(*producer, &[b"  V2".as_slice(), &publish(&here, b"x")].concat());
    }
    world.disk_stands(1, true);
    for producer in &producers {
        world.send(*producer, &publish(&there, &[b'x'; 900_000]).repeat(3));
    }
    let delayed: usize = world.engine(1).delayed.iter().map(super::super::delayed::Delayed::bytes).sum();
    assert!(delayed as u64 <= HANDED_BYTES_MAX + (1 << 20), "{delayed} bytes wait at the topic's core");
    let held = |world: &mut World| {
        producers.iter().filter(|p| matches!(world.stage(**p), Some(Stage::Held(Why::Window)))).count()
    };
    assert!(held(&mut world) > 20, "the others wait where they are");
    // Whoever does not publish there is not hindered.
    let other = world.connect(0);
    world.send(other, &[b"  V2".as_slice(), &publish(&here, b"x")].concat());
    assert_eq!(world.frames(other), ["response OK"]);
    world.disk_stands(1, false);
    world.settle();
    for producer in &producers {
        assert_eq!(world.frames(*producer).len(), 4, "in the end everything is answered");
    }
    assert_eq!(held(&mut world), 0);
}
