//! Everything of one core but its sockets and files: connections, queue, logs, and the messages to other cores.
//!
//! The engine does no IO. The loop (`core/turn.rs`) feeds it what the transport reports, and carries out its
//! [`Action`]s and the logs' writes at the end of the turn. One turn does everything once:
//!
//! ```text
//!   received bytes ─► commands ─► queue ─► log ─┐            (input)
//!   messages of other cores, requests of tasks ─┤
//!   completions of the log ─► queue ────────────┤
//!                                               ▼
//!   queue's outputs ─► frames in connections' output, messages   (outputs)
//!                                               ▼
//!   one send per touched connection, one commit per log      (flush)
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use nsq_protocol::Limits;
use nsq_queue::Now;

use crate::client::output::Buffers;
use crate::client::stage::Why;
use crate::core::action::Action;
use crate::core::budget::Budget;
use crate::core::connections::Connections;
use crate::core::delayed::Delayed;
use crate::core::handed::Handed;
use crate::core::logs::{Logs, OpenLog};
use crate::core::pending::{PendingRequests, Requester};
use crate::core::phase::Phase;
use crate::core::timers::Timers;
use crate::mesh::MeshEnd;
use crate::mesh::message::{CoreMessage, Forward, RemoteReply};
use crate::mesh::placement::Placement;
use crate::mesh::process::Process;
use crate::mesh::request::Response;
use crate::stats::latency::Latencies;
use crate::transport::Slot;

#[cfg(not(feature = "sim"))]
type Queue = nsq_queue::Shard;
#[cfg(feature = "sim")]
type Queue = crate::core::observe::ObservedQueue;

/// One core's state. Lives and dies on the core's thread.
pub struct Engine {
    /// This core.
    pub(super) id: u16,
    pub(super) placement: Placement,
    pub(super) process: Arc<Process>,
    pub(super) limits: Limits,
    pub(super) queue: Queue,
    pub(super) logs: Logs,
    pub(crate) mesh: MeshEnd<CoreMessage>,
    pub(super) connections: Connections,
    /// Connections with something to send or to settle at the end of the turn.
    pub(super) dirty: Vec<Slot>,
    /// Connections whose commands wait until the log has less to write, in order.
    pub(super) waiting: VecDeque<Slot>,
    /// Connections that have had their share of this turn.
    pub(super) next_turn: Vec<Slot>,
    /// Connections whose wait is over, and what they waited for.
    pub(super) ready: VecDeque<(Slot, Why)>,
    /// What clients make this core keep.
    pub(super) budget: Budget,
    /// What was handed to other cores.
    pub(super) handed: Handed,
    /// For large sends.
    pub(super) buffers: Buffers,
    /// Counts the turns.
    pub(super) turn: u64,
    /// Clients turned away since that was last said, and when it was, monotonic ns.
    pub(super) turned_away: u64,
    /// See `turned_away`.
    pub(super) turned_away_said_at: u64,
    /// Publishes of other cores and of HTTP that wait until the log has less to write, in order.
    pub(super) delayed: VecDeque<Delayed>,
    /// Heartbeats and silence deadlines.
    pub(super) timers: Timers,
    pub(super) pending: PendingRequests,
    /// Publishes for other cores, gathered over the turn; index = core.
    pub(super) forwards: Vec<Forward>,
    /// Answers to other cores' publishes, gathered over the turn; index = core.
    pub(super) remote_replies: Vec<Vec<RemoteReply>>,
    /// Who waits for a new topic's channels.
    pub(super) discovering: HashMap<String, Vec<Requester>>,
    /// Answers for held connections of this core.
    pub(super) answered: VecDeque<(Slot, Response)>,
    pub(super) actions: VecDeque<Action>,
    /// Messages of other cores that this turn has taken, with their senders.
    pub(super) incoming: VecDeque<(usize, CoreMessage)>,
    pub(super) now: Now,
    /// Number of the next message of a memory-only topic.
    pub(super) memory_message: u64,
    /// Number of the next memory-only topic.
    pub(super) memory_topic: u32,
    /// Something waits that this turn has not looked at: more messages, or what an adopted connection has begun.
    pub(super) turn_again: bool,
    /// Only with `--e2e-processing-latency-percentile`.
    pub(super) latencies: Option<Latencies>,
    /// This turn has made tasks of the executor runnable.
    pub(super) tasks_woken: bool,
    pub(super) phase: Phase,
}

/// What an engine is made of.
pub struct EngineParts {
    /// This core.
    pub id: u16,
    /// Who lives where.
    pub placement: Placement,
    /// The process.
    pub process: Arc<Process>,
    /// The logs of this core's shards, in rising order of shards, recovered.
    pub logs: Vec<OpenLog>,
    /// This core's end of the rings.
    pub mesh: MeshEnd<CoreMessage>,
}

impl Engine {
    /// An engine with what its logs remember.
    pub fn new(parts: EngineParts, now: Now) -> Self {
        let EngineParts { id, placement, process, logs, mesh } = parts;
        let cores = placement.cores();
        let config = &process.config;
        let queue = Queue::new(
            nsq_queue::Config {
                core: id,
                mem_queue_size: config.mem_queue_size,
                cache_bytes_max: config.cache_bytes_max / u64::from(cores),
                message_timeout_max_ns: config.limits.message_timeout_ns_max.unsigned_abs(),
                channel_consumers_max: config.consumers_per_channel_max,
                latency: !config.latency_quantiles.is_empty(),
                seed: now.wall_ns as u64 ^ u64::from(id) << 56,
            },
            now,
        );
        let mut engine = Self {
            id,
            placement,
            limits: config.limits.clone(),
            memory_message: first_memory_message(config.node_id, id, now),
            memory_topic: 0,
            queue,
            logs: Logs::new(logs, cores),
            mesh,
            connections: Connections::default(),
            dirty: Vec::new(),
            waiting: VecDeque::new(),
            next_turn: Vec::new(),
            ready: VecDeque::new(),
            budget: Budget::default(),
            handed: Handed::new(cores),
            buffers: Buffers::default(),
            turn: 1,
            turned_away: 0,
            turned_away_said_at: 0,
            delayed: VecDeque::new(),
            timers: Timers::default(),
            pending: PendingRequests::default(),
            forwards: (0..cores).map(|_| Forward::default()).collect(),
            remote_replies: (0..cores).map(|_| Vec::new()).collect(),
            discovering: HashMap::new(),
            answered: VecDeque::new(),
            actions: VecDeque::new(),
            incoming: VecDeque::new(),
            now,
            turn_again: false,
            latencies: (!config.latency_quantiles.is_empty())
                .then(|| Latencies::new(config.latency_window_ns)),
            tasks_woken: false,
            phase: Phase::Running,
            process,
        };
        engine.restore();
        engine
    }

    /// The time of this turn. Everything within a turn happens at one moment.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
    }

    /// The next thing that the transport has to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether this turn has made tasks runnable.
    pub fn take_tasks_woken(&mut self) -> bool {
        std::mem::take(&mut self.tasks_woken)
    }

    /// Whether this turn has left something for the next one. Asked once.
    pub(super) fn take_turn_again(&mut self) -> bool {
        std::mem::take(&mut self.turn_again)
    }

    /// When to look again although nothing happens, monotonic ns.
    pub fn next_deadline(&self) -> Option<u64> {
        let deadlines = [
            self.queue.poll_timeout(),
            self.logs.next_timeout(),
            self.timers.next(),
            self.stop_deadline(),
            self.budget.evict_at(self.now.mono_ns),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// This core cannot go on, and the process with it.
    pub fn fail(&mut self, what: &str, error: &std::io::Error) {
        nsq_flags::fatal!("CORE: {what} - {error}");
        self.process.fail();
    }

    /// The last frame of each shard, after the stop.
    pub fn last_frames(&self) -> Vec<(u16, u64)> {
        self.logs.last_frames()
    }

    /// Whether the log of some shard of this core is full or has failed.
    #[cfg(feature = "sim")]
    pub fn is_unhealthy(&self) -> bool {
        self.logs.shards.iter().any(|shard| shard.full || shard.failed)
    }

    /// The logs of this core's shards.
    #[cfg(feature = "sim")]
    pub fn shard_logs(&self) -> impl Iterator<Item = (u16, &nsq_wal::Log)> {
        self.logs.shards.iter().map(|shard| (shard.number, &shard.log))
    }

    /// What the channels of this core say of themselves.
    #[cfg(feature = "sim")]
    pub fn channel_stats(&self) -> Vec<nsq_queue::ChannelStats> {
        self.queue.channel_stats(None, None, true)
    }
}

/// Ids of memory-only messages: those of the log have the same ten bits of the node in front, then the shard, and
/// count from 0. These set the highest bit of the sequence and go on from the time of the start, in steps of
/// 2^17 ns (131 µs), so that a restart does not give out an id again unless more than 7,600 messages a second
/// were published all the while; and then nobody is left who could finish one of the earlier ones.
fn first_memory_message(node_id: u16, core: u16, now: Now) -> u64 {
    let sequence = (now.wall_ns as u64 >> 17) & ((1 << 46) - 1);
    u64::from(node_id) << 54 | u64::from(core & 63) << 48 | 1 << 47 | sequence
}
