//! One thread's event loop over its share of the connections.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Relaxed;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

use crate::clock;
use crate::consumer::Consumer;
use crate::error::BenchError;
use crate::latency::Latencies;
use crate::publisher::Publisher;
use crate::shared::{Phase, Shared};
use crate::tally::Tally;
use crate::wire::FRAME_HEADER_BYTES;

/// Events taken per wait.
const EVENTS_MAX: usize = 256;
/// Receive buffer of a lane: many messages per read, and still inside the cache of a core.
const SCRATCH_BYTES_MIN: usize = 256 << 10;
/// Longest wait without events, so that a change of phase is seen.
const WAIT_NS_MAX: u64 = 5_000_000;
/// Longest wait while publishers stand still for the backlog, which another lane may be draining.
const WAIT_GATED_NS_MAX: u64 = 200_000;
/// Timer slack of an open-loop lane; the kernel's default of 50 µs would show in the figures.
pub(crate) const TIMER_SLACK_NS: u64 = 1;

/// An open loop: message `i` is due at `start + i / rate`, whether or not the server keeps up.
#[derive(Debug)]
pub(crate) struct Pace {
    pub(crate) start_ns: u64,
    /// Messages per second, at least 1.
    pub(crate) rate: u64,
    pub(crate) next: u64,
}

impl Pace {
    fn due_ns(&self) -> u64 {
        let offset = u128::from(self.next) * 1_000_000_000 / u128::from(self.rate.max(1));
        self.start_ns.saturating_add(u64::try_from(offset).unwrap_or(u64::MAX))
    }
}

/// What one connection is for.
#[derive(Debug)]
pub(crate) enum Role {
    Publisher(Box<Publisher>),
    Consumer(Box<Consumer>),
}

#[derive(Debug)]
struct Member {
    role: Role,
    interest: epoll::EventFlags,
}

impl Member {
    fn wanted(&self) -> epoll::EventFlags {
        let (read, write) = match &self.role {
            Role::Publisher(publisher) => (true, publisher.wants_write()),
            Role::Consumer(consumer) => (consumer.wants_read(), consumer.wants_write()),
        };
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, read);
        flags.set(epoll::EventFlags::OUT, write);
        flags
    }

    fn link(&self) -> &crate::link::Link {
        match &self.role {
            Role::Publisher(publisher) => publisher.link(),
            Role::Consumer(consumer) => consumer.link(),
        }
    }
}

/// What a lane saw, handed back at its end.
#[derive(Debug)]
pub(crate) struct LaneReport {
    pub(crate) sent: Tally,
    /// Per channel index.
    pub(crate) received: Vec<Tally>,
    pub(crate) redelivered: u64,
    /// From writing a command to its OK.
    pub(crate) answer: Latencies,
    /// From the intended time of a message to its receipt. Open loop only.
    pub(crate) delivery: Latencies,
    /// How late the open loop was in sending.
    pub(crate) lateness: Latencies,
}

/// A thread's share of a run.
#[derive(Debug)]
pub(crate) struct Lane {
    epoll: OwnedFd,
    members: Vec<Member>,
    publishers: Vec<usize>,
    scratch: Vec<u8>,
    pace: Option<Pace>,
    outstanding: u64,
    /// Publishers with budget left.
    live: usize,
    gated: bool,
    quiet: bool,
    channels: usize,
    answer: Latencies,
    delivery: Latencies,
    lateness: Latencies,
}

impl Lane {
    /// Registers `roles` with an epoll of their own. `body_bytes` sizes the receive buffer.
    ///
    /// # Errors
    /// No epoll to be had.
    pub(crate) fn new(
        roles: Vec<Role>,
        pace: Option<Pace>,
        body_bytes: usize,
        channels: usize,
    ) -> Result<Self, BenchError> {
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(BenchError::errno("create an epoll"))?;
        let members: Vec<Member> =
            roles.into_iter().map(|role| Member { role, interest: epoll::EventFlags::IN }).collect();
        for (index, member) in members.iter().enumerate() {
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, member.link().stream(), data, member.interest)
                .map_err(BenchError::errno("register a connection"))?;
        }
        let is_publisher = |index: &usize| matches!(members[*index].role, Role::Publisher(_));
        let publishers: Vec<usize> = (0..members.len()).filter(is_publisher).collect();
        Ok(Self {
            epoll,
            live: members.iter().filter(|member| is_live(&member.role)).count(),
            publishers,
            members,
            scratch: vec![0; SCRATCH_BYTES_MIN.max(2 * (body_bytes + 4 * FRAME_HEADER_BYTES + 64))],
            pace,
            outstanding: 0,
            gated: false,
            quiet: false,
            channels,
            answer: Latencies::new(),
            delivery: Latencies::new(),
            lateness: Latencies::new(),
        })
    }

    /// Runs until the controller says [`Phase::Done`].
    ///
    /// # Errors
    /// The first failure of any connection; the controller sees it in [`Shared::failed`].
    pub(crate) fn run(mut self, shared: &Shared) -> Result<LaneReport, BenchError> {
        match self.turns(shared) {
            Ok(()) => Ok(self.report()),
            Err(error) => {
                shared.failed.fetch_add(1, Relaxed);
                Err(error)
            }
        }
    }

    fn turns(&mut self, shared: &Shared) -> Result<(), BenchError> {
        if self.pace.is_some() {
            let slack = std::num::NonZeroU64::new(TIMER_SLACK_NS);
            rustix::thread::set_current_timer_slack(slack)
                .map_err(BenchError::errno("set the timer slack"))?;
        }
        for index in 0..self.members.len() {
            if let Role::Consumer(consumer) = &mut self.members[index].role {
                consumer.flush()?;
            }
            self.update_interest(index)?;
        }
        self.publish(shared)?;
        let mut events = Vec::with_capacity(EVENTS_MAX);
        while shared.phase() != Phase::Done {
            self.wait(&mut events)?;
            for event in &events {
                self.handle(event, shared)?;
            }
            events.clear();
            if self.pace.is_some() || (self.gated && shared.gate_is_open()) {
                self.publish(shared)?;
            }
            self.note_quiet(shared);
        }
        Ok(())
    }

    fn wait(&self, events: &mut Vec<epoll::Event>) -> Result<(), BenchError> {
        let mut timeout_ns = if self.gated { WAIT_GATED_NS_MAX } else { WAIT_NS_MAX };
        if let Some(pace) = &self.pace {
            timeout_ns = timeout_ns.min(pace.due_ns().saturating_sub(clock::now_ns()));
            // epoll_wait rounds up to milliseconds; ppoll does not.
            if timeout_ns > 0 {
                let mut ready = [PollFd::new(&self.epoll, PollFlags::IN)];
                ignore_interrupt(poll(&mut ready, Some(&timespec(timeout_ns))))?;
            }
            timeout_ns = 0;
        }
        let spare = rustix::buffer::spare_capacity(events);
        ignore_interrupt(epoll::wait(&self.epoll, spare, Some(&timespec(timeout_ns))))
    }

    fn handle(&mut self, event: &epoll::Event, shared: &Shared) -> Result<(), BenchError> {
        let index = event.data.u64() as usize;
        let flags = event.flags;
        // Errors and hang-ups show up in the next read.
        let readable =
            flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::ERR | epoll::EventFlags::HUP);
        match &mut self.members[index].role {
            Role::Publisher(publisher) => {
                if flags.contains(epoll::EventFlags::OUT) {
                    publisher.flush()?;
                }
                if readable {
                    self.take_answers(index, shared)?;
                }
                self.fill(index, shared)?;
            }
            Role::Consumer(consumer) => {
                if flags.contains(epoll::EventFlags::OUT) {
                    consumer.flush()?;
                }
                if readable {
                    self.take_messages(index, shared)?;
                }
            }
        }
        self.update_interest(index)
    }

    fn take_answers(&mut self, index: usize, shared: &Shared) -> Result<(), BenchError> {
        let Role::Publisher(publisher) = &mut self.members[index].role else { return Ok(()) };
        let answer = &mut self.answer;
        let recording = shared.records(clock::now_ns());
        let answers = publisher.on_readable(&mut self.scratch, |answered| {
            if recording {
                answer.record(answered.latency_ns, answered.commands);
            }
        })?;
        if publisher.wants_write() {
            publisher.flush()?;
        }
        if answers > 0 {
            self.outstanding -= answers;
            shared.published.fetch_add(answers * publisher.messages_per_command(), Relaxed);
            shared.last_published_ns.fetch_max(clock::now_ns(), Relaxed);
        }
        Ok(())
    }

    fn take_messages(&mut self, index: usize, shared: &Shared) -> Result<(), BenchError> {
        let Role::Consumer(consumer) = &mut self.members[index].role else { return Ok(()) };
        let open_loop = self.pace.is_some();
        let delivery = &mut self.delivery;
        let count = consumer.on_readable(&mut self.scratch, |stamp, now_ns| {
            if open_loop && shared.records(stamp) {
                delivery.record(now_ns.saturating_sub(stamp), 1);
            }
        })?;
        if count > 0 {
            shared.received.fetch_add(count, Relaxed);
            shared.last_received_ns.fetch_max(clock::now_ns(), Relaxed);
        }
        Ok(())
    }

    /// Lets one closed-loop publisher send, if the phase and the backlog allow it.
    fn fill(&mut self, index: usize, shared: &Shared) -> Result<(), BenchError> {
        if self.pace.is_some() || shared.phase() != Phase::Publish {
            return Ok(());
        }
        let Role::Publisher(publisher) = &mut self.members[index].role else { return Ok(()) };
        if publisher.exhausted() {
            return Ok(());
        }
        if !shared.gate_is_open() {
            self.gated = true;
            return Ok(());
        }
        self.outstanding += publisher.fill()?;
        if publisher.exhausted() {
            self.live -= 1;
        }
        Ok(())
    }

    /// Lets all publishers send what is due.
    fn publish(&mut self, shared: &Shared) -> Result<(), BenchError> {
        self.gated = false;
        if shared.phase() != Phase::Publish {
            return Ok(());
        }
        if self.pace.is_some() {
            self.push_due(shared)?;
        }
        for at in 0..self.publishers.len() {
            let index = self.publishers[at];
            if self.pace.is_some() {
                self.flush_publisher(index)?;
            } else {
                self.fill(index, shared)?;
            }
            self.update_interest(index)?;
        }
        Ok(())
    }

    /// Hands every message that is due to a publisher, in turn.
    fn push_due(&mut self, shared: &Shared) -> Result<(), BenchError> {
        let Some(pace) = &mut self.pace else { return Ok(()) };
        let now_ns = clock::now_ns();
        while pace.due_ns() <= now_ns && !self.publishers.is_empty() {
            let index = self.publishers[pace.next as usize % self.publishers.len()];
            let Role::Publisher(publisher) = &mut self.members[index].role else { break };
            if !publisher.push(pace.due_ns()) {
                publisher.flush()?;
                if !publisher.push(pace.due_ns()) {
                    let text = format!("the server fell behind {} messages per second", pace.rate);
                    return Err(BenchError::Deadline(text));
                }
            }
            if shared.records(pace.due_ns()) {
                self.lateness.record(now_ns - pace.due_ns(), 1);
            }
            self.outstanding += 1;
            pace.next += 1;
        }
        Ok(())
    }

    fn flush_publisher(&mut self, index: usize) -> Result<(), BenchError> {
        match &mut self.members[index].role {
            Role::Publisher(publisher) if publisher.wants_write() => publisher.flush(),
            _ => Ok(()),
        }
    }

    fn update_interest(&mut self, index: usize) -> Result<(), BenchError> {
        let member = &mut self.members[index];
        let wanted = member.wanted();
        if wanted != member.interest {
            let data = epoll::EventData::new_u64(index as u64);
            epoll::modify(&self.epoll, member.link().stream(), data, wanted)
                .map_err(BenchError::errno("change the interest in a connection"))?;
            member.interest = wanted;
        }
        Ok(())
    }

    /// Tells the controller, once, that this lane has published all it ever will and has every answer.
    fn note_quiet(&mut self, shared: &Shared) {
        let over = shared.phase() != Phase::Publish || (self.live == 0 && self.pace.is_none());
        if !self.quiet && over && self.outstanding == 0 {
            self.quiet = true;
            shared.quiet.fetch_add(1, Relaxed);
        }
    }

    fn report(self) -> LaneReport {
        let mut report = LaneReport {
            sent: Tally::default(),
            received: vec![Tally::default(); self.channels],
            redelivered: 0,
            answer: self.answer,
            delivery: self.delivery,
            lateness: self.lateness,
        };
        for member in self.members {
            match member.role {
                Role::Publisher(publisher) => report.sent += publisher.sent(),
                Role::Consumer(consumer) => {
                    report.received[consumer.channel_index()] += consumer.received();
                    report.redelivered += consumer.redelivered();
                }
            }
        }
        report
    }
}

fn is_live(role: &Role) -> bool {
    matches!(role, Role::Publisher(publisher) if !publisher.exhausted())
}

/// For waits, in nanoseconds.
pub(crate) fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as _ }
}

/// A wait that a signal cut short is no failure.
pub(crate) fn ignore_interrupt<T>(result: Result<T, rustix::io::Errno>) -> Result<(), BenchError> {
    match result {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(BenchError::errno("wait for events")(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_does_not_drift() {
        let mut pace = Pace { start_ns: 5, rate: 3, next: 0 };
        assert_eq!(pace.due_ns(), 5);
        pace.next = 3_000_000_000;
        assert_eq!(pace.due_ns(), 5 + 1_000_000_000 * 1_000_000_000);
    }
}
