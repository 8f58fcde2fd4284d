//! Connections' places, and the table that keeps them.

/// Generations wrap at this many, because a completion carries 24 bits of them.
const GENERATIONS: u32 = 1 << 24;

/// A connection's place in a driver. The generation tells a connection from earlier ones of the same place, so a
/// late message for a closed connection meets nobody.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot {
    /// Place in the table. Places are used again.
    pub index: u32,
    /// Which use of the place; below 2^24.
    pub generation: u32,
}

impl Slot {
    /// Both halves in one number, for messages between cores. Below 2^56.
    pub fn to_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The inverse of [`Slot::to_u64`].
    pub fn from_u64(value: u64) -> Self {
        Self { index: value as u32, generation: (value >> 32) as u32 & (GENERATIONS - 1) }
    }
}

/// Values by [`Slot`]. Grows to the largest number that was ever alive at once.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    /// Puts a value, made from its slot, into a free place.
    pub(super) fn insert_with(&mut self, value: impl FnOnce(Slot) -> T) -> Slot {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, value: None });
            u32::try_from(self.places.len() - 1).expect("invariant: fewer connections than descriptors")
        });
        let place = &mut self.places[index as usize];
        debug_assert!(place.value.is_none());
        let slot = Slot { index, generation: place.generation };
        place.value = Some(value(slot));
        slot
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        let place = self.places.get(slot.index as usize)?;
        if place.generation == slot.generation { place.value.as_ref() } else { None }
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let place = self.places.get_mut(slot.index as usize)?;
        if place.generation == slot.generation { place.value.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<T> {
        let place = self.places.get_mut(slot.index as usize)?;
        if place.generation != slot.generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = (place.generation + 1) % GENERATIONS;
        self.free.push(slot.index);
        Some(value)
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Every place is free or in use, and counted once.
    pub(super) fn check(&self) {
        let mut free = self.free.clone();
        free.sort_unstable();
        free.dedup();
        assert_eq!(free.len(), self.free.len(), "a place is free once");
        assert!(
            free.iter().all(|index| self.places[*index as usize].value.is_none()),
            "free places are empty"
        );
        assert_eq!(self.iter().count(), self.len(), "empty places are free");
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let slot = Slot { index: index as u32, generation: place.generation };
            Some((slot, place.value.as_ref()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_survives_its_journey_as_a_number() {
        for slot in [
            Slot { index: 0, generation: 0 },
            Slot { index: u32::MAX, generation: GENERATIONS - 1 },
            Slot { index: 7, generation: 9 },
        ] {
            assert_eq!(Slot::from_u64(slot.to_u64()), slot);
            assert!(slot.to_u64() < 1 << 56);
        }
    }

    #[test]
    fn an_old_generation_meets_nobody() {
        let mut slots = Slots::new();
        let first = slots.insert_with(|_| "first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert_with(|_| "second");
        assert_eq!(first.index, second.index);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
        assert_eq!(slots.iter().count(), 1);
    }

    #[test]
    fn generations_wrap() {
        let mut slots = Slots::new();
        let slot = slots.insert_with(|_| 1);
        slots.remove(slot);
        slots.places[0].generation = GENERATIONS - 1;
        let last = slots.insert_with(|_| 2);
        assert_eq!(last.generation, GENERATIONS - 1);
        slots.remove(last);
        assert_eq!(slots.insert_with(|_| 3).generation, 0);
    }
}
