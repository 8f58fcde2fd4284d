//! One process of the broker: started, turned core by core, stopped.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nsq_wal::{DataDir, DataDirOptions, Disk, Durability, LogOptions, WalError};
use nsqd::config::Config;
use nsqd::core::{Core, Engine, EngineParts, Next};
use nsqd::mesh::handle::{CoreHandle, Inbox};
use nsqd::mesh::placement::Placement;
use nsqd::mesh::process::{Address, Process};
use nsqd::start::logs::{LastFrames, NotClean, mark_clean, open_logs};
use nsqd::transport::Wait;

use crate::audit::life::{self, End};
use crate::book::Book;
use crate::choice::mixed;
use crate::mix::Mix;
use crate::transport::{Shared, SimTransport};

/// The data directory of every world.
pub const DATA_PATH: &str = "/data";

/// Longest wait of a core that has something to do which another core's progress allows.
const BRIEF_NS: u64 = 1_000_000;

/// A running process.
pub struct Node {
    /// What all cores see.
    pub process: Arc<Process>,
    /// Who lives where.
    pub placement: Placement,
    data: DataDir,
    /// Its cores.
    pub cores: Vec<NodeCore>,
    failed: Arc<AtomicBool>,
}

/// A core of it.
pub struct NodeCore {
    /// The core itself, until it has stopped.
    core: Option<Core<SimTransport>>,
    /// Where its logs ended.
    last_frames: LastFrames,
    /// Since when a turn has had a cause.
    due_since_ns: Option<u64>,
    /// What its tasks have left.
    pub inbox: Rc<RefCell<Inbox>>,
    /// The way to it.
    pub handle: CoreHandle,
    /// What follows its last turn.
    pub next: Next,
    /// When that was, monotonic ns.
    turned_ns: u64,
    /// It is not chosen before.
    pub stalled_until_ns: u64,
    /// Turns without a cause, one behind the other.
    pub idle_turns: u32,
}

impl Node {
    /// Starts a process on what the last one has left. An error is a refusal to start.
    pub fn start(
        disk: &Arc<dyn Disk>,
        mix: &Mix,
        seed: u64,
        cores: u16,
        shared: &Shared,
        book: &Rc<RefCell<Book>>,
        end: &End,
    ) -> Result<Node, WalError> {
        let mut entropy = [0; 32];
        for (i, byte) in entropy.iter_mut().enumerate() {
            *byte = mixed(seed ^ (i as u64) << 40) as u8;
        }
        let options =
            DataDirOptions { shard_count_if_new: mix.shards.clamp(1, 64) as u16, node_id: 5, entropy };
        let mut data = DataDir::open(disk, Path::new(DATA_PATH), &options)?;
        let placement = Placement::new(data.shard_count(), cores);
        let mut opened = Vec::new();
        for core in 0..cores {
            let options = placement.shards_of_core(core).map(|shard| log_options(mix, shard));
            opened.push(open_logs(disk, &data, options, shared.clock.read().mono_ns)?);
        }
        data.mark_running()?;
        for log in opened.iter().flatten() {
            life::recovered(&mut book.borrow_mut(), &data, log, end);
        }
        life::begun(&mut book.borrow_mut(), end);
        let failed = Arc::new(AtomicBool::new(false));
        let tell = failed.clone();
        let address = Address::Tcp(([127, 0, 0, 1], 4150).into());
        let process = Arc::new(Process::new(
            config(mix),
            0,
            address,
            None,
            Box::new(move || tell.store(true, Ordering::Relaxed)),
        ));
        let ends = nsqd::mesh::mesh(usize::from(cores), mix.ring_items.max(1) as usize);
        let parts = (0..cores).zip(opened).zip(ends);
        let cores = parts.map(|((id, logs), mesh)| {
            let transport = SimTransport::new(id, shared.clone(), mix.chunks.clamp(1, 1_024) as u16);
            let inbox = Rc::new(RefCell::new(Inbox::default()));
            let waker = nsqd::transport::Transport::local_waker(&transport);
            let handle = CoreHandle::new(inbox.clone(), waker, placement);
            let parts = EngineParts { id, placement, process: process.clone(), logs, mesh };
            let engine = Engine::new(parts, shared.clock.read());
            let core = Core::new(engine, transport, inbox.clone(), handle.clone(), Box::new(|_| ()));
            NodeCore {
                core: Some(core),
                last_frames: Vec::new(),
                due_since_ns: None,
                inbox,
                handle,
                next: Next::Wait(Wait::No),
                turned_ns: shared.clock.ns(),
                stalled_until_ns: 0,
                idle_turns: 0,
            }
        });
        let cores: Vec<NodeCore> = cores.collect();
        if let [only] = cores.as_slice()
            && let Some(engine) = only.engine()
        {
            // Channels of other cores hear of themselves in their first turns only.
            life::restored(engine);
        }
        Ok(Node { process, placement, data, cores, failed })
    }

    /// Whether a core cannot go on, and the process with it.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether every core has stopped.
    pub fn has_stopped(&self) -> bool {
        self.cores.iter().all(|core| core.next == Next::Stopped)
    }

    /// Records the clean stop.
    pub fn mark_clean(&mut self) -> Result<(), NotClean> {
        let last = self.cores.iter().flat_map(|core| core.last_frames.iter().copied()).collect();
        mark_clean(&mut self.data, last)
    }
}

impl NodeCore {
    /// Its transport, until it has stopped.
    pub fn transport(&mut self) -> Option<&mut SimTransport> {
        self.core.as_mut().map(Core::transport)
    }

    /// Its engine, until it has stopped.
    pub fn engine(&self) -> Option<&Engine> {
        self.core.as_ref().map(Core::engine)
    }

    /// Whether a turn has a cause, and is allowed.
    pub fn may_turn(&mut self, now_ns: u64) -> bool {
        let (next, turned_ns) = (self.next, self.turned_ns);
        let asked = !self.inbox.borrow().is_empty();
        let Some(transport) = self.transport() else { return false };
        let due = asked
            || transport.has_cause()
            || match next {
                Next::Wait(Wait::No) => true,
                Next::Wait(Wait::Brief) => now_ns >= turned_ns + BRIEF_NS,
                _ => false,
            };
        let deadline = transport.next_deadline().filter(|at| *at <= now_ns);
        if due {
            self.due_since_ns.get_or_insert_with(|| deadline.map_or(now_ns, |at| at.max(turned_ns)));
        }
        due && now_ns >= self.stalled_until_ns
    }

    /// For how long a turn has had a cause and was not made.
    pub fn late_ns(&self, now_ns: u64) -> u64 {
        self.due_since_ns.map_or(0, |since| now_ns.saturating_sub(since))
    }

    /// When it may turn although nothing happens.
    pub fn next_turn_ns(&mut self) -> Option<u64> {
        let (turned_ns, asked) = (self.turned_ns, !self.inbox.borrow().is_empty());
        let next = self.next;
        let transport = self.transport()?;
        let at = match next {
            Next::Stopped => return None,
            Next::Wait(Wait::No) => Some(turned_ns),
            Next::Wait(Wait::Brief) => Some(turned_ns + BRIEF_NS),
            Next::Wait(Wait::Block) => transport.next_deadline(),
        };
        let caused = (asked || transport.has_cause()).then_some(turned_ns);
        let at = [at, caused].into_iter().flatten().min()?;
        Some(at.max(self.stalled_until_ns))
    }

    /// One turn.
    pub fn turn(&mut self, now_ns: u64) {
        let Some(core) = &mut self.core else { return };
        let caused = core.transport().has_cause() || !self.inbox.borrow().is_empty();
        // A full ring is looked at again and again.
        let brief = self.next == Next::Wait(Wait::Brief);
        self.idle_turns = if caused || brief { 0 } else { self.idle_turns + 1 };
        core.transport().begin_turn();
        self.next = core.turn();
        core.transport().end_turn();
        self.turned_ns = now_ns;
        self.due_since_ns = None;
        if self.next == Next::Stopped {
            self.last_frames = core.engine().last_frames();
            // Its thread ends, and its end of the rings with it.
            self.core = None;
        }
    }
}

fn log_options(mix: &Mix, shard: u16) -> LogOptions {
    let segment = mix.segment_kib.max(64) * 1024;
    LogOptions {
        durability: match mix.durability {
            0 => Durability::Sync,
            1 => Durability::Write,
            _ => Durability::Async,
        },
        sync_interval_ns: mix.sync_ms.max(1) * 1_000_000,
        sync_messages_max: mix.sync_messages.max(1),
        segment_bytes_first: 64 * 1024,
        segment_bytes_max: segment,
        reserve_bytes: 64 * 1024,
        ..LogOptions::new(shard, 5)
    }
}

fn config(mix: &Mix) -> Config {
    let durability = ["sync", "write", "async"][mix.durability.min(2) as usize];
    let mut arguments = vec![
        format!("--durability={durability}"),
        format!("--mem-cache-size={}", mix.cache_bytes),
        format!("--max-msg-size={}", mix.message_bytes),
        "--node-id=5".to_owned(),
        "--log-level=debug".to_owned(),
    ];
    if mix.connections > 0 {
        arguments.push(format!("--max-connections={}", mix.connections));
    }
    Config::from_arguments(arguments.into_iter().map(Into::into))
        .unwrap_or_else(|_| panic!("invariant: the world's flags are nsqd's"))
}
