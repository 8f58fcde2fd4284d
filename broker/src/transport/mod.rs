//! Sockets, files and wake-ups of one core.
//!
//! A transport belongs to one core: it is made, used and dropped on the thread of that core's glommio executor.
//! The core's loop calls [`Transport::turn`], takes [`Event`]s until there are none, and tells the transport what
//! to do next; everything it was told goes to the kernel in the next turn, in one system call.
//!
//! Two drivers stand behind the trait, and one test-suite runs on both:
//!
//! - [`RingTransport`]: an io_uring ring of the core's own. The core waits *inside the ring* for up to 1 ms, so that
//!   one system call submits all sends and log writes, waits, and reaps. Only after an idle wait it parks in glommio,
//!   at no cost of CPU, until the ring's eventfd rings.
//! - [`PlainTransport`]: the same on glommio's `TcpStream` and blocking file calls, for older kernels, for places
//!   where io_uring features are missing, and as the yardstick for the other.
//!
//! `unsafe` is at home here: the kernel reads and writes memory that this module owns. The rule that every such
//! block leans on: *what an operation points at is owned by the transport until its completion was seen*; dropping
//! a transport cancels what is under way and waits for it.

#![allow(unsafe_code)]

mod blocking;
mod chunk;
pub mod clock;
mod closing;
mod descriptors;
mod lifecycle;
mod memory;
mod plain;
mod ring;
mod slot;
mod socket;
mod table;
#[cfg(test)]
mod tests;
mod waker;

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use crate::limits::{DRAIN_NS_MAX, FLUSH_NS_MAX, RECEIVE_BYTES_MAX};
use nsq_queue::Now;
use nsq_wal::{Disk, Io, IoResult};

pub use chunk::{Chunk, ChunkOwner};
pub use clock::monotonic_ns;
pub use descriptors::Taker;
pub use plain::{PlainDoorbell, PlainTransport};
pub use ring::{PreflightError, RingDoorbell, RingTransport, preflight};
pub use slot::Slot;
pub use socket::Socket;
pub use table::{ReceiveEnd, Sending, Sockets, Table};
pub use waker::{LocalWaker, RemoteWaker, WorkOutside};

/// Size in bytes of one receive buffer, and so the most that one [`Event::Received`] carries.
pub const CHUNK_BYTES: usize = 16 * 1024;

/// Longest wait inside a turn before the core parks, in nanoseconds. Also bounds how late glommio's tasks run when a
/// busy core becomes idle.
pub const WAIT_NS_MAX: u64 = 1_000_000;

/// The same while something under way in glommio is to be heard of promptly, in nanoseconds: long enough for a busy
/// core to stay in its ring, where waiting is cheap, and short for who waits for a file's name or an answer over HTTP.
const OUTSIDE_WAIT_NS_MAX: u64 = 150_000;

/// Longest time between two visits to glommio's reactor on a busy core, in nanoseconds.
const YIELD_NS_MAX: u64 = 500_000;

/// Rest of a listener after the process ran out of descriptors or memory, in nanoseconds.
const ACCEPT_REST_NS: u64 = 100_000_000;

/// Sizes of a transport.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Receive buffers of [`CHUNK_BYTES`] each; a power of two up to 32,768. All of them become resident on a busy
    /// core, and pass through its caches. Too few cost throughput, never correctness.
    pub buffer_count: u16,
    /// Operations submitted at once; more are submitted in several calls.
    pub submission_count: u32,
    /// Completions kept between two turns; the kernel keeps more, at a price.
    pub completion_count: u32,
    /// Longest wait inside a turn before the core parks, in nanoseconds.
    pub wait_ns_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { buffer_count: 256, submission_count: 2048, completion_count: 8192, wait_ns_max: WAIT_NS_MAX }
    }
}

/// How long a turn may wait when there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: the caller has work.
    No,
    /// Up to 1 ms: the caller has work that somebody else's progress may allow.
    Brief,
    /// Until something happens: an event, the deadline, a waker.
    Block,
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Finish the send under way (for up to 1 s), say goodbye, and give the peer up to 500 ms to read it.
    Flush,
    /// At once. What was not sent is lost; with unread input the peer gets a reset.
    Abort,
}

/// What has happened.
#[derive(Debug)]
pub enum Event {
    /// A peer connected. The socket is blocking and close-on-exec; [`Transport::attach`] it, or hand it to somebody.
    Accepted {
        /// The listener's number as given to [`Transport::listen`].
        listener: u8,
        /// The new connection.
        socket: Socket,
    },
    /// Bytes came in.
    Received {
        /// The connection.
        slot: Slot,
        /// The bytes.
        chunk: Chunk,
    },
    /// The peer will send no more. It may still read.
    EndOfInput {
        /// The connection.
        slot: Slot,
    },
    /// The kernel has taken a part of a send that could not be finished at once. Several may come, and `Sent` behind
    /// them says that the rest was taken too.
    Taken {
        /// The connection.
        slot: Slot,
        /// How much, since the last report.
        bytes: usize,
    },
    /// The whole buffer was given to the kernel.
    Sent {
        /// The connection.
        slot: Slot,
        /// The buffer, cleared, to be used again.
        buffer: Vec<u8>,
    },
    /// The connection is broken. Reported once; it still needs [`Transport::close`]. A send that was under way is
    /// lost and yields no `Sent`.
    Failed {
        /// The connection.
        slot: Slot,
        /// Why.
        errno: i32,
    },
    /// The end of a [`Transport::close`]: nothing of the connection is left. Its slot is free from now on.
    Closed {
        /// The connection that was.
        slot: Slot,
    },
    /// The end of a [`Transport::detach`]: nothing of the connection is left here. Its slot is free from now on.
    Detached {
        /// The connection that was.
        slot: Slot,
        /// Its socket, to be attached elsewhere.
        socket: Socket,
        /// Bytes that came in since `detach` was called, in order.
        pending: Vec<u8>,
    },
    /// File work is over.
    Io {
        /// The caller's number for it.
        tag: u64,
        /// What came of it. Less than asked is possible and is the caller's to judge.
        result: IoResult,
    },
    /// Another core has rung.
    Doorbell,
    /// The deadline has passed, and is no longer set.
    Timer,
}

impl Event {
    /// The connection that the event belongs to, if it is one that a close makes meaningless.
    fn connection(&self) -> Option<Slot> {
        match self {
            Event::Received { slot, .. }
            | Event::EndOfInput { slot }
            | Event::Taken { slot, .. }
            | Event::Sent { slot, .. }
            | Event::Failed { slot, .. } => Some(*slot),
            _ => None,
        }
    }
}

/// Counts since the start; they only grow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Turns of the loop.
    pub turns: u64,
    /// Waits inside the ring.
    pub waits: u64,
    /// Sleeps in glommio.
    pub parks: u64,
    /// Parks called off because work had come in at the last moment.
    pub last_looks: u64,
    /// Visits to glommio's reactor without a sleep.
    pub yields: u64,
    /// Receives that ended for want of buffers.
    pub starved: u64,
    /// Sends that the kernel took only in part at first.
    pub partial_sends: u64,
    /// Rests of a listener for want of descriptors or memory.
    pub accept_rests: u64,
    /// Connections that were accepted and closed at once, because the last descriptors are kept for the log.
    pub turned_away: u64,
}

/// The seam between a core and the kernel.
///
/// Calls for a slot that is gone, or that is being closed or detached, do nothing: the caller may not have seen the
/// event yet that says so.
pub trait Transport: Sized {
    /// What another core needs in order to ring this one.
    type Doorbell: Send + 'static;

    /// Makes a transport for this thread, whose file work goes to `disk`. Must be called on a glommio executor.
    fn open(options: &Options, disk: Arc<dyn Disk>) -> io::Result<Self>;

    /// What time it is: the only clock of a core.
    fn now(&self) -> Now;

    /// A handle for one other core. Fails when the process is out of descriptors.
    fn doorbell(&self) -> io::Result<Self::Doorbell>;

    /// The doorbells of all cores, by number of core; `None` for this one.
    fn set_peers(&mut self, peers: Vec<Option<Self::Doorbell>>);

    /// Wakes `core` if it waits or sleeps; it gets an [`Event::Doorbell`]. Goes out with the next turn.
    fn ring_peer(&mut self, core: usize);

    /// For tasks of this executor.
    fn local_waker(&self) -> Rc<LocalWaker>;

    /// For other threads. Fails when the process is out of descriptors.
    fn remote_waker(&self) -> io::Result<RemoteWaker>;

    /// Accepts connections from a listening socket from now on. The number comes back with every
    /// [`Event::Accepted`]. Without memory for a new connection, or without a descriptor that is not kept back for the
    /// log, it rests for 100 ms.
    fn listen(&mut self, listener: u8, socket: OwnedFd) -> io::Result<()>;

    /// Stops accepting and closes all listeners, within the next turns. Connections accepted before are still
    /// reported.
    fn stop_listening(&mut self);

    /// Takes over a connected stream socket and starts receiving.
    fn attach(&mut self, socket: Socket) -> Slot;

    /// Sends `bytes`, all of them. One send at a time per connection: the caller waits for [`Event::Sent`].
    ///
    /// # Panics
    ///
    /// When a send of the slot is under way.
    fn send(&mut self, slot: Slot, bytes: Vec<u8>);

    /// Stops receiving. What the kernel hands over before it hears of this still comes: up to 64 KiB, or about 1 MiB
    /// where it cannot limit a receive (before Linux 6.17).
    fn pause(&mut self, slot: Slot);

    /// Receives again.
    fn resume(&mut self, slot: Slot);

    /// Closes a connection. From now on the only event of the slot is [`Event::Closed`]. A second call may turn
    /// `Flush` into `Abort`.
    fn close(&mut self, slot: Slot, how: Close);

    /// Gives the connection up to the caller, for another core. From now on the only events of the slot are `Taken`
    /// and `Sent` (when a send is under way), and then [`Event::Detached`], or `Failed` instead: a broken connection
    /// is not handed over, and needs [`Transport::close`]. Waits for a send under way, which a peer that does not
    /// read can delay for ever; `close` is possible meanwhile.
    fn detach(&mut self, slot: Slot);

    /// The bytes of a chunk.
    fn chunk(&self, chunk: &Chunk) -> &[u8];

    /// Gives a chunk's buffer back.
    fn release(&mut self, chunk: Chunk);

    /// Does what a log wants of the disk, and reports [`Event::Io`] under `tag`. Where it may block, it is done by
    /// another thread.
    fn submit(&mut self, tag: u64, io: Io);

    /// The one deadline; a new one replaces the old. At `at` (in [`monotonic_ns`]) or within about 1 ms after it, the
    /// turn under way ends and [`Event::Timer`] is there.
    fn set_deadline(&mut self, at: Option<u64>);

    /// One turn: submits everything it was told, waits as far as `wait` allows and nothing has happened yet, and
    /// takes in what has happened. Gives glommio's tasks their share. An error says that the ring itself is
    /// unusable, and the core with it. Dropping the future loses nothing.
    #[allow(async_fn_in_trait, reason = "one thread per core: nothing here is ever sent")]
    async fn turn(&mut self, wait: Wait) -> io::Result<()>;

    /// The next event, or none until the next turn. At most 512 come in per turn.
    fn poll_event(&mut self) -> Option<Event>;

    /// Counts for tests and statistics.
    fn counters(&self) -> Counters;

    /// Walks every invariant of the connections. For tests.
    ///
    /// # Panics
    ///
    /// When one does not hold.
    fn check(&self);

    /// Ends everything in an orderly way: listeners, connections (as `Abort`), file operations (they are waited for),
    /// and the bell.
    #[allow(async_fn_in_trait, reason = "one thread per core: nothing here is ever sent")]
    async fn shutdown(self);
}
