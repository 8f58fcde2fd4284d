//! Commands wait and are never refused because something is busy; what waits goes on by itself.

use super::{World, publish, publish_many};
use crate::client::stage::{Stage, Why};
use crate::limits::UNANSWERED_BYTES_MAX;

#[test]
fn a_busy_log_holds_a_publish_and_refuses_none() {
    let (mut world, first) = World::one(&[]);
    let second = world.connect(0);
    world.send(second, b"  V2");
    let bodies = [[b'x'; 900_000].as_slice(); 5];
    world.disk_stands(0, true);
    for _ in 0..6 {
        world.send(first, &publish_many("t", &bodies));
        world.send(second, &publish_many("t", &bodies));
    }
    assert_eq!(world.frames(first).len() + world.frames(second).len(), 0);
    assert!(matches!(world.stage(second), Some(Stage::Held(_))));
    world.disk_stands(0, false);
    world.settle();
    for client in [first, second] {
        assert_eq!(world.frames(client), ["response OK"; 6], "busy is not an answer");
        assert_eq!(world.stage(client), Some(Stage::Open));
    }
}

#[test]
fn a_producer_has_so_many_bytes_unanswered_and_the_rest_waits() {
    let (mut world, client) = World::one(&[]);
    world.disk_stands(0, true);
    world.send(client, &publish("t", &[b'x'; 100_000]).repeat(30));
    assert_eq!(world.stage(client), Some(Stage::Held(Why::Window)));
    let unanswered = world.engine(0).connections.iter().next().unwrap().1.replies.bytes();
    let bound = UNANSWERED_BYTES_MAX as u64;
    assert!((bound..bound + 100_100).contains(&unanswered), "{unanswered}");
    world.disk_stands(0, false);
    world.settle();
    assert_eq!(world.frames(client), ["response OK"; 30]);
}

#[test]
fn what_a_hold_releases_is_run_in_the_turn_that_releases_it_or_the_next() {
    // Nothing but the log's completion happens after the publish: nobody else wakes the core.
    let (mut world, client) = World::one(&[]);
    world.disk_stands(0, true);
    world.send(client, &[publish("t", &[b'x'; 2_000_000 / 2]).repeat(2), b"SUB t ch\n".to_vec()].concat());
    assert!(matches!(world.stage(client), Some(Stage::Held(_))));
    world.disk_stands(0, false);
    world.settle();
    assert_eq!(world.frames(client), ["response OK"; 3]);
}

#[test]
fn an_mpub_to_another_core_waits_for_nobody() {
    let mut world = World::new(2, &[]);
    let (here, there) = (world.topic_on(0, "here"), world.topic_on(1, "there"));
    let client = world.connect(0);
    world.send(client, &[b"  V2".as_slice(), &publish(&here, b"x")].concat());
    world.disk_stands(1, true);
    world.send(client, &[publish_many(&there, &[b"a", b"b"]), publish_many(&there, &[b"c"])].concat());
    assert_eq!(world.stage(client), Some(Stage::Open), "the line of an MPUB is no reason to wait");
    assert_eq!(world.frames(client), ["response OK"], "the first publish");
    world.disk_stands(1, false);
    world.settle();
    assert_eq!(world.frames(client), ["response OK"; 2]);
}

#[test]
fn the_topic_of_an_mpub_to_another_core_exists_though_its_body_is_refused() {
    let mut world = World::new(2, &[]);
    let (here, there) = (world.topic_on(0, "here"), world.topic_on(1, "there"));
    let client = world.connect(0);
    world.send(client, &[b"  V2".as_slice(), &publish(&here, b"x")].concat());
    world.send(client, format!("MPUB {there}\n\0\0\0\0").as_bytes());
    assert_eq!(world.frames(client), ["response OK", "error E_BAD_BODY MPUB invalid body size 0"]);
    assert!(world.engine(1).queue.topic_by_name(&there).is_some());
}
