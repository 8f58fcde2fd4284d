//! Who made how many of the names. Names outlive their makers, so without this one peer could use up all that the
//! registry takes, for good.

use hashbrown::HashMap;

use super::ids::Slab;
use crate::limits::NAMES_PER_ADDRESS_MAX;

/// The maker of a name: an entry of [`Quotas`], or nobody in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Maker(Option<u32>);

impl Maker {
    /// Of names that came over HTTP, which is for operators, or from the state file.
    pub(super) const NOBODY: Self = Self(None);
}

/// Counts names by the address that registered them first, ports aside. Only addresses with names are kept.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    ids: HashMap<Box<str>, u32>,
    makers: Slab<(Box<str>, usize)>,
}

impl Quotas {
    /// Whether `address` may make so many more.
    pub(super) fn has_room(&self, address: &str, new_count: usize) -> bool {
        let made = self.ids.get(address).map_or(0, |&id| self.makers.at(id).1);
        made + new_count <= NAMES_PER_ADDRESS_MAX
    }

    /// `address` makes a name.
    pub(super) fn charge(&mut self, address: &str) -> Maker {
        let id = match self.ids.get(address) {
            Some(&id) => id,
            None => {
                let id = self.makers.insert((address.into(), 0));
                self.ids.insert(address.into(), id);
                id
            }
        };
        self.makers.at_mut(id).1 += 1;
        Maker(Some(id))
    }

    /// A name is gone.
    pub(super) fn release(&mut self, maker: Maker) {
        let Maker(Some(id)) = maker else { return };
        let (address, count) = self.makers.at_mut(id);
        *count -= 1;
        if *count == 0 {
            self.ids.remove(&*address);
            self.makers.remove(id);
        }
    }

    #[cfg(test)]
    pub(super) fn total(&self) -> usize {
        assert_eq!(self.ids.len(), self.makers.len());
        self.makers.iter().map(|(_, (_, count))| *count).sum()
    }
}

impl Maker {
    #[cfg(test)]
    pub(super) fn is_somebody(self) -> bool {
        self.0.is_some()
    }
}
