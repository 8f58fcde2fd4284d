//! The connections of one core, found by the transport's slot.

use crate::client::connection::Connection;
use crate::transport::Slot;

/// A connection is taken out while its commands run, so that they can reach the rest of the core, and put back
/// behind them; only the box moves.
#[derive(Debug, Default)]
pub(super) struct Connections {
    places: Vec<Place>,
    count: usize,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    connection: Option<Box<Connection>>,
}

impl Connections {
    /// Puts a new connection at the slot that the transport gave its socket.
    pub(super) fn insert(&mut self, slot: Slot, connection: Box<Connection>) {
        let index = slot.index as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, Place::default);
        }
        self.count += 1;
        self.places[index] = Place { generation: slot.generation, connection: Some(connection) };
    }

    /// Takes the connection out for a while.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Box<Connection>> {
        self.place(slot)?.connection.take()
    }

    /// Puts it back after [`Connections::take`].
    pub(super) fn put_back(&mut self, slot: Slot, connection: Box<Connection>) {
        if let Some(place) = self.place(slot) {
            place.connection = Some(connection);
        }
    }

    /// The connection for good.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Box<Connection>> {
        let removed = self.take(slot);
        self.count -= usize::from(removed.is_some());
        removed
    }

    /// The connection in its place.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Connection> {
        self.place(slot)?.connection.as_deref_mut()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// All of them with their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Connection)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let slot = Slot { index: index as u32, generation: place.generation };
            place.connection.as_deref().map(|connection| (slot, connection))
        })
    }

    /// The slots of all of them.
    pub(super) fn slots(&self) -> Vec<Slot> {
        self.iter().map(|(slot, _)| slot).collect()
    }

    fn place(&mut self, slot: Slot) -> Option<&mut Place> {
        self.places.get_mut(slot.index as usize).filter(|place| place.generation == slot.generation)
    }
}
