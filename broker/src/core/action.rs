//! What a turn wants from the transport.

use crate::mesh::message::{LookupNotice, Moving};
use crate::transport::Slot;

/// Something that only the loop can do, because it needs the transport.
#[derive(Debug)]
pub enum Action {
    /// Send bytes; nothing else is under way for the slot.
    Send(Slot, Vec<u8>),
    /// Send what is under way, then close.
    Close(Slot),
    /// Close at once.
    Abort(Slot),
    /// Stop reading.
    Pause(Slot),
    /// Read again.
    Resume(Slot),
    /// Take the socket out of the ring, to hand it over.
    Detach(Slot),
    /// Take in a connection from another core.
    Adopt(Box<Moving>),
    /// Tell the conversations with nsqlookupd.
    Lookup(LookupNotice),
}
