//! The timing wheel: everything in a shard that waits for a moment.
//!
//! Six wheels of 64 slots; a slot of the first is one tick, a slot of the next is a whole turn of the one before. A timer
//! sits in the lowest wheel that can tell its moment from now, and moves down when its slot's time comes. Timers are nodes
//! of doubly linked lists in a slab, so that putting one in, moving it and taking it out cost the same whatever else waits.
//!
//! A timer never fires early: its moment is rounded up to the next tick.

use crate::slab::{NONE, Slab};

/// The resolution of the wheel.
pub(crate) const TICK_NS: u64 = 1_000_000;

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 6;

/// The farthest moment the wheels can tell from now; a later timer waits there and is put in again: two years. One slot of
/// the last wheel short of its whole turn, or a timer could land in the slot of the present, a turn too early.
const HORIZON_TICKS: u64 = (1 << (SLOT_BITS * LEVELS as u32)) - (1 << (SLOT_BITS * (LEVELS as u32 - 1))) - 1;

/// Names a timer until it fires or is taken out.
pub(crate) type TimerKey = u32;

pub(crate) struct Wheel<T> {
    nodes: Slab<Node<T>>,
    levels: [Level; LEVELS],
    /// Everything due before this tick has fired.
    elapsed: u64,
}

struct Level {
    /// One bit per slot that is not empty.
    occupied: u64,
    slots: [List; SLOTS],
}

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

struct Node<T> {
    previous: u32,
    next: u32,
    /// The tick at which it fires.
    when: u64,
    level: u8,
    slot: u8,
    payload: T,
}

const EMPTY: List = List { head: NONE, tail: NONE };

impl<T> Wheel<T> {
    pub(crate) fn new(now_ns: u64) -> Wheel<T> {
        let levels = std::array::from_fn(|_| Level { occupied: 0, slots: [EMPTY; SLOTS] });
        Wheel { nodes: Slab::new(), levels, elapsed: now_ns / TICK_NS }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Puts in a timer for the moment `due_ns`, or for at once if that is past.
    pub(crate) fn insert(&mut self, due_ns: u64, payload: T) -> TimerKey {
        let when = due_ns.div_ceil(TICK_NS) - u64::from(planted!(TimerEarly));
        let key = self.nodes.insert(Node { previous: NONE, next: NONE, when, level: 0, slot: 0, payload });
        self.link(key);
        key
    }

    /// Takes a timer out.
    pub(crate) fn remove(&mut self, key: TimerKey) -> T {
        self.unlink(key);
        self.nodes.remove(key).payload
    }

    /// Gives a timer another moment.
    pub(crate) fn postpone(&mut self, key: TimerKey, due_ns: u64) {
        self.unlink(key);
        self.nodes[key].when = due_ns.div_ceil(TICK_NS);
        self.link(key);
    }

    pub(crate) fn get(&self, key: TimerKey) -> Option<&T> {
        self.nodes.get(key).map(|node| &node.payload)
    }

    pub(crate) fn payload(&self, key: TimerKey) -> &T {
        &self.nodes[key].payload
    }

    /// The next timer that is due at `now_ns`, taken out; `None` when no more is.
    pub(crate) fn expire(&mut self, now_ns: u64) -> Option<T> {
        let now = now_ns / TICK_NS;
        loop {
            let Some((level, slot, at)) = self.next_slot().filter(|&(_, _, at)| at <= now) else {
                self.elapsed = self.elapsed.max(now);
                return None;
            };
            self.elapsed = at;
            let head = self.levels[level].slots[slot].head;
            if level == 0 {
                return Some(self.remove(head));
            }
            // The slot's turn has come: each of its timers belongs into a lower wheel now.
            self.levels[level].slots[slot] = EMPTY;
            self.levels[level].occupied &= !(1 << slot);
            let mut key = head;
            while key != NONE {
                let next = self.nodes[key].next;
                self.link(key);
                key = next;
            }
        }
    }

    /// No timer fires before this moment, in nanoseconds. A timer that is far away may be announced early, by less than
    /// the slot it waits in; one within 64 ticks is announced exactly.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.next_slot().map(|(_, _, at)| at * TICK_NS)
    }

    /// The slot whose time comes next, and the tick at which it does.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        for (index, level) in self.levels.iter().enumerate() {
            if level.occupied == 0 {
                continue;
            }
            let shift = SLOT_BITS * index as u32;
            let current = (self.elapsed >> shift) as usize % SLOTS;
            let ahead = level.occupied.rotate_right(current as u32).trailing_zeros() as usize;
            let slot = (current + ahead) % SLOTS;
            let turn = self.elapsed >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
            let mut at = turn + ((slot as u64) << shift);
            if slot < current {
                at += 1 << (shift + SLOT_BITS);
            }
            return Some((index, slot, at.max(self.elapsed)));
        }
        None
    }

    fn link(&mut self, key: TimerKey) {
        let when = self.nodes[key].when.clamp(self.elapsed, self.elapsed + HORIZON_TICKS);
        // The highest bit in which the moment differs from now says which wheel can tell the two apart.
        let differs = (when ^ self.elapsed) | (SLOTS as u64 - 1);
        let level = ((63 - differs.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1);
        let slot = (when >> (SLOT_BITS * level)) as usize % SLOTS;
        let wheel = &mut self.levels[level as usize];
        let list = &mut wheel.slots[slot];
        let tail = std::mem::replace(&mut list.tail, key);
        if tail == NONE {
            list.head = key;
            wheel.occupied |= 1 << slot;
        } else {
            self.nodes[tail].next = key;
        }
        let node = &mut self.nodes[key];
        (node.previous, node.next) = (tail, NONE);
        (node.level, node.slot) = (level as u8, slot as u8);
    }

    fn unlink(&mut self, key: TimerKey) {
        let Node { previous, next, level, slot, .. } = self.nodes[key];
        let wheel = &mut self.levels[level as usize];
        let list = &mut wheel.slots[slot as usize];
        match previous {
            NONE => list.head = next,
            _ => self.nodes[previous].next = next,
        }
        match next {
            NONE => list.tail = previous,
            _ => self.nodes[next].previous = previous,
        }
        if list.head == NONE {
            wheel.occupied &= !(1 << slot);
        }
    }

    /// Walks every list and asserts that it is whole.
    pub(crate) fn check(&self) {
        let mut count = 0;
        for (index, level) in self.levels.iter().enumerate() {
            for (slot, list) in level.slots.iter().enumerate() {
                assert_eq!(list.head == NONE, level.occupied & 1 << slot == 0);
                let (mut key, mut previous) = (list.head, NONE);
                while key != NONE {
                    let node = &self.nodes[key];
                    assert_eq!(node.previous, previous);
                    assert_eq!((node.level as usize, node.slot as usize), (index, slot));
                    (previous, key) = (key, node.next);
                    count += 1;
                }
                assert_eq!(list.tail, previous);
            }
        }
        assert_eq!(count, self.nodes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = TICK_NS;

    #[test]
    fn a_timer_fires_at_its_tick_and_not_before() {
        let mut wheel = Wheel::new(1_000 * MS);
        wheel.insert(1_005 * MS - 1, 'a');
        assert_eq!(wheel.next_due(), Some(1_005 * MS));
        assert_eq!(wheel.expire(1_005 * MS - 1), None);
        assert_eq!(wheel.expire(1_005 * MS), Some('a'));
        assert_eq!(wheel.expire(1_005 * MS), None);
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn an_idle_wheel_sleeps_long() {
        let mut wheel = Wheel::new(0);
        wheel.insert(3_600_000 * MS, 'a');
        let mut wakes = 0;
        while wheel.len() > 0 {
            let due = wheel.next_due().unwrap();
            wakes += 1;
            wheel.expire(due);
        }
        assert!(wakes <= LEVELS, "{wakes} wake-ups for one timer");
    }

    #[test]
    fn a_timer_beyond_the_horizon_still_waits_its_time() {
        let mut wheel = Wheel::new(0);
        let due = (HORIZON_TICKS + 5) * MS;
        wheel.insert(due, 'a');
        assert_eq!(wheel.expire(due - MS), None);
        assert_eq!(wheel.expire(due), Some('a'));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Remove(usize),
        Postpone(usize, u64),
        Advance(u64),
    }

    fn spread() -> impl Strategy<Value = u64> {
        (0..28_u32, any::<u64>()).prop_map(|(bits, value)| value & ((1 << bits) - 1))
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => spread().prop_map(Step::Insert),
            1 => any::<usize>().prop_map(Step::Remove),
            1 => (any::<usize>(), spread()).prop_map(|(index, delay)| Step::Postpone(index, delay)),
            3 => spread().prop_map(Step::Advance),
        ]
    }

    proptest! {
        #[test]
        fn the_wheel_does_what_a_sorted_list_does(start in spread(), steps in prop::collection::vec(step(), 1..80)) {
            let mut now = start;
            let mut wheel = Wheel::new(now * MS);
            let mut model: Vec<(u64, usize, TimerKey)> = Vec::new();
            for (serial, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(delay) => {
                        let key = wheel.insert((now + delay) * MS, serial);
                        model.push((now + delay, serial, key));
                    }
                    Step::Remove(index) if !model.is_empty() => {
                        let (_, serial, key) = model.remove(index % model.len());
                        prop_assert_eq!(wheel.remove(key), serial);
                    }
                    Step::Postpone(index, delay) if !model.is_empty() => {
                        let index = index % model.len();
                        model[index].0 = now + delay;
                        wheel.postpone(model[index].2, (now + delay) * MS);
                    }
                    Step::Advance(by) => {
                        now += by;
                        let mut fired: Vec<usize> = std::iter::from_fn(|| wheel.expire(now * MS)).collect();
                        fired.sort_unstable();
                        let mut due: Vec<usize> = model.iter().filter(|t| t.0 <= now).map(|t| t.1).collect();
                        due.sort_unstable();
                        prop_assert_eq!(fired, due);
                        model.retain(|t| t.0 > now);
                    }
                    _ => {}
                }
                wheel.check();
                let next = model.iter().map(|t| t.0).min();
                prop_assert_eq!(wheel.next_due().is_some(), next.is_some());
                if let Some(next) = next {
                    prop_assert!(wheel.next_due().unwrap() <= next.max(now) * MS);
                }
            }
        }
    }
}
