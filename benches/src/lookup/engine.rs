//! The event loop: one thread, one epoll, the fleet's connections and those of the client.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, epoll, poll};

use super::client::Client;
use super::fleet::Fleet;
use super::journal::Journal;
use super::peer::Peer;
use super::plan::Plan;
use super::ticker::Ticker;
use super::{Sample, Settings};
use crate::clock::{self, duration_ns};
use crate::error::BenchError;
use crate::lane::{TIMER_SLACK_NS, ignore_interrupt, timespec};
use crate::link::Link;
use crate::server::Server;
use crate::tally::scramble;

/// Events taken per wait.
const EVENTS_MAX: usize = 256;
/// Receive buffer: holds the largest answer, a lookup with some 70,000 producers.
const SCRATCH_BYTES: usize = 17 << 20;
/// Longest wait without events.
const WAIT_NS_MAX: u64 = 5_000_000;
/// How long answers may be outstanding without any coming.
const STALL_NS: u64 = 30_000_000_000;
/// Requests that wait for a connection while all topics are asked for.
const AHEAD_MAX: usize = 64;
const SECOND_NS: u64 = 1_000_000_000;

/// What happens by the clock.
#[derive(Debug)]
struct Tickers {
    ping: Ticker,
    churn: Ticker,
    lookup: Ticker,
}

impl Tickers {
    fn due_ns(&self) -> u64 {
        self.ping.due_ns().min(self.churn.due_ns()).min(self.lookup.due_ns())
    }
}

/// A fleet and a client at one server.
pub(crate) struct Engine<'a> {
    plan: &'a Plan,
    server: &'a Server,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    scratch: Vec<u8>,
    fleet: Fleet<'a>,
    client: Client<'a>,
    journal: Journal<'a>,
    tickers: Option<Tickers>,
    asked: u64,
    deadline_ns: u64,
    /// When an answer last came, or the first of those outstanding was asked for.
    progress_ns: u64,
}

impl<'a> Engine<'a> {
    /// Opens all connections. All must be over after `deadline`.
    ///
    /// # Errors
    /// No connection or no epoll.
    pub(crate) fn new(
        plan: &'a Plan,
        settings: &Settings,
        server: &'a Server,
        deadline: Duration,
    ) -> Result<Self, BenchError> {
        let now_ns = clock::now_ns();
        let slack = std::num::NonZeroU64::new(TIMER_SLACK_NS);
        rustix::thread::set_current_timer_slack(slack).map_err(BenchError::errno("set the timer slack"))?;
        let peers: Result<Vec<Peer>, BenchError> =
            (0..plan.peers()).map(|index| Peer::connect(server.tcp, index)).collect();
        let peers = peers?;
        let remotes: Result<Vec<String>, BenchError> = peers.iter().map(|peer| local(peer.link())).collect();
        let client = Client::open(plan, server.http, settings.connections)?;
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(BenchError::errno("create an epoll"))?;
        for (index, link) in peers.iter().map(Peer::link).chain(client.links()).enumerate() {
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, link.stream(), data, epoll::EventFlags::IN)
                .map_err(BenchError::errno("register a connection"))?;
        }
        Ok(Self {
            plan,
            server,
            epoll,
            events: Vec::with_capacity(EVENTS_MAX),
            scratch: vec![0; SCRATCH_BYTES],
            journal: Journal::new(plan, remotes?),
            fleet: Fleet::new(plan, peers),
            client,
            tickers: None,
            asked: 0,
            deadline_ns: now_ns.saturating_add(duration_ns(deadline)),
            progress_ns: now_ns,
        })
    }

    pub(crate) fn fleet(&self) -> &Fleet<'a> {
        &self.fleet
    }

    pub(crate) fn client(&self) -> &Client<'a> {
        &self.client
    }

    /// Answers in which an nsqd was rightly missing.
    pub(crate) fn absences(&self) -> u64 {
        self.journal.absences()
    }

    /// Lets the whole fleet register, and returns when it has.
    ///
    /// # Errors
    /// Any failure, also of time.
    pub(crate) fn register(&mut self) -> Result<(), BenchError> {
        (0..self.plan.peers()).try_for_each(|peer| self.fleet.greet(peer))?;
        while !self.fleet.is_registered() {
            self.turn(u64::MAX)?;
        }
        Ok(())
    }

    /// Lookups, PINGs and churn at their rates; the two samples enclose the measured time.
    ///
    /// # Errors
    /// Any failure and any wrong answer.
    pub(crate) fn load(&mut self, settings: &Settings) -> Result<(Sample, Sample), BenchError> {
        let start_ns = clock::now_ns();
        let from_ns = start_ns + duration_ns(settings.warmup);
        let to_ns = from_ns + duration_ns(settings.measured);
        self.fleet.record(from_ns..to_ns);
        self.client.record(from_ns..to_ns);
        self.tickers = Some(Tickers {
            ping: Ticker::new(start_ns, settings.peers as u64, duration_ns(settings.ping_interval)),
            churn: Ticker::new(start_ns, settings.churn, SECOND_NS),
            lookup: Ticker::new(start_ns, settings.rate, SECOND_NS),
        });
        self.run_until(from_ns)?;
        let from = Sample::take(self.server)?;
        self.run_until(to_ns)?;
        let to = Sample::take(self.server)?;
        self.tickers = None;
        self.settle()?;
        Ok((from, to))
    }

    /// Asks for every topic once, as fast as the answers come.
    ///
    /// # Errors
    /// Any failure and any wrong answer.
    pub(crate) fn ask_for_all(&mut self) -> Result<(), BenchError> {
        for topic in 0..self.plan.topic_count() {
            self.client.ask(topic, clock::now_ns())?;
            self.client.dispatch()?;
            while self.client.waiting() > AHEAD_MAX {
                self.turn(u64::MAX)?;
            }
        }
        self.settle()
    }

    fn run_until(&mut self, until_ns: u64) -> Result<(), BenchError> {
        while clock::now_ns() < until_ns {
            self.turn(until_ns)?;
        }
        Ok(())
    }

    /// Waits for every answer, and until nothing is away any more.
    fn settle(&mut self) -> Result<(), BenchError> {
        while !(self.fleet.is_quiet() && self.client.waiting() + self.client.outstanding() == 0) {
            self.turn(u64::MAX)?;
        }
        Ok(())
    }

    fn turn(&mut self, until_ns: u64) -> Result<(), BenchError> {
        self.wait(until_ns)?;
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            self.handle(event.data.u64() as usize)?;
        }
        self.events = events;
        let now_ns = clock::now_ns();
        self.tick(now_ns)?;
        self.check_time(now_ns)
    }

    /// Waits for events, at most until something is due.
    fn wait(&mut self, until_ns: u64) -> Result<(), BenchError> {
        let due_ns = self.tickers.as_ref().map_or(u64::MAX, Tickers::due_ns).min(self.fleet.due_ns());
        let timeout_ns = due_ns.min(until_ns).saturating_sub(clock::now_ns()).min(WAIT_NS_MAX);
        // epoll_wait rounds up to milliseconds; ppoll does not.
        if timeout_ns > 0 {
            let mut ready = [PollFd::new(&self.epoll, PollFlags::IN)];
            ignore_interrupt(poll(&mut ready, Some(&timespec(timeout_ns))))?;
        }
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        ignore_interrupt(epoll::wait(&self.epoll, spare, Some(&timespec(0))))
    }

    fn handle(&mut self, index: usize) -> Result<(), BenchError> {
        self.progress_ns = clock::now_ns();
        match index.checked_sub(self.plan.peers()) {
            None => self.fleet.on_readable(index, &mut self.scratch, &mut self.journal),
            Some(caller) => {
                if self.client.on_readable(caller, &mut self.scratch, &mut self.journal)? {
                    self.client.dispatch()?;
                }
                Ok(())
            }
        }
    }

    /// Does what is due.
    fn tick(&mut self, now_ns: u64) -> Result<(), BenchError> {
        if let Some(tickers) = &mut self.tickers {
            while let Some(due_ns) = tickers.lookup.take(now_ns) {
                let topic = scramble(self.asked) as usize % self.plan.topic_count();
                self.asked += 1;
                self.client.ask(topic, due_ns)?;
            }
            self.client.dispatch()?;
            while tickers.ping.take(now_ns).is_some() {
                self.fleet.ping()?;
            }
            while tickers.churn.take(now_ns).is_some() {
                self.fleet.churn(&mut self.journal)?;
            }
        }
        self.fleet.bring_back(now_ns, &mut self.journal)
    }

    fn check_time(&mut self, now_ns: u64) -> Result<(), BenchError> {
        let outstanding = self.fleet.outstanding() + self.client.outstanding();
        if outstanding == 0 {
            self.progress_ns = now_ns;
        }
        if now_ns.saturating_sub(self.progress_ns) > STALL_NS {
            return Err(BenchError::Deadline(format!("{outstanding} answers outstanding and none comes")));
        }
        if now_ns > self.deadline_ns {
            return Err(BenchError::Deadline("the run took longer than --deadline".into()));
        }
        Ok(())
    }
}

/// Our address of a connection.
fn local(link: &Link) -> Result<String, BenchError> {
    let address = link.stream().local_addr().map_err(BenchError::io("ask for a local address"))?;
    Ok(address.to_string())
}
