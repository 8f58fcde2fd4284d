//! Publishing, delivering and finishing a message allocates nothing; only a turn of the loop may, and only so often.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use nsq_queue::{
    Batch, ChannelKey, Config, ConsumerId, Input, Now, Output, Shard, TopicKey, Waiter, format_message_id,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Of this thread only: the test runner's other threads allocate as they like.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is going away may allocate after its counter is gone; nobody asks for that one.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; only a counter is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PER_TURN: u64 = 500;
const TOPIC: TopicKey = TopicKey(1);
const CONSUMERS: u64 = 3;

/// Turns after which message ids and bytes are used again, so that the bytes are as warm as just received ones.
const TURNS_PER_BLOCK: u64 = 16;

/// Allocations that one turn may cost, whatever the number of messages: the list of finished ranges, and leaves of the
/// tree of ranges above the watermark.
const ALLOCATIONS_PER_TURN_MAX: u64 = 10;

struct Bench {
    shard: Shard,
    now: Now,
    /// A slab of messages whose ids begin at 0.
    block: Bytes,
    next: u64,
    in_flight: Vec<(ConsumerId, u64)>,
}

impl Bench {
    fn new() -> Bench {
        let now = Now { mono_ns: 1_000_000_000, wall_ns: 1_000_000_000 };
        let config = Config {
            core: 0,
            mem_queue_size: 10_000,
            cache_bytes_max: 1 << 30,
            message_timeout_max_ns: 900_000_000_000,
            channel_consumers_max: 0,
            latency: false,
            seed: 1,
        };
        let mut shard = Shard::new(config, now);
        let open = Input::TopicOpen {
            topic: TOPIC,
            name: "t".into(),
            memory_only: false,
            gated: false,
            restored: None,
        };
        shard.handle(now, open);
        let channel = shard.channel_open(now, TOPIC, "ch".into(), 0, None, None).unwrap().0;
        for consumer in (0..CONSUMERS).map(ConsumerId) {
            let channel = ChannelKey { topic: TOPIC, channel };
            let message_timeout_ns = 60_000_000_000;
            let room_bytes = u64::MAX;
            let subscribe =
                Input::Subscribe { channel, consumer, message_timeout_ns, sample_rate: 0, room_bytes };
            shard.handle(now, subscribe);
            shard.credit(consumer, 2_500);
        }
        while shard.poll_output().is_some() {}
        let mut block = Vec::new();
        for id in 0..TURNS_PER_BLOCK * PER_TURN {
            block.extend_from_slice(&230_u32.to_be_bytes());
            block.extend_from_slice(&2_u32.to_be_bytes());
            block.extend_from_slice(&[0; 8]);
            block.extend_from_slice(&1_u16.to_be_bytes());
            block.extend_from_slice(&format_message_id(id));
            block.extend_from_slice(&[b'x'; 200]);
        }
        Bench { shard, now, block: Bytes::from_owner(block), next: 0, in_flight: Vec::with_capacity(10_000) }
    }

    /// One turn: everything in flight is finished, in the order of delivery or not, and as much is published and
    /// delivered.
    fn turn(&mut self, in_order: bool) {
        self.now.mono_ns += 1_000_000;
        self.now.wall_ns += 1_000_000;
        if !in_order {
            // Every other message first: their ranges do not touch.
            self.in_flight.sort_unstable_by_key(|&(_, id)| (id % 2, id));
        }
        for (consumer, id) in &self.in_flight {
            self.shard.finish(self.now, *consumer, &format_message_id(*id)).unwrap();
        }
        self.in_flight.clear();
        let first_seq = self.next;
        for reply in 0..PER_TURN {
            self.shard.publish(TOPIC, 1, Waiter { origin: 0, connection: reply / 50, reply }).unwrap();
        }
        self.next += PER_TURN;
        let first_id = first_seq % (TURNS_PER_BLOCK * PER_TURN);
        let payload = self.block.slice(first_id as usize * 234..(first_id + PER_TURN) as usize * 234);
        let cost_bytes = payload.len() as u32;
        let batch = Batch { first_seq, first_id, count: PER_TURN as u32, defer_ms: 0, payload, cost_bytes };
        self.shard.handle(self.now, Input::Appended { topic: TOPIC, batch });
        self.shard.handle_timeout(self.now);
        self.shard.end_turn(self.now, u64::MAX);
        let mut replies = 0;
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::Deliver { consumer, payload, count } => {
                    assert_eq!(payload.len(), count as usize * 234);
                    for message in payload.chunks(234) {
                        let id = nsq_queue::parse_message_id(message[18..34].try_into().unwrap()).unwrap();
                        self.in_flight.push((consumer, id));
                    }
                }
                Output::Reply { count, .. } => replies += count,
                Output::Record { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((self.in_flight.len() as u64, replies), (PER_TURN, PER_TURN));
    }
}

#[test]
fn a_message_costs_no_allocation() {
    const WARM: u64 = 50;
    const TURNS: u64 = 200;
    let mut bench = Bench::new();
    (0..WARM).for_each(|_| bench.turn(false));
    let before = ALLOCATIONS.get();
    (0..TURNS).for_each(|_| bench.turn(false));
    let allocations = ALLOCATIONS.get() - before;
    println!("{allocations} allocations in {TURNS} turns of {PER_TURN} messages");
    assert!(allocations <= TURNS * ALLOCATIONS_PER_TURN_MAX, "{allocations} allocations in {TURNS} turns");
}

/// `cargo test --release -p nsq-queue --test no_allocation -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn the_price_of_a_message() {
    const TURNS: u64 = 4_000;
    for in_order in [true, false] {
        let mut bench = Bench::new();
        (0..50).for_each(|_| bench.turn(in_order));
        let start = std::time::Instant::now();
        (0..TURNS).for_each(|_| bench.turn(in_order));
        let ns = start.elapsed().as_nanos() as u64 / (TURNS * PER_TURN);
        println!("{ns} ns for a message published, delivered and finished, in order: {in_order}");
    }
}
