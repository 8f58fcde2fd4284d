//! The engine of one or several cores on a kernel that does what the test says, with real logs on a real disk.
#![allow(clippy::unwrap_used)]

mod bounds;
mod endings;
mod holds;
mod kernel;
mod moves;
mod splits;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use nsq_queue::Now;
use nsq_wal::{DataDir, DataDirOptions, Disk, StdDisk};
use tempfile::TempDir;

use self::kernel::{FakeTransport, Kernel, Peer};
use crate::client::stage::Stage;
use crate::config::Config;
use crate::core::turn::{Core, Next};
use crate::core::{Engine, EngineParts};
use crate::mesh::handle::{CoreHandle, Inbox};
use crate::mesh::mesh;
use crate::mesh::placement::Placement;
use crate::mesh::process::{Address, Process};
use crate::start::logs::{log_options, open_logs};
use crate::transport::{Event, LocalWaker, Slot, Wait};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// Cores, their kernels, and one clock.
struct World {
    cores: Vec<Core<FakeTransport>>,
    kernels: Vec<Rc<RefCell<Kernel>>>,
    process: Arc<Process>,
    placement: Placement,
    now: Now,
    _data: DataDir,
    _folder: TempDir,
}

/// A client, wherever its connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Client {
    core: usize,
    slot: Slot,
}

impl World {
    fn new(cores: u16, flags: &[&str]) -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = format!("--data-path={}", folder.path().display());
        let arguments = flags.iter().map(|flag| (*flag).into()).chain([path.into()]);
        let config = Config::from_arguments(arguments).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(StdDisk::new());
        let options = DataDirOptions { shard_count_if_new: cores, node_id: 1, entropy: [7; 32] };
        let data = DataDir::open(&disk, folder.path(), &options).unwrap();
        let address = Address::Unix("nsqd.sock".into());
        let process = Arc::new(Process::new(config, 1, address, None, Box::new(|| ())));
        let placement = Placement::new(cores, cores);
        let now = Now { mono_ns: 1_000 * SECOND, wall_ns: 1_700_000_000 * SECOND as i64 };
        let mut world = World {
            cores: Vec::new(),
            kernels: Vec::new(),
            process: process.clone(),
            placement,
            now,
            _data: data,
            _folder: folder,
        };
        for (id, mesh) in (0..cores).zip(mesh(usize::from(cores), 64)) {
            let options = placement.shards_of_core(id).map(|shard| log_options(&process.config, shard));
            let logs = open_logs(&disk, &world._data, options, now.mono_ns).unwrap();
            let engine =
                Engine::new(EngineParts { id, placement, process: process.clone(), logs, mesh }, now);
            let kernel = Kernel::new(disk.clone(), now);
            let inbox = Rc::new(RefCell::new(Inbox::default()));
            let handle = CoreHandle::new(inbox.clone(), Rc::<LocalWaker>::default(), placement);
            let transport = FakeTransport(kernel.clone());
            world.cores.push(Core::new(engine, transport, inbox, handle, Box::new(|_| ())));
            world.kernels.push(kernel);
        }
        world.settle();
        world
    }

    /// One core, and a client with its magic sent.
    fn one(flags: &[&str]) -> (World, Client) {
        let mut world = World::new(1, flags);
        let client = world.connect(0);
        world.send(client, b"  V2");
        (world, client)
    }

    /// One turn of one core.
    fn turn(&mut self, core: usize) -> Next {
        self.kernels[core].borrow_mut().now = self.now;
        let next = self.cores[core].turn();
        self.check(core);
        next
    }

    /// Turns of all cores and their kernels until nothing moves. A core that would sleep gets a turn too, and must have
    /// nothing to do in it: nobody would have woken it.
    fn settle(&mut self) {
        let mut awake = vec![true; self.cores.len()];
        let mut quiet = 0;
        for _ in 0..10_000 {
            quiet += 1;
            for core in 0..self.cores.len() {
                self.kernels[core].borrow_mut().run();
                let (calls, asked) = {
                    let kernel = self.kernels[core].borrow();
                    let due = kernel.deadline.is_some_and(|at| at <= self.now.mono_ns);
                    (kernel.calls, awake[core] || due || !kernel.events.is_empty())
                };
                let next = self.turn(core);
                assert!(
                    asked || self.kernels[core].borrow().calls == calls,
                    "work was left in a core that sleeps"
                );
                awake[core] = matches!(next, Next::Wait(Wait::No | Wait::Brief));
                for peer in std::mem::take(&mut self.kernels[core].borrow_mut().rung) {
                    awake[peer] = true;
                }
                if asked || awake[core] {
                    quiet = 0;
                }
            }
            if quiet == 2 {
                return;
            }
        }
        panic!("nothing comes to rest");
    }

    /// Time passes, in steps that no deadline is longer than.
    fn pass(&mut self, ns: u64) {
        let step = (ns / 50).max(MS);
        let mut left = ns;
        while left > 0 {
            let step = step.min(left);
            left -= step;
            self.now.mono_ns += step;
            self.now.wall_ns += step as i64;
            self.settle();
        }
    }

    fn connect(&mut self, core: usize) -> Client {
        let before: Vec<Slot> = self.slots(core);
        self.kernels[core].borrow_mut().accept();
        self.turn(core);
        let slot = self.slots(core).into_iter().find(|slot| !before.contains(slot)).expect("accepted");
        Client { core, slot }
    }

    fn slots(&self, core: usize) -> Vec<Slot> {
        self.cores[core].engine().connections.slots()
    }

    fn send(&mut self, client: Client, bytes: &[u8]) {
        self.arrive(client, bytes);
        self.settle();
    }

    /// As `send`, but nothing happens yet.
    fn arrive(&mut self, client: Client, bytes: &[u8]) {
        self.kernels[client.core].borrow_mut().receive(client.slot, bytes);
    }

    fn event(&mut self, core: usize, event: Event) {
        self.kernels[core].borrow_mut().events.push_back(event);
    }

    fn with_peer<R>(&self, client: Client, look: impl FnOnce(&mut Peer) -> R) -> R {
        look(self.kernels[client.core].borrow_mut().peers.get_mut(&client.slot).expect("a peer"))
    }

    /// What the client has read since the last look.
    fn read(&self, client: Client) -> Vec<u8> {
        self.with_peer(client, |peer| std::mem::take(&mut peer.read))
    }

    /// The frames that the client has read since the last look.
    fn frames(&self, client: Client) -> Vec<String> {
        frames(&self.read(client))
    }

    fn stop_reading(&self, client: Client) {
        self.with_peer(client, |peer| peer.reads = false);
    }

    fn read_again(&mut self, client: Client) {
        self.with_peer(client, |peer| peer.reads = true);
        self.settle();
    }

    fn stage(&mut self, client: Client) -> Option<Stage> {
        let connection = self.cores[client.core].engine_mut().connections.get_mut(client.slot)?;
        Some(connection.stage)
    }

    fn engine(&self, core: usize) -> &Engine {
        self.cores[core].engine()
    }

    fn is_closed(&self, client: Client) -> bool {
        !self.slots(client.core).contains(&client.slot)
    }

    fn disk_stands(&self, core: usize, stands: bool) {
        self.kernels[core].borrow_mut().disk_stands = stands;
    }

    /// A name for which the core is home: of a topic, or of a channel of it.
    fn topic_on(&self, core: u16, prefix: &str) -> String {
        (0..).map(|n| format!("{prefix}{n}")).find(|name| self.placement.core_of_topic(name) == core).unwrap()
    }

    fn channel_on(&self, core: u16, topic: &str) -> String {
        (0..)
            .map(|n| format!("ch{n}"))
            .find(|name| self.placement.core_of_channel(topic, name) == core)
            .unwrap()
    }

    /// What must hold after every turn.
    fn check(&mut self, core: usize) {
        let engine = self.cores[core].engine();
        let (mut receipt, mut untaken) = (0, 0);
        for (slot, connection) in engine.connections.iter() {
            receipt += connection.charged.receipt;
            untaken += connection.charged.untaken as u64;
            assert_eq!(connection.charged.untaken, connection.output.untaken(), "{slot:?} is counted");
            let closing = matches!(connection.stage, Stage::Closing(_));
            let kernel = self.kernels[core].borrow();
            let peer = &kernel.peers[&slot];
            let told = engine.actions.is_empty();
            assert!(!told || peer.closes.is_empty() != closing, "{slot:?} is closed where its stage says so");
            assert!(connection.channel.is_none() || !closing, "{slot:?} has left its channel");
            assert!(connection.timer.is_some() || connection.deadline().is_none() || connection.dirty);
        }
        assert_eq!(engine.budget.receipt, receipt);
        assert_eq!(engine.budget.untaken, untaken);
        assert_eq!(engine.connections.iter().count(), engine.connections.len());
    }
}

fn frames(mut bytes: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    while let Some((size, rest)) = bytes.split_first_chunk() {
        let (frame, rest) = rest.split_at(u32::from_be_bytes(*size) as usize);
        let kind = ["response", "error", "message"][usize::from(frame[3])];
        let text = if kind == "message" { &frame[30..] } else { &frame[4..] };
        frames.push(format!("{kind} {}", String::from_utf8_lossy(text)));
        bytes = rest;
    }
    frames
}

fn publish(topic: &str, body: &[u8]) -> Vec<u8> {
    [format!("PUB {topic}\n").as_bytes(), &(body.len() as u32).to_be_bytes(), body].concat()
}

fn publish_many(topic: &str, bodies: &[&[u8]]) -> Vec<u8> {
    let items: Vec<u8> =
        bodies.iter().flat_map(|body| [&(body.len() as u32).to_be_bytes(), *body].concat()).collect();
    let head = [(items.len() as u32 + 4).to_be_bytes(), (bodies.len() as u32).to_be_bytes()].concat();
    [format!("MPUB {topic}\n").as_bytes(), &head, &items].concat()
}

fn identify(body: &str) -> Vec<u8> {
    [b"IDENTIFY\n".as_slice(), &(body.len() as u32).to_be_bytes(), body.as_bytes()].concat()
}
