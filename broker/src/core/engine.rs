//! Everything of one core but its sockets and files: connections, queue, logs, and the mail to other cores.
//!
//! The engine does no IO. The loop (`core/mod.rs`) feeds it what the transport reports, and carries out its
//! [`Action`]s and the logs' writes at the end of the turn. One turn does everything once:
//!
//! ```text
//!   received bytes ─► commands ─► queue ─► log ─┐            (input)
//!   mail of other cores, requests of tasks ─────┤
//!   completions of the log ─► queue ────────────┤
//!                                               ▼
//!   queue's outputs ─► frames in connections' output, mail   (settle)
//!                                               ▼
//!   one send per touched connection, one commit per log      (flush)
//! ```

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use nsq_protocol::Limits;
use nsq_queue::{Now, Shard, TopicKey, Wheel};
use nsq_wal::Log;

use crate::control::{Inbox, Pending, Request, Response};
use crate::core::asks::{Asker, Asks};
use crate::core::connection::{Connection, Hold};
use crate::core::connections::Connections;
use crate::core::logs::Logs;
use crate::mail::{Forward, Mail, Moving, RemoteReply};
use crate::mesh::MeshEnd;
use crate::placement::Placement;
use crate::shared::Shared;
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
}

/// One core's state. Lives and dies on the core's thread.
pub struct Engine {
    /// This core.
    pub(super) id: u16,
    pub(super) placement: Placement,
    pub(super) shared: Arc<Shared>,
    pub(super) limits: Limits,
    pub(super) queue: Shard,
    pub(super) logs: Logs,
    pub(super) mesh: MeshEnd<Mail>,
    pub(super) connections: Connections,
    /// Connections with something to send or to settle at the end of the turn.
    pub(super) dirty: Vec<Slot>,
    /// Connections whose commands wait until the log has less to write.
    pub(super) backlogged: Vec<Slot>,
    /// Heartbeats and silence deadlines.
    pub(super) timers: Timers,
    pub(super) asks: Asks,
    /// Publishes for other cores, gathered over the turn; index = core.
    pub(super) forwards: Vec<Forward>,
    /// Answers to other cores' publishes, gathered over the turn; index = core.
    pub(super) remote_replies: Vec<Vec<RemoteReply>>,
    /// Who waits for a new topic's channels.
    pub(super) discovering: HashMap<String, Vec<Asker>>,
    /// Answers for held connections of this core.
    pub(super) answered: VecDeque<(Slot, Response)>,
    pub(super) actions: VecDeque<Action>,
    pub(super) inbox: Rc<RefCell<Inbox>>,
    /// Changes for nsqlookupd, on core 0 only.
    pub(super) registrations: Rc<crate::lookup_peer::Registrations>,
    pub(super) now: Now,
    /// Number of the next message of a memory-only topic.
    pub(super) memory_message: u64,
    /// Number of the next memory-only topic.
    pub(super) memory_topic: u32,
}
