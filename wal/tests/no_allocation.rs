//! Publishing allocates per frame and per arena, not per message.

#![allow(clippy::unwrap_used, unsafe_code, reason = "tests; an allocator that counts")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use nsq_wal::{Durability, Publish};
use support::{Rig, TOPIC, options};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: forwards to the system allocator; the count is thread-local and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PER_TURN: u64 = 64;

#[test]
fn a_publish_allocates_nothing_in_steady_state() {
    for durability in [Durability::Sync, Durability::Write, Durability::Async] {
        let roomy = nsq_wal::LogOptions {
            segment_bytes_first: 32 << 20,
            segment_bytes_max: 32 << 20,
            ..options(durability)
        };
        let mut rig = Rig::new(roomy);
        rig.create_topic(TOPIC);
        rig.settle();
        let body = [7u8; 200];
        let (mut allocations, mut messages) = (0, 0);
        for turn in 0..1000 {
            let before = COUNT.get();
            for i in 0..PER_TURN {
                let first_seq = turn * PER_TURN + i;
                let publish = Publish { topic: TOPIC, first_seq, count: 1, defer_ms: 0, timestamp_ns: 1 };
                rig.log.as_mut().unwrap().publish(publish, std::iter::once(&body[..])).unwrap();
            }
            // The first frames grow the vectors that later ones reuse.
            if turn >= 200 {
                allocations += COUNT.get() - before;
                messages += PER_TURN;
            }
            let log = rig.log.as_mut().unwrap();
            log.turn(turn);
            while let Some(io) = log.poll_io() {
                let (tag, result) = io.run(&rig.disk);
                log.handle_io(turn, tag, result);
            }
            while log.poll_event().is_some() {}
        }
        // What remains: a piece table per frame of a quarter MiB, and an arena per MiB.
        assert!(allocations * 200 <= messages, "{durability:?}: {allocations} for {messages} messages");
    }
}
