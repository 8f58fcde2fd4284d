//! Runs connections on one or more lanes through the phases of a run, and holds the result against the account.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use crate::clock::{self, duration_ns, seconds};
use crate::error::BenchError;
use crate::lane::{Lane, LaneReport, Pace, Role};
use crate::latency::Latencies;
use crate::process::Memory;
use crate::server::Server;
use crate::shared::{Phase, Shared};
use crate::tally::Tally;

/// How often the controller looks at the counters.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How often it asks the server for its depths at the end.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How long the rest of a run may stand without progress once publishing is over.
const STALL: Duration = Duration::from_secs(30);

/// Which part of a run is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    /// `measured` seconds after `warmup`, in which both directions flow; then publishing stops.
    Timed { warmup: Duration, measured: Duration, messages_max: u64 },
    /// All of it: until the publishers' budgets are spent and everything has been received.
    Whole,
}

/// A run, apart from its connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) span: Span,
    pub(crate) threads: usize,
    /// Channels consumed from, each of which must get every message.
    pub(crate) channels: usize,
    pub(crate) body_bytes: usize,
    /// Messages waiting for delivery at which publishers pause.
    pub(crate) backlog_max: Option<u64>,
    /// Open loop at this many messages per second.
    pub(crate) rate: Option<u64>,
    /// What an earlier run has left to be received.
    pub(crate) backlog: Tally,
    /// Everything, from start to the last message, must be over by then.
    pub(crate) deadline: Duration,
}

/// Counters at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at_ns: u64,
    published: u64,
    received: u64,
    server_cpu: Option<f64>,
    server_memory: Option<Memory>,
    client_cpu: f64,
}

impl Sample {
    fn take(shared: &Shared, server: &Server) -> Result<Self, BenchError> {
        Ok(Self {
            at_ns: clock::now_ns(),
            published: shared.published.load(Relaxed),
            received: shared.received.load(Relaxed),
            server_cpu: server.cpu_seconds()?,
            server_memory: server.memory()?,
            client_cpu: crate::process::cpu_seconds(std::process::id())?,
        })
    }
}

/// The measured part of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) seconds: f64,
    pub(crate) published: u64,
    pub(crate) received: u64,
    pub(crate) server_cpu_seconds: Option<f64>,
    /// At the end of the window, with all connections open.
    pub(crate) server_memory: Option<Memory>,
    pub(crate) client_cpu_seconds: f64,
}

impl Window {
    fn between(from: &Sample, to: &Sample) -> Self {
        Self {
            seconds: seconds(to.at_ns - from.at_ns),
            published: to.published - from.published,
            received: to.received - from.received,
            server_cpu_seconds: to.server_cpu.zip(from.server_cpu).map(|(to, from)| to - from),
            server_memory: to.server_memory,
            client_cpu_seconds: to.client_cpu - from.client_cpu,
        }
    }
}

/// A run whose account was found in order.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) window: Window,
    /// Published and answered with OK in this run.
    pub(crate) published: Tally,
    pub(crate) answer: Latencies,
    pub(crate) delivery: Latencies,
    pub(crate) lateness: Latencies,
}

/// Runs `roles` by `plan` and checks that every channel received exactly what was published.
///
/// # Errors
/// Any failure of a connection, a stall, or an account that does not add up.
pub(crate) fn drive(roles: Vec<Role>, plan: &Plan, server: &Server) -> Result<Outcome, BenchError> {
    let start_ns = clock::now_ns();
    let shared = Shared::new(recorded(&plan.span, start_ns), plan.backlog_max, plan.channels);
    let lanes = split(roles, plan, start_ns)?;
    let lane_count = lanes.len();
    let (window, reports) = thread::scope(|scope| {
        let handles: Vec<_> = lanes.into_iter().map(|lane| scope.spawn(|| lane.run(&shared))).collect();
        let window = Controller { plan, server, shared: &shared, lanes: lane_count, start_ns }.conduct();
        shared.advance(Phase::Done);
        let reports: Vec<_> = handles.into_iter().map(thread::ScopedJoinHandle::join).collect();
        (window, reports)
    });
    let mut lane_reports = Vec::new();
    for report in reports {
        let report = report.map_err(|_| BenchError::Protocol("a lane panicked".into()))?;
        lane_reports.push(report?);
    }
    let window = window?;
    settle_account(lane_reports, plan, window)
}

fn recorded(span: &Span, start_ns: u64) -> (u64, u64) {
    match span {
        Span::Timed { warmup, measured, .. } => {
            let from = start_ns + duration_ns(*warmup);
            (from, from + duration_ns(*measured))
        }
        Span::Whole => (start_ns, u64::MAX),
    }
}

/// Deals the connections out to the lanes, publishers and consumers evenly.
fn split(roles: Vec<Role>, plan: &Plan, start_ns: u64) -> Result<Vec<Lane>, BenchError> {
    let threads = plan.threads.clamp(1, roles.len().max(1));
    let mut shares: Vec<Vec<Role>> = (0..threads).map(|_| Vec::new()).collect();
    let (mut publishers, mut consumers) = (0, 0);
    for role in roles {
        let next = match role {
            Role::Publisher(_) => &mut publishers,
            Role::Consumer(_) => &mut consumers,
        };
        shares[*next % threads].push(role);
        *next += 1;
    }
    let pace = |_| plan.rate.map(|rate| Pace { start_ns, rate, next: 0 });
    shares
        .into_iter()
        .enumerate()
        .map(|(index, share)| Lane::new(share, pace(index), plan.body_bytes, plan.channels))
        .collect()
}

struct Controller<'a> {
    plan: &'a Plan,
    server: &'a Server,
    shared: &'a Shared,
    lanes: usize,
    start_ns: u64,
}

impl Controller<'_> {
    /// Takes the run from its start to the last message and returns the measured part.
    fn conduct(&self) -> Result<Window, BenchError> {
        let first = Sample::take(self.shared, self.server)?;
        match self.plan.span {
            Span::Timed { warmup, measured, messages_max } => {
                self.sleep_until(self.start_ns + duration_ns(warmup), messages_max)?;
                let from = Sample::take(self.shared, self.server)?;
                self.sleep_until(from.at_ns + duration_ns(measured), messages_max)?;
                let to = Sample::take(self.shared, self.server)?;
                self.shared.advance(Phase::Settle);
                self.await_rest()?;
                Ok(Window::between(&from, &to))
            }
            Span::Whole => {
                self.await_rest()?;
                let mut to = Sample::take(self.shared, self.server)?;
                // The clock stops at the last message, the CPU time includes the FINs behind it.
                let last = self.shared.last_received_ns.load(Relaxed);
                to.at_ns = last.max(self.shared.last_published_ns.load(Relaxed)).max(first.at_ns + 1);
                Ok(Window::between(&first, &to))
            }
        }
    }

    fn sleep_until(&self, until_ns: u64, messages_max: u64) -> Result<(), BenchError> {
        while clock::now_ns() < until_ns && self.shared.published.load(Relaxed) < messages_max {
            self.check()?;
            let left = Duration::from_nanos(until_ns.saturating_sub(clock::now_ns()));
            thread::sleep(left.min(LOOK_EVERY));
        }
        self.check()
    }

    /// Waits until every answer, every message and every FIN has arrived, as long as there is progress.
    fn await_rest(&self) -> Result<(), BenchError> {
        let progress = || (self.shared.published.load(Relaxed), self.shared.received.load(Relaxed));
        let mut seen = progress();
        let mut seen_ns = clock::now_ns();
        while !self.all_arrived() {
            self.check()?;
            if progress() != seen {
                seen = progress();
                seen_ns = clock::now_ns();
            }
            if clock::now_ns() - seen_ns > duration_ns(STALL) {
                let (published, received) = seen;
                let text = format!("no progress at {published} published and {received} received");
                return Err(BenchError::Deadline(text));
            }
            thread::sleep(LOOK_EVERY);
        }
        if self.plan.channels == 0 { Ok(()) } else { self.await_finished() }
    }

    fn all_arrived(&self) -> bool {
        let due = (self.shared.published.load(Relaxed) + self.plan.backlog.count) * self.plan.channels as u64;
        self.shared.quiet.load(Relaxed) == self.lanes && self.shared.received.load(Relaxed) >= due
    }

    /// The server must have taken every FIN: nothing waiting, nothing in flight.
    fn await_finished(&self) -> Result<(), BenchError> {
        let asked_ns = clock::now_ns();
        loop {
            let depths = self.server.depths()?;
            if depths == crate::http::Depths::default() {
                return Ok(());
            }
            self.check()?;
            if clock::now_ns() - asked_ns > duration_ns(STALL) {
                return Err(BenchError::Mismatch(format!("all received, yet the server holds {depths:?}")));
            }
            thread::sleep(ASK_EVERY);
        }
    }

    fn check(&self) -> Result<(), BenchError> {
        if self.shared.failed.load(Relaxed) > 0 {
            return Err(BenchError::Protocol("a lane failed".into()));
        }
        if clock::now_ns() - self.start_ns > duration_ns(self.plan.deadline) {
            let text = format!("the run took more than {} s", self.plan.deadline.as_secs());
            return Err(BenchError::Deadline(text));
        }
        Ok(())
    }
}

/// Adds the lanes up and holds every channel against what was published.
fn settle_account(reports: Vec<LaneReport>, plan: &Plan, window: Window) -> Result<Outcome, BenchError> {
    let mut published = Tally::default();
    let mut received = vec![Tally::default(); plan.channels];
    let mut redelivered = 0;
    let (mut answer, mut delivery, mut lateness) = (Latencies::new(), Latencies::new(), Latencies::new());
    for report in reports {
        published += report.sent;
        received.iter_mut().zip(&report.received).for_each(|(sum, part)| *sum += *part);
        redelivered += report.redelivered;
        answer.merge(&report.answer);
        delivery.merge(&report.delivery);
        lateness.merge(&report.lateness);
    }
    let mut due = plan.backlog;
    due += published;
    for (index, tally) in received.iter().enumerate() {
        if *tally != due {
            let text =
                format!("channel {index} received {} messages of {}, or others", tally.count, due.count);
            return Err(BenchError::Mismatch(text));
        }
    }
    if redelivered > 0 {
        return Err(BenchError::Mismatch(format!("{redelivered} messages came with attempts above 1")));
    }
    Ok(Outcome { window, published, answer, delivery, lateness })
}
