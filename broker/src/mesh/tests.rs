use std::sync::{Barrier, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::*;

fn pair() -> (MeshEnd<u64>, MeshEnd<u64>) {
    let mut ends = mesh(2, RING_ITEMS_MAX);
    let second = ends.pop().unwrap();
    (ends.pop().unwrap(), second)
}

fn flush(end: &mut MeshEnd<u64>) -> Vec<usize> {
    end.flush().collect()
}

#[test]
fn items_arrive_in_order_with_their_sender() {
    let mut ends = mesh(3, RING_ITEMS_MAX);
    for item in 0..5 {
        ends[0].send(2, item);
        ends[1].send(2, 100 + item);
    }
    let mut came = [Vec::new(), Vec::new()];
    while let Some((from, item)) = ends[2].poll() {
        came[from].push(item);
    }
    assert_eq!(came, [vec![0, 1, 2, 3, 4], vec![100, 101, 102, 103, 104]]);
    assert!(ends[2].is_empty());
}

#[test]
fn a_single_core_can_talk_to_itself() {
    let mut end = mesh(1, RING_ITEMS_MAX).pop().unwrap();
    assert!(end.about_to_sleep());
    end.send(0, 7);
    assert!(!end.about_to_sleep());
    assert!(flush(&mut end).is_empty());
    assert_eq!(end.poll(), Some((0, 7)));
    assert_eq!(end.poll(), None);
}

#[test]
fn a_sleeper_is_rung_once_and_a_waking_core_never() {
    let (mut writer, mut sleeper) = pair();
    writer.send(1, 1);
    assert!(flush(&mut writer).is_empty());
    assert!(!sleeper.about_to_sleep(), "there is an item");
    assert_eq!(sleeper.poll(), Some((0, 1)));
    assert!(sleeper.about_to_sleep());
    writer.send(1, 2);
    assert_eq!(flush(&mut writer), [1]);
    writer.send(1, 3);
    assert!(flush(&mut writer).is_empty());
    sleeper.awake();
    assert_eq!(sleeper.poll(), Some((0, 2)));
    assert_eq!(sleeper.poll(), Some((0, 3)));
}

#[test]
fn a_flush_without_news_rings_nobody() {
    let (mut writer, mut sleeper) = pair();
    assert!(sleeper.about_to_sleep());
    assert!(flush(&mut writer).is_empty());
}

#[test]
fn what_does_not_fit_waits_in_order_and_keeps_its_writer_awake() {
    let (mut writer, mut reader) = pair();
    let all = 3 * RING_ITEMS_MAX as u64 + 17;
    for item in 0..all {
        writer.send(1, item);
    }
    assert_eq!(writer.overflow_count() as u64, all - RING_ITEMS_MAX as u64);
    assert!(!writer.about_to_sleep());
    let mut came = Vec::new();
    while (came.len() as u64) < all {
        came.extend(std::iter::from_fn(|| reader.poll()).map(|(_, item)| item));
        flush(&mut writer);
    }
    assert_eq!(came, (0..all).collect::<Vec<_>>());
    assert_eq!(writer.overflow_count(), 0);
    assert!(writer.about_to_sleep());
}

#[test]
fn moving_what_had_waited_rings_a_reader_that_sleeps_by_now() {
    let (mut writer, mut reader) = pair();
    for item in 0..RING_ITEMS_MAX as u64 + 1 {
        writer.send(1, item);
    }
    flush(&mut writer);
    while reader.poll().is_some() {}
    assert!(reader.about_to_sleep());
    assert_eq!(flush(&mut writer), [1]);
    assert_eq!(reader.poll(), Some((0, RING_ITEMS_MAX as u64)));
}

#[test]
fn a_flood_from_one_peer_does_not_starve_another() {
    let mut ends = mesh(3, RING_ITEMS_MAX);
    for item in 0..RING_ITEMS_MAX as u64 {
        ends[0].send(2, item);
    }
    ends[1].send(2, 1);
    let position = std::iter::from_fn(|| ends[2].poll()).position(|(from, _)| from == 1).unwrap();
    assert!(position <= BURST_ITEMS_MAX, "{position}");
}

#[test]
fn a_core_that_has_ended_does_not_keep_its_writers_awake() {
    let (mut writer, reader) = pair();
    for item in 0..2 * RING_ITEMS_MAX as u64 {
        writer.send(1, item);
    }
    drop(reader);
    flush(&mut writer);
    assert!(writer.about_to_sleep());
}

const ITEMS: u64 = 1_000_000;

/// The two threads of the test below, to be woken.
struct Threads {
    handles: [OnceLock<Thread>; 2],
    ready: Barrier,
}

/// One core: sends its items as fast as it can, takes the other's, and sleeps when there is nothing to do. Returns
/// how often it slept.
fn exchange(mut end: MeshEnd<u64>, core: usize, threads: &Threads) -> u64 {
    threads.handles[core].set(thread::current()).unwrap();
    threads.ready.wait();
    let (mut sent, mut taken, mut sleeps) = (0, 0, 0);
    while sent < ITEMS || taken < ITEMS || end.overflow_count() > 0 {
        for _ in 0..(ITEMS - sent).min(100 + sent % 2000) {
            end.send(1 - core, sent);
            sent += 1;
        }
        for peer in end.flush() {
            threads.handles[peer].get().unwrap().unpark();
        }
        while let Some((from, item)) = end.poll() {
            assert_eq!((from, item), (1 - core, taken));
            taken += 1;
        }
        if sent == ITEMS && taken < ITEMS && end.about_to_sleep() {
            thread::park_timeout(LOST_WAKE_UP);
            sleeps += 1;
        }
        end.awake();
    }
    sleeps
}

/// A sleep that lasts this long was not ended by a bell.
const LOST_WAKE_UP: Duration = Duration::from_secs(20);

#[test]
fn a_million_items_cross_each_way_in_order_and_nobody_oversleeps() {
    let threads = Threads { handles: [OnceLock::new(), OnceLock::new()], ready: Barrier::new(2) };
    let started = Instant::now();
    let (first, second) = pair();
    thread::scope(|scope| {
        scope.spawn(|| exchange(first, 0, &threads));
        exchange(second, 1, &threads);
    });
    assert!(started.elapsed() < LOST_WAKE_UP, "a wake-up was lost");
}

/// Ping-pong: both sleep between any two items.
#[test]
fn cores_that_sleep_between_items_are_rung_for_each() {
    const ROUNDS: u64 = 20_000;
    let threads = Threads { handles: [OnceLock::new(), OnceLock::new()], ready: Barrier::new(2) };
    let play = |mut end: MeshEnd<u64>, core: usize| {
        threads.handles[core].set(thread::current()).unwrap();
        threads.ready.wait();
        if core == 0 {
            end.send(1, 0);
        }
        loop {
            for peer in end.flush() {
                threads.handles[peer].get().unwrap().unpark();
            }
            match end.poll() {
                Some((_, round)) => {
                    if round <= ROUNDS {
                        end.send(1 - core, round + 1);
                    }
                    if round >= ROUNDS {
                        break;
                    }
                }
                None if end.about_to_sleep() => thread::park_timeout(LOST_WAKE_UP),
                None => {}
            }
            end.awake();
        }
        for peer in end.flush() {
            threads.handles[peer].get().unwrap().unpark();
        }
    };
    let (first, second) = pair();
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| play(first, 0));
        play(second, 1);
    });
    assert!(started.elapsed() < LOST_WAKE_UP, "a wake-up was lost");
}
