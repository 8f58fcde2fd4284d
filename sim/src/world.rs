//! One world: a broker, its disk, its clients, its clock. A step is done, then choices are made among what may happen.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use nsq_wal::{Disk, WalError};
use nsqd::core::Next;
use nsqd::mesh::handle::Pending;
use nsqd::mesh::request::{Request, Response, StatsFilter};
use nsqd::start::logs::NotClean;
use nsqd::transport::Transport;

use crate::audit::life::{End, How};
use crate::book::Book;
use crate::book::wire::{Message, Status, check_ok};
use crate::choice::{Draws, Purpose};
use crate::client::{Client, messages};
use crate::clock::Clock;
use crate::fail;
use crate::files::Files;
use crate::mix::Mix;
use crate::names;
use crate::node::Node;
use crate::pipe::Pipe;
use crate::plan::{Plan, Step, Verb, Who};
use crate::trace::{Entry, Trace};
use crate::transport::{NetChoice, Pipes, Shared, SimTransport, Ticket};

/// Turns without a cause, one behind the other, that a core may make.
const IDLE_TURNS_MAX: u32 = 64;

/// Bound of a clean stop: 1 s for connections, 10 s for logs.
const STOP_NS_MAX: u64 = 12_000_000_000;

/// A core is audited from within at every so many turns.
const CHECK_TURNS: u64 = 8;

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Turn(usize),
    Net(u16, NetChoice),
    Io(usize),
    Read(usize),
    Put(usize),
    Accept(usize),
}

/// A request of an operator that is under way.
struct Asked {
    pending: Pending,
    what: Verb,
    numbers: Vec<u64>,
    sent_ns: u64,
}

/// A world. See the module's head.
pub struct World {
    seed: u64,
    /// What it is about.
    pub mix: Mix,
    /// The clock.
    pub clock: Rc<Clock>,
    /// The books.
    pub book: Rc<RefCell<Book>>,
    /// The disk, and what is under way on it.
    pub files: Files,
    /// The process, while there is one.
    pub node: Option<Node>,
    /// The clients.
    pub clients: Vec<Client>,
    shared: Shared,
    closed: Arc<Mutex<Vec<u64>>>,
    next_pipe: u64,
    /// Connections that no core has accepted: the connection, the core.
    connecting: VecDeque<(u64, u16)>,
    asked: Vec<Asked>,
    /// What has happened.
    pub trace: Rc<RefCell<Trace>>,
    schedule: Draws,
    client_draws: Draws,
    latency: Draws,
    life_draws: Draws,
    /// Longest time for which a core that had something to do was not turned, in this life.
    late_ns: u64,
    turn_count: u64,
    /// Choices made so far.
    pub choice_count: u64,
    favourite: Vec<u64>,
}

impl World {
    /// A world at its beginning.
    pub fn new(plan: &Plan, whole_trace: bool) -> World {
        let (seed, mix) = (plan.seed, plan.mix.clone());
        let clock = Rc::new(Clock::new(Draws::new(seed, 0, Purpose::Clock)));
        let book = Book::new(mix.clone(), clock.clone());
        nsqd::core::observe::observe(Some(book.clone()));
        let pipes: Pipes = Rc::default();
        let shared = Shared {
            clock: clock.clone(),
            pipes,
            bells: Rc::default(),
            io: Rc::default(),
            audit: book.clone(),
        };
        let mut world = World {
            seed,
            clock,
            book,
            files: Files::new(&mix, seed),
            node: None,
            clients: (0..mix.clients).map(|_| Client::default()).collect(),
            shared,
            closed: Arc::default(),
            next_pipe: 1,
            connecting: VecDeque::new(),
            asked: Vec::new(),
            trace: Rc::new(RefCell::new(Trace::new(whole_trace))),
            schedule: Draws::new(seed, 0, Purpose::Schedule),
            client_draws: Draws::new(seed, 0, Purpose::Clients),
            latency: Draws::new(seed, 0, Purpose::Latency),
            life_draws: Draws::new(seed, 0, Purpose::Life),
            late_ns: 0,
            turn_count: 0,
            choice_count: 0,
            favourite: vec![1; 8],
            mix,
        };
        let end = End { how: How::Never, at_ns: 0, slack_ns: 0 };
        world.start(&end);
        world
    }

    /// Faults stop, and everything has to come to its end.
    pub fn heal(&mut self) {
        self.begin_step(u64::MAX);
        crate::audit::heal::heal(self);
    }

    fn note(&self, core: u16, what: &'static str, operands: [u64; 3]) {
        self.trace.borrow_mut().add(Entry { at_ns: self.clock.ns(), core, what, operands });
    }

    fn begin_step(&mut self, number: u64) {
        let seed = self.seed;
        self.schedule = Draws::new(seed, number, Purpose::Schedule);
        self.client_draws = Draws::new(seed, number, Purpose::Clients);
        self.latency = Draws::new(seed, number, Purpose::Latency);
        self.life_draws = Draws::new(seed, number, Purpose::Life);
        self.clock.set_jitter(Draws::new(seed, number, Purpose::Clock));
        self.files.begin_step(Draws::new(seed, number, Purpose::Disk));
        if self.mix.policy == 1 && self.schedule.percent(3) {
            self.favourite = (0..8).map(|_| 1 + self.schedule.below(16)).collect();
        }
    }

    /// Does one step, and what follows from it.
    pub fn step(&mut self, step: &Step) {
        self.trace.borrow_mut().text(|| format!("-- {step}"));
        self.begin_step(step.number);
        let [a, b, c, _] = step.operands;
        self.note(Entry::NO_CORE, step.verb.name(), [a, b, c]);
        match step.who {
            Who::Client(client) => self.client_step(client as usize % self.clients.len(), step),
            Who::Operator => self.operate(step),
            Who::World => self.world_step(step),
        }
        let choices = self.schedule.below(self.mix.choices + 1);
        for _ in 0..choices {
            if !self.choose() {
                break;
            }
        }
    }

    fn client_step(&mut self, client: usize, step: &Step) {
        match step.verb {
            Verb::Connect => self.connect(client, step.operands[0]),
            Verb::Reset | Verb::Close => {
                let Some(number) = self.clients[client].pipe else { return };
                if let Some(pipe) = self.shared.pipes.borrow_mut().get_mut(&number) {
                    match step.verb {
                        Verb::Reset => {
                            pipe.reset();
                            pipe.client_closed = true;
                        }
                        _ => pipe.close_by_client(),
                    }
                }
                self.clients[client].lose();
                // What it has sent last may be half a command.
                self.book.borrow_mut().wire.connection(number).wild = true;
            }
            _ => {
                let (now_ns, mix) = (self.clock.ns(), &self.mix);
                let mut book = self.book.borrow_mut();
                let life = book.life;
                self.clients[client].act(step, mix, &mut book.wire, now_ns, life);
            }
        }
    }

    /// Connects a client, if the machine lets it.
    pub fn connect(&mut self, client: usize, core: u64) {
        let Some(node) = &self.node else { return };
        if self.clients[client].pipe.is_some() {
            return;
        }
        let number = self.next_pipe;
        self.next_pipe += 1;
        let core = (core % node.cores.len() as u64) as u16;
        self.shared.pipes.borrow_mut().insert(number, Pipe::new(self.mix.socket_bytes.max(64) as usize));
        self.clients[client].connect(number);
        self.connecting.push_back((number, core));
    }

    fn operate(&mut self, step: &Step) {
        let [a, b, c, d] = step.operands;
        let (topic_number, channel) = (a % self.mix.topics, names::channel(&self.mix, b % self.mix.channels));
        let topic = names::topic(&self.mix, topic_number);
        let mut numbers = Vec::new();
        let request = match step.verb {
            Verb::CreateTopic => Request::CreateTopic { topic },
            Verb::CreateChannel => Request::CreateChannel { topic, channel },
            Verb::DeleteTopic => Request::DeleteTopic { topic },
            Verb::DeleteChannel => Request::DeleteChannel { topic, channel },
            Verb::EmptyTopic => Request::EmptyTopic { topic },
            Verb::EmptyChannel => Request::EmptyChannel { topic, channel },
            Verb::PauseTopic => Request::PauseTopic { topic, paused: b % 2 == 1 },
            Verb::PauseChannel => Request::PauseChannel { topic, channel, paused: c % 2 == 1 },
            Verb::Publish => {
                let count = if d > 0 { 1 } else { b.clamp(1, 100) };
                let bodies;
                (numbers, bodies) = messages(step.number, topic_number, count, c.min(self.mix.message_bytes));
                let mut book = self.book.borrow_mut();
                let life = book.life;
                for number in &numbers {
                    let message = Message {
                        topic: topic_number,
                        sent_ns: self.clock.ns(),
                        life,
                        defer_ms: d,
                        status: Status::Sent,
                    };
                    book.wire.messages.insert(*number, message);
                }
                let bodies = bodies.into_iter().map(Bytes::from).collect();
                Request::Publish { topic, defer_ms: d as u32, bodies }
            }
            Verb::Stats => Request::Stats(StatsFilter { include_clients: true, ..StatsFilter::default() }),
            _ => return,
        };
        self.ask(step.verb, request, numbers);
    }

    fn ask(&mut self, what: Verb, request: Request, numbers: Vec<u64>) {
        let Some(node) = &self.node else { return };
        let at = self.schedule.below(node.cores.len() as u64) as usize;
        let topic = match &request {
            Request::Publish { topic, .. }
            | Request::CreateTopic { topic }
            | Request::DeleteTopic { topic }
            | Request::EmptyTopic { topic }
            | Request::PauseTopic { topic, .. }
            | Request::CreateChannel { topic, .. }
            | Request::DeleteChannel { topic, .. }
            | Request::EmptyChannel { topic, .. }
            | Request::PauseChannel { topic, .. } => Some(topic.clone()),
            _ => None,
        };
        let handle = &node.cores[at].handle;
        let pending = match topic {
            Some(topic) => handle.request_topic(&topic, request),
            None => handle.request(at as u16, request),
        };
        self.asked.push(Asked { pending, what, numbers, sent_ns: self.clock.ns() });
    }

    /// An operator's request that has to be answered.
    pub fn demand(&mut self, what: Verb, request: Request) {
        self.ask(what, request, Vec::new());
    }

    fn world_step(&mut self, step: &Step) {
        let [a, b, ..] = step.operands;
        match step.verb {
            Verb::Time => self.clock.pass(a.min(10_000_000) * 1_000),
            Verb::Stall => {
                let until = self.clock.ns() + b.min(2_000_000) * 1_000;
                if let Some(node) = &mut self.node {
                    let at = a as usize % node.cores.len();
                    node.cores[at].stalled_until_ns = until;
                }
            }
            Verb::Wall => {
                let ns = a.min(100_000) as i64 * 1_000_000_000;
                self.clock.shift_wall(if b % 2 == 1 { ns } else { -ns });
            }
            Verb::Kill => self.end_life(How::Kill),
            Verb::Cut => self.end_life(How::Cut),
            Verb::Stop => self.stop(),
            Verb::Die => self.files.disk.die_after(Some(a)),
            Verb::Capacity => {
                let room = (a > 0).then(|| self.files.disk.used_bytes() + a * 1024);
                self.files.disk.set_capacity(room);
                self.book.borrow_mut().excuses.disk |= a > 0;
            }
            _ => {}
        }
    }

    // -- lives -----------------------------------------------------------------------------------------------------

    /// The process ends without a word, and another one starts.
    pub fn end_life(&mut self, how: How) {
        let end = self.end(how);
        self.check_logs();
        self.drop_node();
        let mut draws = self.life_draws.clone();
        match how {
            How::Cut => self.files.cut(&mut draws),
            _ => self.files.kill(&mut draws, &mut self.book.borrow_mut().log),
        }
        self.begin_next_life(&end);
    }

    fn end(&self, how: How) -> End {
        let at_ns = self.clock.ns();
        let io_ns = self.files.oldest().map_or(0, |since| at_ns - since).max(self.files.longest_ns);
        let late = self.node.iter().flat_map(|node| &node.cores).map(|core| core.late_ns(at_ns)).max();
        let late_ns = self.late_ns.max(late.unwrap_or(0));
        End { how, at_ns, slack_ns: 2 * (io_ns + late_ns) }
    }

    fn begin_next_life(&mut self, end: &End) {
        self.late_ns = 0;
        self.files.longest_ns = 0;
        self.files.was_short = false;
        {
            let mut book = self.book.borrow_mut();
            book.wire.end_life();
            book.queue.end_life(end.how == How::Clean);
        }
        self.start(end);
    }

    /// Looks at the living logs.
    pub fn check_logs(&self) {
        let book = self.book.borrow();
        for engine in self.node.iter().flat_map(|node| &node.cores).filter_map(|core| core.engine()) {
            crate::audit::life::live(&book, engine);
        }
    }

    fn drop_node(&mut self) {
        self.node = None;
        self.shared.io.borrow_mut().clear();
        self.shared.bells.borrow_mut().clear();
        self.asked.clear();
        self.connecting.clear();
        for pipe in self.shared.pipes.borrow_mut().values_mut() {
            pipe.reset();
        }
        self.close_tickets();
        self.clients.iter_mut().for_each(Client::lose);
        self.shared.pipes.borrow_mut().clear();
    }

    /// Starts a process; recovery may be cut off and begun again.
    fn start(&mut self, end: &End) {
        let first = end.how == How::Never;
        let cores = match self.mix.regroup {
            1 if !first => self.life_draws.within(1, 4),
            _ => self.mix.cores.clamp(1, 4),
        };
        let mut interruptions =
            if !first && self.life_draws.percent(30) { self.life_draws.within(1, 2) } else { 0 };
        let was_active = self.files.is_active();
        self.files.set_starting(true);
        loop {
            self.files.begin_life();
            if interruptions > 0 {
                self.files.disk.die_after(Some(self.life_draws.below(12)));
                interruptions -= 1;
            }
            let disk: Arc<dyn Disk> = Arc::new(self.files.disk.clone());
            let started =
                Node::start(&disk, &self.mix, self.seed, cores as u16, &self.shared, &self.book, end);
            match started {
                Ok(node) if !self.files.disk.is_dead() => {
                    self.files.disk.die_after(None);
                    self.node = Some(node);
                    break;
                }
                // It died in the middle of its start; the next one finds what it has left.
                Ok(_) | Err(_) if self.files.disk.is_dead() => {
                    drop(started);
                    self.files.disk.kill();
                }
                Ok(_) => unreachable!("invariant: a living process has started"),
                // The disk refuses what it is asked; the supervisor tries again, and in the end it works.
                Err(WalError::Io { .. } | WalError::ShortWrite { .. }) if self.files.is_active() => {
                    self.files.disk.kill();
                    self.files.set_active(false);
                }
                Err(error) => fail!("start", "refused to start after a {:?}: {error}", end.how),
            }
        }
        self.files.set_active(was_active);
        self.files.set_starting(false);
        self.note(Entry::NO_CORE, "life", [u64::from(self.book.borrow().life), cores, 0]);
    }

    /// The process is told to stop, and starts again.
    pub fn stop(&mut self) {
        let Some(node) = &self.node else { return };
        node.process.stop();
        self.book.borrow_mut().excuses.stopping = true;
        self.shared.bells.borrow_mut().extend(0..node.cores.len() as u16);
        let (life, until) = (self.book.borrow().life, self.clock.ns() + STOP_NS_MAX + 2 * self.late_ns);
        while self.node.as_ref().is_some_and(|node| !node.has_stopped()) {
            if self.clock.ns() > until {
                fail!("life4", "the stop takes longer than {STOP_NS_MAX} ns");
            }
            if !self.choose() {
                fail!("life4", "the stop hangs: nothing can happen any more");
            }
            if self.book.borrow().life != life {
                return; // It died meanwhile, and another one has started.
            }
        }
        let Some(mut node) = self.node.take() else { return };
        let marked = node.mark_clean();
        let died = self.files.disk.is_dead();
        let how = if marked.is_ok() && !died { How::Clean } else { How::Kill };
        let refused = matches!(&marked, Err(NotClean::Log(_))) && self.files.is_active();
        if how == How::Kill && !(died || refused || self.book.borrow().excuses.disk) {
            fail!("life4", "the clean stop could not be recorded: {marked:?}");
        }
        let end = self.end(how);
        drop(node);
        self.drop_node();
        let mut draws = self.life_draws.clone();
        self.files.kill(&mut draws, &mut self.book.borrow_mut().log);
        self.begin_next_life(&end);
    }

    // -- choices ---------------------------------------------------------------------------------------------------

    /// Makes one choice among what may happen; lets time pass if nothing may. False if nothing ever will.
    pub fn choose(&mut self) -> bool {
        self.choice_count += 1;
        let possible = self.possible();
        if possible.is_empty() {
            return self.let_time_pass();
        }
        let weights: Vec<u64> = possible.iter().map(|choice| self.weight(*choice)).collect();
        let Some(at) = self.schedule.weighted(&weights) else { return self.let_time_pass() };
        self.carry_out(possible[at]);
        // Now and then, time passes although something might happen.
        if self.schedule.percent(5) {
            let exponent = self.schedule.within(10, 24);
            let ns = self.schedule.below(1 << exponent);
            self.clock.pass(ns);
        }
        true
    }

    fn weight(&self, choice: Choice) -> u64 {
        let kind = match choice {
            Choice::Turn(core) if self.mix.policy == 2 && core == 0 => return 1,
            Choice::Turn(_) => 0,
            Choice::Net(..) => 1,
            Choice::Io(_) => 2,
            Choice::Read(_) => 3,
            Choice::Put(_) => 4,
            Choice::Accept(_) => 5,
        };
        4 * self.favourite[kind]
    }

    fn possible(&mut self) -> Vec<Choice> {
        let now_ns = self.clock.ns();
        let mut possible = Vec::with_capacity(32);
        let mut net = Vec::new();
        if let Some(node) = &mut self.node {
            for (at, core) in node.cores.iter_mut().enumerate() {
                if core.may_turn(now_ns) {
                    possible.push(Choice::Turn(at));
                }
                if let Some(transport) = core.transport() {
                    transport.choices(&mut net);
                }
            }
            possible.extend(net.into_iter().map(|(core, choice)| Choice::Net(core, choice)));
            possible.extend((0..self.connecting.len()).map(Choice::Accept));
        }
        possible.extend(self.files.ready(now_ns).map(Choice::Io));
        let pipes = self.shared.pipes.borrow();
        for (at, client) in self.clients.iter().enumerate() {
            let Some(pipe) = client.pipe.and_then(|pipe| pipes.get(&pipe)) else { continue };
            if client.has_unsent() && pipe.to_broker.room() > 0 && !pipe.reset && !pipe.broker_closed {
                possible.push(Choice::Put(at));
            }
            if pipe.reset
                || (client.wants_to_read() && (!pipe.to_client.is_empty() || pipe.to_client.is_over()))
            {
                possible.push(Choice::Read(at));
            }
        }
        possible
    }

    /// Lets time pass until something can happen.
    fn let_time_pass(&mut self) -> bool {
        let now_ns = self.clock.ns();
        let cores = match &mut self.node {
            Some(node) => node.cores.iter_mut().filter_map(|core| core.next_turn_ns()).min(),
            None => None,
        };
        let Some(at) = cores.into_iter().chain(self.files.next_ready()).min() else { return false };
        self.clock.pass(at.saturating_sub(now_ns).max(1));
        true
    }

    fn carry_out(&mut self, choice: Choice) {
        match choice {
            Choice::Turn(core) => self.turn(core),
            Choice::Net(core, choice) => self.net(core, choice),
            Choice::Io(index) => self.io(index),
            Choice::Read(client) => self.read(client),
            Choice::Put(client) => self.put(client),
            Choice::Accept(index) => self.accept(index),
        }
    }

    fn turn(&mut self, at: usize) {
        self.turn_count += 1;
        self.note(at as u16, "turn", [self.turn_count, 0, 0]);
        let now_ns = self.clock.ns();
        let Some(node) = &mut self.node else { return };
        let core = &mut node.cores[at];
        self.late_ns = self.late_ns.max(core.late_ns(now_ns));
        core.turn(now_ns);
        if core.idle_turns > IDLE_TURNS_MAX {
            fail!("life3", "core {at} has made {} turns without a cause", core.idle_turns);
        }
        if self.turn_count.is_multiple_of(CHECK_TURNS)
            && let Some(transport) = core.transport()
        {
            transport.check();
        }
        if self.turn_count.is_multiple_of(CHECK_TURNS)
            && let Some(Err((check, text))) = core.engine().map(|engine| engine.check())
        {
            fail!(check, "core {at}: {text}");
        }
        let failed = node.has_failed();
        let unhealthy =
            node.cores.iter().filter_map(|core| core.engine()).any(|engine| engine.is_unhealthy());
        let all_live = node.cores.iter().all(|core| core.next != Next::Stopped);
        if all_live && unhealthy != node.process.health_error().is_some() {
            fail!(
                "stat3",
                "some shard is full or failed: {unhealthy}; health: {:?}",
                node.process.health_error()
            );
        }
        self.submit_io();
        self.close_tickets();
        self.answers();
        if failed {
            self.book.borrow_mut().excuses.disk = true;
            self.note(at as u16, "poisoned", [0; 3]);
            self.end_life(How::Kill);
        }
    }

    fn submit_io(&mut self) {
        loop {
            let next = self.shared.io.borrow_mut().pop_front();
            let Some((core, tag, io)) = next else { return };
            let ns = match self.latency.below(16) {
                0 => self.mix.disk_us * 20_000,
                _ => self.mix.disk_us * 1_000,
            };
            let ns = self.latency.below(ns + 1);
            self.note(core, "io", [tag, ns, 0]);
            self.files.submit(core, tag, io, self.clock.ns(), ns, &mut self.book.borrow_mut().log);
        }
    }

    fn io(&mut self, index: usize) {
        let done = self.files.complete(index, self.clock.ns(), &mut self.book.borrow_mut().log);
        let Some((core, tag, result)) = done else {
            self.note(Entry::NO_CORE, "died", [0; 3]);
            return self.end_life(How::Kill);
        };
        let errno = result.as_ref().err().copied().unwrap_or(0);
        if errno != 0 || self.files.was_short {
            self.book.borrow_mut().excuses.disk = true;
        }
        self.note(core, "done", [tag, errno as u64, 0]);
        if let Some(transport) = self.transport(core) {
            transport.io_done(tag, result);
        }
    }

    fn net(&mut self, core: u16, choice: NetChoice) {
        self.note(
            core,
            "net",
            [
                match choice {
                    NetChoice::Receive(slot) => slot.to_u64(),
                    NetChoice::Cancelled(slot) => slot.to_u64() | 1 << 62,
                    NetChoice::Send(slot) => slot.to_u64() | 1 << 61,
                },
                0,
                0,
            ],
        );
        let mut draws = self.schedule.clone();
        if let Some(transport) = self.transport(core) {
            transport.choose(choice, &mut draws);
        }
        self.schedule = draws;
        if self.mix.f_reset > 0 && self.schedule.below(1_000) < self.mix.f_reset {
            let at = self.schedule.below(self.clients.len() as u64) as usize;
            if let Some(pipe) = self.clients[at].pipe
                && let Some(pipe) = self.shared.pipes.borrow_mut().get_mut(&pipe)
            {
                pipe.reset();
            }
        }
    }

    fn read(&mut self, at: usize) {
        let Some(number) = self.clients[at].pipe else { return };
        let mut pipes = self.shared.pipes.borrow_mut();
        let Some(pipe) = pipes.get_mut(&number) else { return };
        let mut book = self.book.borrow_mut();
        if !pipe.reset {
            self.clients[at].read(pipe, &self.mix, &mut book.wire, &mut self.client_draws);
        }
        if pipe.reset || pipe.to_client.is_over() {
            pipe.close_by_client();
            self.clients[at].lose();
        }
    }

    fn put(&mut self, at: usize) {
        let Some(number) = self.clients[at].pipe else { return };
        if let Some(pipe) = self.shared.pipes.borrow_mut().get_mut(&number) {
            self.clients[at].put(pipe);
        }
    }

    fn accept(&mut self, index: usize) {
        let Some((pipe, core)) = self.connecting.remove(index) else { return };
        self.note(core, "accept", [pipe, 0, 0]);
        let ticket = Ticket::new(pipe, self.closed.clone());
        match self.transport(core) {
            Some(transport) if transport.is_listening() => transport.accept(ticket),
            _ => {
                drop(ticket);
                self.close_tickets();
            }
        }
    }

    fn transport(&mut self, core: u16) -> Option<&mut SimTransport> {
        self.node.as_mut()?.cores.get_mut(usize::from(core))?.transport()
    }

    /// Sockets that the broker has closed.
    fn close_tickets(&mut self) {
        let closed = std::mem::take(&mut *self.closed.lock().unwrap_or_else(PoisonError::into_inner));
        let mut pipes = self.shared.pipes.borrow_mut();
        let mut seen = BTreeSet::new();
        for number in closed {
            let Some(pipe) = pipes.get_mut(&number) else { continue };
            if pipe.broker_closed || !seen.insert(number) {
                fail!("life2", "connection {number} was closed twice");
            }
            pipe.close_by_broker();
        }
    }

    /// Looks which requests of operators are answered.
    fn answers(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut index = 0;
        while index < self.asked.len() {
            match Pin::new(&mut self.asked[index].pending).poll(&mut context) {
                Poll::Pending => index += 1,
                Poll::Ready(response) => {
                    let asked = self.asked.swap_remove(index);
                    self.answered(asked, &response);
                }
            }
        }
    }

    fn answered(&mut self, asked: Asked, response: &Response) {
        self.note(Entry::NO_CORE, "answer", [asked.what as u64, asked.sent_ns, 0]);
        let mut book = self.book.borrow_mut();
        let Book { wire, log, mix, clock, .. } = &mut *book;
        match (asked.what, response) {
            (Verb::Publish, Response::Done) => {
                for number in asked.numbers {
                    let Some(message) = wire.messages.get_mut(&number) else { continue };
                    check_ok(number, message, mix, log);
                    message.status = Status::Ok(clock.ns());
                }
            }
            (Verb::Publish, _) => {
                for number in asked.numbers {
                    if let Some(message) = wire.messages.get_mut(&number) {
                        message.status = Status::Refused;
                    }
                }
                let excuses = book.excuses;
                if !(excuses.disk || excuses.stopping || excuses.deleted) {
                    fail!("ack6", "a publish by HTTP was answered {response:?} without any reason for it");
                }
            }
            (Verb::Stats, Response::Stats(stats)) => {
                for channel in &stats.channels {
                    let in_flight: u64 = channel.consumers.iter().map(|c| c.in_flight_count).sum();
                    if in_flight > channel.in_flight_count {
                        fail!(
                            "stat1",
                            "consumers of {} have {in_flight} of {}",
                            channel.name,
                            channel.in_flight_count
                        );
                    }
                }
            }
            _ => {}
        }
    }

    /// Connections in the tables of all cores, and connections that no core has accepted.
    pub fn connection_count(&mut self) -> usize {
        let cores = self.node.iter_mut().flat_map(|node| &mut node.cores);
        let attached: usize =
            cores.filter_map(|core| core.transport()).map(|transport| transport.connection_count()).sum();
        attached + self.connecting.len()
    }

    /// Requests of operators that are not answered.
    pub fn asked_count(&self) -> usize {
        self.asked.len()
    }

    /// Consumers of all channels.
    pub fn consumer_count(&self) -> usize {
        let engines = self.node.iter().flat_map(|node| &node.cores).filter_map(|core| core.engine());
        engines.flat_map(|engine| engine.channel_stats()).map(|channel| channel.consumers.len()).sum()
    }

    /// Depth, in flight and deferred of every channel, by topic and channel.
    pub fn channel_counts(&self) -> BTreeMap<(String, String), [u64; 3]> {
        let Some(node) = &self.node else { return BTreeMap::new() };
        let engines = node.cores.iter().filter_map(|core| core.engine());
        let all = engines.flat_map(|engine| engine.channel_stats());
        all.map(|c| {
            ((c.topic_name.to_string(), c.name.to_string()), [c.depth, c.in_flight_count, c.deferred_count])
        })
        .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        nsqd::core::observe::observe(None);
    }
}
