//! Small integers in place of names and pointers: a table that hands them out, and sorted sets of them.

/// Values under dense ids of four bytes. A freed id is given out again, so holders must let go of it first.
#[derive(Debug)]
pub(super) struct Slab<T>(slab::Slab<T>);

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self(slab::Slab::new())
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> u32 {
        u32::try_from(self.0.insert(value)).expect("invariant: names and connections are below 2^32")
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<T> {
        self.0.try_remove(id as usize)
    }

    pub(super) fn get(&self, id: u32) -> Option<&T> {
        self.0.get(id as usize)
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.0.get_mut(id as usize)
    }

    /// For ids that the registry itself keeps.
    pub(super) fn at(&self, id: u32) -> &T {
        self.get(id).expect("invariant: the registry keeps no id of a removed value")
    }

    /// For ids that the registry itself keeps.
    pub(super) fn at_mut(&mut self, id: u32) -> &mut T {
        self.get_mut(id).expect("invariant: the registry keeps no id of a removed value")
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        // Ids fit u32, see `insert`.
        self.0.iter().map(|(id, value)| (id as u32, value))
    }

    /// The first value at or behind `id`.
    pub(super) fn next_from(&self, id: u32) -> Option<(u32, &T)> {
        let end = u32::try_from(self.0.capacity()).unwrap_or(u32::MAX);
        (id..end).find_map(|id| Some((id, self.get(id)?)))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A sorted set of ids: four bytes an element. Ids mostly come in rising order, so adding mostly appends.
#[derive(Debug, Default)]
pub(super) struct IdSet(Vec<u32>);

impl IdSet {
    /// Whether it was not there.
    pub(super) fn insert(&mut self, id: u32) -> bool {
        if self.0.last().is_none_or(|&last| last < id) {
            self.0.push(id);
            return true;
        }
        let Err(place) = self.0.binary_search(&id) else { return false };
        self.0.insert(place, id);
        true
    }

    /// Whether it was there. Gives memory back when three quarters of it are idle.
    pub(super) fn remove(&mut self, id: u32) -> bool {
        let Ok(place) = self.0.binary_search(&id) else { return false };
        self.0.remove(place);
        if self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to(self.0.len() * 2);
        }
        true
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.0.binary_search(&id).is_ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }

    /// Those at or behind `id`.
    pub(super) fn iter_from(&self, id: u32) -> impl Iterator<Item = u32> {
        self.0[self.0.partition_point(|&known| known < id)..].iter().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_gives_freed_ids_out_again() {
        let mut slab = Slab::default();
        let ids = ["a", "b", "c"].map(|v| slab.insert(v));
        assert_eq!(ids, [0, 1, 2]);
        assert_eq!(slab.remove(1), Some("b"));
        assert_eq!(slab.remove(1), None);
        assert_eq!(slab.next_from(1), Some((2, &"c")));
        assert_eq!(slab.next_from(3), None);
        assert_eq!(slab.insert("d"), 1);
        assert_eq!(slab.len(), 3);
        assert_eq!(slab.iter().map(|(_, v)| *v).collect::<String>(), "adc");
    }

    #[test]
    fn a_set_stays_sorted_and_without_doubles() {
        let mut set = IdSet::default();
        for id in [5, 1, 9, 5, 1, 7] {
            set.insert(id);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 5, 7, 9]);
        assert!(set.remove(5) && !set.remove(5));
        assert!(set.contains(7) && !set.contains(5));
    }
}
