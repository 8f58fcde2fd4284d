//! NSQ's HTTP API: hyper on glommio, on every core.
//!
//! All cores accept from one listening socket; a connection stays on the core that accepted it. Handlers are
//! functions from a request and a [`CoreHandle`] to a [`Reply`](nsq_http::Reply); none of them touches a core's state. What a handler
//! may hold is bounded here: connections, bytes of bodies in receipt, statistics in the making.
//!
//! | file | what is in it |
//! |---|---|
//! | `accept` | the accept loop and the stop |
//! | `connection`, `stream`, `deadline` | one connection, its socket, its deadlines |
//! | `request`, `routes`, `body` | a request with its context, paths, request bodies |
//! | `publish`, `objects`, `info`, `stats`, `options`, `debug` | the endpoints, a family each |

mod accept;
mod body;
mod connection;
mod deadline;
mod debug;
mod info;
mod log;
mod objects;
mod options;
mod publish;
mod request;
mod routes;
mod stats;
mod stream;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use glommio::sync::Semaphore;

pub use accept::serve;
pub(crate) use stream::Stream;

use crate::mesh::handle::CoreHandle;
use crate::mesh::process::Process;
use deadline::{Deadline, Timeouts};

/// Connections that one core serves at once. One more waits in the kernel's backlog until another ends.
pub const CONNECTIONS_MAX: u64 = 1024;

/// Bytes of large bodies that one core receives at once; one more large body waits. The small ones, up to
/// [`BODY_BYTES_SMALL`], are not counted: [`CONNECTIONS_MAX`] of them are as much again.
pub const BODY_BYTES_IN_RECEIPT_MAX: u64 = 64 * 1024 * 1024;

/// Bytes that the batches which one core has split into messages take at once besides their bodies; one more batch
/// waits. A line of one byte takes 66 of them.
pub const SPLIT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A body up to this size is received without asking [`BODY_BYTES_IN_RECEIPT_MAX`].
pub const BODY_BYTES_SMALL: usize = 64 * 1024;

/// Answers to `/stats` that one core makes at once. Each holds a snapshot of everything there is.
pub const STATS_UNDER_WAY_MAX: u64 = 2;

/// What all HTTP connections of one core share. Lives on that core's executor.
pub struct HttpContext {
    process: Arc<Process>,
    core: CoreHandle,
    slots: Rc<Semaphore>,
    receipt: Rc<Semaphore>,
    splitting: Rc<Semaphore>,
    stats_turns: Semaphore,
    connections: RefCell<HashMap<u64, Rc<Deadline>>>,
    connection_next: Cell<u64>,
    sweeping: Cell<bool>,
    stopping: Cell<bool>,
    acceptor: RefCell<Option<Waker>>,
    timeouts: Timeouts,
}

impl HttpContext {
    /// A context without connections, whose handlers ask `core`.
    pub fn new(core: CoreHandle, process: Arc<Process>) -> Self {
        Self {
            process,
            core,
            slots: Rc::new(Semaphore::new(CONNECTIONS_MAX)),
            receipt: Rc::new(Semaphore::new(BODY_BYTES_IN_RECEIPT_MAX)),
            splitting: Rc::new(Semaphore::new(SPLIT_BYTES_MAX)),
            stats_turns: Semaphore::new(STATS_UNDER_WAY_MAX),
            connections: RefCell::default(),
            connection_next: Cell::new(0),
            sweeping: Cell::new(false),
            stopping: Cell::new(false),
            acceptor: RefCell::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// Ends [`serve`]: nothing is accepted any more, idle connections close at once, the others after the answer
    /// under way or after half a second, whichever is first.
    pub fn stop(&self) {
        self.stopping.set(true);
        if let Some(acceptor) = self.acceptor.borrow_mut().take() {
            acceptor.wake();
        }
        for deadline in self.connections.borrow().values() {
            deadline.wake();
        }
    }
}

#[cfg(test)]
mod tests;
