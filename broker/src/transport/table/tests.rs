//! The table on a kernel that answers when and how the test wants.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;

use super::super::{ChunkOwner, Close};
use super::*;

/// What a socket of the fake kernel has under way; its drop is noted.
#[derive(Debug)]
struct Ticket;

#[derive(Debug)]
struct FakeKernel {
    now_ns: u64,
    owner: ChunkOwner,
    /// Buffers with the table or its caller.
    lent: usize,
    receiving: BTreeMap<Slot, bool>,
    sending: BTreeMap<Slot, (usize, Sending)>,
    /// Whether cancels and aborts are over at once, as in a driver that polls.
    answers_at_once: bool,
    detach_errno: Option<i32>,
}

impl FakeKernel {
    fn new(answers_at_once: bool) -> Self {
        Self {
            now_ns: 1,
            owner: ChunkOwner::new(),
            lent: 0,
            receiving: BTreeMap::new(),
            sending: BTreeMap::new(),
            answers_at_once,
            detach_errno: None,
        }
    }

    fn chunk(&mut self) -> Chunk {
        self.lent += 1;
        self.owner.chunk(0, 3)
    }
}

impl Sockets for FakeKernel {
    type Socket = Ticket;

    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn arm(&mut self, slot: Slot, _: &Ticket) {
        assert_eq!(self.receiving.insert(slot, false), None, "armed twice");
    }

    fn cancel(&mut self, slot: Slot, _: &Ticket) -> bool {
        let cancelled = self.receiving.get_mut(&slot).expect("something to cancel");
        assert!(!std::mem::replace(cancelled, true), "cancelled twice");
        if self.answers_at_once {
            self.receiving.remove(&slot);
        }
        self.answers_at_once
    }

    fn send(&mut self, slot: Slot, _: &Ticket, bytes: &[u8], how: Sending) {
        assert!(!bytes.is_empty());
        assert_eq!(self.sending.insert(slot, (bytes.len(), how)), None, "two sends");
    }

    fn shutdown(&mut self, _: &Ticket) {}

    fn abort(&mut self, slot: Slot, _: &Ticket) -> bool {
        if self.answers_at_once {
            self.receiving.remove(&slot);
            self.sending.remove(&slot);
        }
        self.answers_at_once
    }

    fn detach(&mut self, ticket: Ticket) -> Result<Socket, (Ticket, i32)> {
        match self.detach_errno {
            Some(errno) => Err((ticket, errno)),
            None => Ok(OwnedFd::from(std::fs::File::open("/dev/null").unwrap()).into()),
        }
    }

    fn bytes(&self, _: &Chunk) -> &[u8] {
        b"abc"
    }

    fn release(&mut self, chunk: Chunk) {
        self.owner.buffer(&chunk);
        self.lent -= 1;
    }
}

fn table() -> (Table<FakeKernel>, FakeKernel) {
    (Table::default(), FakeKernel::new(false))
}

#[test]
fn a_slot_is_used_again_only_when_its_end_was_taken() {
    let (mut table, mut kernel) = table();
    let old = table.attach(&mut kernel, |_| Ticket);
    table.close(&mut kernel, old, Close::Abort);
    kernel.receiving.clear();
    table.receive_ended(&mut kernel, old, ReceiveEnd::Failed(libc::ECANCELED));
    let beside = table.attach(&mut kernel, |_| Ticket);
    assert_ne!(beside.index, old.index);
    assert_eq!(table.len(), 2);
    table.check();
    assert!(matches!(table.next_event(&mut kernel), Some(Event::Closed { slot }) if slot == old));
    assert_eq!(table.attach(&mut kernel, |_| Ticket).index, old.index);
    table.check();
}

#[test]
fn a_connection_that_fails_while_it_is_leaving_is_never_handed_over() {
    let (mut table, mut kernel) = table();
    let slot = table.attach(&mut kernel, |_| Ticket);
    table.detach(&mut kernel, slot);
    // The reset came before the cancellation.
    kernel.receiving.clear();
    table.receive_ended(&mut kernel, slot, ReceiveEnd::Failed(libc::ECONNRESET));
    assert!(matches!(table.next_event(&mut kernel), Some(Event::Failed { errno: libc::ECONNRESET, .. })));
    assert!(table.next_event(&mut kernel).is_none());
    table.check();
    table.close(&mut kernel, slot, Close::Flush);
    assert!(matches!(table.next_event(&mut kernel), Some(Event::Closed { .. })));
    assert!(table.is_empty());
}

#[test]
fn without_a_descriptor_for_the_move_a_connection_fails_and_can_be_closed() {
    let (mut table, mut kernel) = table();
    kernel.detach_errno = Some(libc::EMFILE);
    let slot = table.attach(&mut kernel, |_| Ticket);
    table.detach(&mut kernel, slot);
    kernel.receiving.clear();
    table.receive_ended(&mut kernel, slot, ReceiveEnd::Over);
    assert!(matches!(table.next_event(&mut kernel), Some(Event::Failed { errno: libc::EMFILE, .. })));
    table.check();
    table.close(&mut kernel, slot, Close::Abort);
    assert!(matches!(table.next_event(&mut kernel), Some(Event::Closed { .. })));
    assert!(table.is_empty());
}

#[test]
fn what_a_slow_peer_takes_is_reported_piece_by_piece() {
    let (mut table, mut kernel) = table();
    let slot = table.attach(&mut kernel, |_| Ticket);
    table.send(&mut kernel, slot, vec![0; 100]);
    let mut taken = Vec::new();
    for (size, how) in [(30, Sending::AtOnce), (0, Sending::WhenWritable), (50, Sending::WhenWritable)] {
        assert_eq!(kernel.sending.remove(&slot), Some((100 - taken.iter().sum::<usize>(), how)));
        table.sent(&mut kernel, slot, if size > 0 { Ok(size) } else { Err(libc::EAGAIN) });
        match table.next_event(&mut kernel) {
            Some(Event::Taken { bytes, .. }) => taken.push(bytes),
            None => assert_eq!(size, 0, "no byte, no report"),
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(taken, [30, 50]);
    kernel.sending.clear();
    table.sent(&mut kernel, slot, Ok(20));
    assert!(matches!(table.next_event(&mut kernel), Some(Event::Sent { .. })));
    assert_eq!(table.counts().1, 3);
    table.check();
}

/// What the caller knows of a connection.
#[derive(Debug, Default)]
struct Known {
    sending: Option<usize>,
    taken: usize,
    failed: bool,
    over: bool,
    /// `close` was called: `Closed` is the only event to come.
    closing: bool,
    detaching: bool,
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        if choices.is_empty() { None } else { Some(choices[self.below(choices.len())]) }
    }
}

fn call(
    table: &mut Table<FakeKernel>,
    kernel: &mut FakeKernel,
    known: &mut HashMap<Slot, Known>,
    random: &mut Random,
) {
    let mut slots: Vec<_> = known.keys().copied().collect();
    slots.sort_unstable();
    if slots.len() < 4 {
        let slot = table.attach(kernel, |_| Ticket);
        assert!(known.insert(slot, Known::default()).is_none(), "a slot of somebody else");
        assert!(slots.iter().all(|other| other.index != slot.index), "a place of somebody else");
    }
    let Some(slot) = random.of(&slots) else { return };
    let about = known.get_mut(&slot).expect("one of them");
    match random.below(8) {
        0 | 1 if about.sending.is_none() => {
            let size = random.below(40);
            table.send(kernel, slot, vec![7; size]);
            if !(about.closing || about.detaching || about.failed) {
                about.sending = Some(size);
                about.taken = 0;
            }
        }
        2 => table.set_paused(kernel, slot, random.below(2) == 0),
        3 => table.detach(kernel, slot),
        4 => {
            let how = if random.below(2) == 0 { Close::Flush } else { Close::Abort };
            table.close(kernel, slot, how);
            about.closing = true;
        }
        _ if about.failed => {
            table.close(kernel, slot, Close::Flush);
            about.closing = true;
        }
        _ => {}
    }
    about.detaching |= matches!(
        live(&mut table.slots, slot).map(|connection| connection.life.phase),
        Some(Phase::Detaching | Phase::HandedOver)
    );
}

fn answer(table: &mut Table<FakeKernel>, kernel: &mut FakeKernel, random: &mut Random) {
    let receiving: Vec<_> = kernel.receiving.iter().map(|(slot, cancelled)| (*slot, *cancelled)).collect();
    let sending: Vec<_> = kernel.sending.iter().map(|(slot, send)| (*slot, send.0)).collect();
    match random.below(5) {
        0 => {
            let Some((slot, size)) = random.of(&sending) else { return };
            kernel.sending.remove(&slot);
            let result = match random.below(8) {
                0 => Err(libc::EPIPE),
                1 => Err(libc::EAGAIN),
                _ => Ok(1 + random.below(size)),
            };
            table.sent(kernel, slot, result);
        }
        1 => {
            let Some((slot, _)) = random.of(&receiving) else { return };
            let chunk = kernel.chunk();
            table.received(kernel, slot, chunk);
        }
        2 => {
            let cancelled: Vec<_> = receiving.iter().filter(|(_, cancelled)| *cancelled).copied().collect();
            let Some((slot, cancelled)) = random.of(&cancelled).or_else(|| random.of(&receiving)) else {
                return;
            };
            kernel.receiving.remove(&slot);
            let end = match random.below(6) {
                0 => ReceiveEnd::Input,
                1 => ReceiveEnd::Starved,
                2 if !cancelled => ReceiveEnd::Failed(libc::ECONNRESET),
                3 => ReceiveEnd::Failed(libc::ETIMEDOUT),
                _ => ReceiveEnd::Over,
            };
            table.receive_ended(kernel, slot, end);
        }
        3 => table.feed_starved(kernel, random.below(3)),
        _ => {
            kernel.now_ns += random.below(DRAIN_NS_MAX as usize) as u64;
            table.end_closing(kernel);
        }
    }
}

fn hear(table: &mut Table<FakeKernel>, kernel: &mut FakeKernel, known: &mut HashMap<Slot, Known>) -> bool {
    let Some(event) = table.next_event(kernel) else { return false };
    let about = |slot: &Slot| known.get(slot).expect("an event of a connection that lives");
    if let Some(slot) = event.connection() {
        assert!(!about(&slot).closing, "{event:?} of a closing connection");
    }
    match event {
        Event::Received { slot, chunk } => {
            assert!(!about(&slot).over && !about(&slot).detaching);
            kernel.release(chunk);
        }
        Event::EndOfInput { slot } => {
            let about = known.get_mut(&slot).expect("as above");
            assert!(!std::mem::replace(&mut about.over, true));
        }
        Event::Taken { slot, bytes } => {
            let about = known.get_mut(&slot).expect("as above");
            about.taken += bytes;
            assert!(bytes > 0 && Some(about.taken) < about.sending);
        }
        Event::Sent { slot, buffer } => {
            let about = known.get_mut(&slot).expect("as above");
            assert!(buffer.is_empty());
            assert!(about.sending.take().is_some());
        }
        Event::Failed { slot, .. } => {
            let about = known.get_mut(&slot).expect("as above");
            assert!(!std::mem::replace(&mut about.failed, true), "told once");
        }
        Event::Detached { slot, pending, .. } => {
            let about = known.remove(&slot).expect("as above");
            assert!(about.detaching && !about.closing && !about.failed && about.sending.is_none());
            assert_eq!(pending.len() % 3, 0);
        }
        Event::Closed { slot } => assert!(known.remove(&slot).expect("as above").closing),
        event => panic!("{event:?}"),
    }
    true
}

/// Whatever caller, kernel and peers do: every invariant holds after every step, each connection ends once, and
/// nothing is left behind.
#[test]
fn any_order_of_calls_and_answers_ends_well() {
    for seed in 1..=400 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut kernel = FakeKernel::new(seed % 4 == 0);
        let mut table = Table::default();
        let mut known = HashMap::new();
        for _ in 0..300 {
            match random.below(3) {
                0 => call(&mut table, &mut kernel, &mut known, &mut random),
                1 => answer(&mut table, &mut kernel, &mut random),
                _ => {
                    hear(&mut table, &mut kernel, &mut known);
                }
            }
            table.check();
        }
        table.abort_all(&mut kernel);
        known.values_mut().for_each(|about| about.closing = true);
        for slot in std::mem::take(&mut kernel.receiving).into_keys() {
            table.receive_ended(&mut kernel, slot, ReceiveEnd::Over);
        }
        for slot in std::mem::take(&mut kernel.sending).into_keys() {
            table.sent(&mut kernel, slot, Err(libc::ECANCELED));
        }
        assert!(!table.is_under_way());
        while hear(&mut table, &mut kernel, &mut known) {}
        table.check();
        assert!(table.is_empty() && known.is_empty(), "seed {seed}: {known:?}");
        assert_eq!(kernel.lent, 0, "seed {seed}: every buffer came back");
    }
}
