//! Places that keep their number while they are used, and are used again afterwards.

/// A vector with holes.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    /// Head of the list of holes.
    free: u32,
    len: usize,
}

#[derive(Debug)]
enum Place<T> {
    Used(T),
    Free(u32),
}

pub(crate) const NONE: u32 = u32::MAX;

impl<T> Slab<T> {
    pub(crate) fn new() -> Slab<T> {
        Slab { places: Vec::new(), free: NONE, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if self.free == NONE {
            let index = u32::try_from(self.places.len()).expect("invariant: fewer than 2³² places");
            self.places.push(Place::Used(value));
            return index;
        }
        let index = self.free;
        match std::mem::replace(&mut self.places[index as usize], Place::Used(value)) {
            Place::Free(next) => self.free = next,
            Place::Used(_) => unreachable!("invariant: the list of holes holds only holes"),
        }
        index
    }

    pub(crate) fn remove(&mut self, index: u32) -> T {
        match std::mem::replace(&mut self.places[index as usize], Place::Free(self.free)) {
            Place::Used(value) => {
                self.free = index;
                self.len -= 1;
                value
            }
            Place::Free(_) => unreachable!("invariant: a place is given back once"),
        }
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        match self.places.get(index as usize) {
            Some(Place::Used(value)) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.places.get_mut(index as usize) {
            Some(Place::Used(value)) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| match place {
            Place::Used(value) => Some((index as u32, value)),
            Place::Free(_) => None,
        })
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        self.get(index).expect("invariant: the place is in use")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.get_mut(index).expect("invariant: the place is in use")
    }
}
