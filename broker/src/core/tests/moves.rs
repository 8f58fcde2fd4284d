//! Connections that move to another core: nothing is lost on the way, and nothing is moved that is no more.

use super::{Client, MS, SECOND, World, publish};
use crate::client::stage::Stage;
use crate::limits::MOVE_NS_MAX;
use crate::transport::{Close, Event};

/// A client on core 0 whose SUB belongs to core 1, and the SUB.
fn about_to_move() -> (World, Client, Vec<u8>) {
    let mut world = World::new(2, &[]);
    let topic = world.topic_on(0, "t");
    let channel = world.channel_on(1, &topic);
    let client = world.connect(0);
    world.send(client, b"  V2");
    (world, client, format!("SUB {topic} {channel}\n").into_bytes())
}

fn only_client(world: &World, core: usize) -> Client {
    let slots = world.slots(core);
    assert_eq!(slots.len(), 1);
    Client { core, slot: slots[0] }
}

#[test]
fn what_arrives_on_the_way_is_run_behind_the_command_that_moved() {
    let (mut world, client, sub) = about_to_move();
    world.arrive(client, &[sub.as_slice(), b"RDY 1\nNOP\nFI"].concat());
    world.turn(0);
    world.turn(0);
    assert!(world.kernels[0].borrow_mut().receive_late(client.slot, b"N 0123456789abcdef\n"));
    world.settle();
    assert_eq!(world.slots(0), []);
    let moved = only_client(&world, 1);
    assert_eq!(
        world.frames(moved),
        ["response OK", "error E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight"]
    );
    assert_eq!(world.process.permits.taken(), 1);
}

#[test]
fn a_publish_before_the_subscription_is_answered_first() {
    let (mut world, client, sub) = about_to_move();
    let here = world.topic_on(0, "here");
    world.disk_stands(0, true);
    world.send(client, &[publish(&here, b"x"), sub].concat());
    assert!(matches!(world.stage(client), Some(Stage::Moving { to: 1 })));
    world.disk_stands(0, false);
    world.settle();
    assert_eq!(world.frames(client), ["response OK"], "the publish, from where it was");
    let moved = only_client(&world, 1);
    assert_eq!(world.frames(moved), ["response OK"], "the subscription, from where it is");
}

#[test]
fn a_connection_that_breaks_on_its_way_is_moved_nowhere() {
    let (mut world, client, sub) = about_to_move();
    world.arrive(client, &sub);
    world.turn(0);
    assert!(world.kernels[0].borrow().is_detaching(client.slot));
    world.event(0, Event::Failed { slot: client.slot, errno: 104 });
    world.settle();
    assert_eq!((world.slots(0), world.slots(1)), (vec![], vec![]));
    assert_eq!(world.process.permits.taken(), 0);
    let consumers: usize = (0..2)
        .flat_map(|core| world.engine(core).queue.channel_stats(None, None, true))
        .map(|c| c.consumer_count)
        .sum();
    assert_eq!(consumers, 0, "no ghost");
}

#[test]
fn nothing_is_written_between_detach_and_detached() {
    let (mut world, client, sub) = about_to_move();
    world.stop_reading(client);
    world.send(client, b"IDENTIFY\n\0\0\0\x02{}");
    world.arrive(client, &sub);
    // Its answer is under way, so it waits; heartbeats would be due meanwhile. The kernel asserts that nothing is sent.
    world.pass(MOVE_NS_MAX - 100 * MS);
    assert!(matches!(world.stage(client), Some(Stage::Moving { .. })));
    world.read_again(client);
    let moved = only_client(&world, 1);
    assert_eq!(world.frames(moved), ["response OK"]);
    world.pass(31 * SECOND);
    assert_eq!(world.frames(moved), ["response _heartbeat_"], "and it is not mute there");
}

#[test]
fn a_move_that_takes_too_long_is_given_up() {
    let (mut world, client, sub) = about_to_move();
    world.stop_reading(client);
    world.send(client, b"IDENTIFY\n\0\0\0\x02{}");
    world.arrive(client, &sub);
    world.pass(MOVE_NS_MAX + SECOND);
    assert!(world.is_closed(client));
    assert_eq!(world.with_peer(client, |peer| peer.closes.clone()), [Close::Abort]);
}

#[test]
fn a_subscriber_that_leaves_while_its_channel_is_made_is_no_consumer() {
    let mut world = World::new(2, &[]);
    let topic = world.topic_on(1, "t");
    let channel = world.channel_on(0, &topic);
    let client = world.connect(0);
    world.send(client, b"  V2");
    world.arrive(client, format!("SUB {topic} {channel}\n").as_bytes());
    world.turn(0);
    assert!(matches!(world.stage(client), Some(Stage::Held(_))));
    // The topic's core makes the channel, this one hears of it, that one says so: and then it leaves.
    for core in [1, 0, 1] {
        world.turn(core);
        assert!(matches!(world.stage(client), Some(Stage::Held(_))));
    }
    world.event(0, Event::Failed { slot: client.slot, errno: 104 });
    world.turn(0);
    assert!(matches!(world.stage(client), Some(Stage::Closing(_))));
    world.settle();
    let consumers: usize = (0..2)
        .flat_map(|core| world.engine(core).queue.channel_stats(None, None, true))
        .map(|c| c.consumer_count)
        .sum();
    assert_eq!((consumers, world.slots(0)), (0, vec![]));
}

#[test]
fn a_core_that_stops_drops_what_is_moved_to_it() {
    let (mut world, client, sub) = about_to_move();
    world.arrive(client, &sub);
    world.turn(0);
    world.kernels[0].borrow_mut().run();
    world.turn(0);
    assert_eq!(world.slots(0), [], "it is on its way");
    world.process.stop();
    for _ in 0..10 {
        world.turn(1);
    }
    assert_eq!((world.slots(1), world.process.permits.taken()), (vec![], 0));
}
