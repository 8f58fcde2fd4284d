//! The fleet at work: registers, PINGs, and now and then takes a topic back for a moment.

use std::collections::VecDeque;
use std::ops::Range;

use super::journal::Journal;
use super::peer::{Answered, Command, Peer};
use super::plan::Plan;
use crate::clock;
use crate::error::BenchError;
use crate::latency::Latencies;
use crate::tally::scramble;

/// How long a topic that was taken back stays away: long enough for lookups to notice.
const AWAY_NS: u64 = 200_000_000;
/// nsqd drops the connection when an answer takes longer.
const LATE_NS: u64 = 1_000_000_000;

/// All peers, and what they are about to do.
#[derive(Debug)]
pub(crate) struct Fleet<'a> {
    plan: &'a Plan,
    peers: Vec<Peer>,
    /// Commands without an answer.
    outstanding: usize,
    /// Peers that have registered everything.
    registered: usize,
    /// What was taken back, with the time of its return, in order.
    away: VecDeque<(u64, usize, usize)>,
    pinged: usize,
    churned: u64,
    done: Vec<Answered>,
    /// Commands sent in this span count, in ns.
    recorded_ns: Range<u64>,
    latency: Latencies,
    late: u64,
}

impl<'a> Fleet<'a> {
    pub(crate) fn new(plan: &'a Plan, peers: Vec<Peer>) -> Self {
        Self {
            plan,
            peers,
            outstanding: 0,
            registered: 0,
            away: VecDeque::new(),
            pinged: 0,
            churned: 0,
            done: Vec::new(),
            recorded_ns: 0..0,
            latency: Latencies::new(),
            late: 0,
        }
    }

    /// From now on latencies of commands sent in this span count.
    pub(crate) fn record(&mut self, span_ns: Range<u64>) {
        self.recorded_ns = span_ns;
    }

    /// From writing a command to its answer.
    pub(crate) fn latency(&self) -> &Latencies {
        &self.latency
    }

    /// Commands, at any time, whose answer came too late for an nsqd.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Everybody has registered everything, for the first time.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered == self.peers.len()
    }

    /// No answer is outstanding, and nothing is away.
    pub(crate) fn is_quiet(&self) -> bool {
        self.outstanding == 0 && self.away.is_empty()
    }

    /// When the next topic returns.
    pub(crate) fn due_ns(&self) -> u64 {
        self.away.front().map_or(u64::MAX, |&(due_ns, ..)| due_ns)
    }

    /// Starts the registration of `peer`; each answer leads to the next command, as in nsqd.
    ///
    /// # Errors
    /// As [`Peer::send`].
    pub(crate) fn greet(&mut self, peer: usize) -> Result<(), BenchError> {
        self.outstanding += 1;
        self.peers[peer].identify()
    }

    /// The next peer in turn sends a PING.
    ///
    /// # Errors
    /// As [`Peer::send`].
    pub(crate) fn ping(&mut self) -> Result<(), BenchError> {
        let peer = self.pinged % self.peers.len();
        self.pinged += 1;
        self.send(peer, Command::Ping)
    }

    /// A peer, different each time, takes one of its topics back.
    ///
    /// # Errors
    /// As [`Peer::send`].
    pub(crate) fn churn(&mut self, journal: &mut Journal<'_>) -> Result<(), BenchError> {
        let chance = scramble(self.churned) as usize;
        self.churned += 1;
        let (peer, slot) = (chance % self.peers.len(), chance / self.peers.len() % self.plan.slots());
        if !journal.is_present(peer, slot) {
            return Ok(());
        }
        journal.unsettle(peer, slot);
        self.send(peer, Command::Unregister { slot })
    }

    /// Registers again what has been away long enough.
    ///
    /// # Errors
    /// As [`Peer::send`].
    pub(crate) fn bring_back(&mut self, now_ns: u64, journal: &mut Journal<'_>) -> Result<(), BenchError> {
        while self.due_ns() <= now_ns {
            let Some((_, peer, slot)) = self.away.pop_front() else { break };
            self.register(peer, slot, 0, journal)?;
        }
        Ok(())
    }

    /// Takes the answers that have come for `peer` and does what follows from them.
    ///
    /// # Errors
    /// As [`Peer::on_readable`] and [`Peer::send`].
    pub(crate) fn on_readable(
        &mut self,
        peer: usize,
        scratch: &mut [u8],
        journal: &mut Journal<'_>,
    ) -> Result<(), BenchError> {
        let mut done = std::mem::take(&mut self.done);
        self.peers[peer].on_readable(scratch, &mut done)?;
        let now_ns = clock::now_ns();
        self.outstanding -= done.len();
        for answered in done.drain(..) {
            self.note_latency(answered.sent_ns, now_ns);
            self.follow(peer, answered.command, now_ns, journal)?;
        }
        self.done = done;
        Ok(())
    }

    fn note_latency(&mut self, sent_ns: u64, now_ns: u64) {
        let latency_ns = now_ns - sent_ns;
        self.late += u64::from(latency_ns > LATE_NS);
        if self.recorded_ns.contains(&sent_ns) {
            self.latency.record(latency_ns, 1);
        }
    }

    fn follow(
        &mut self,
        peer: usize,
        command: Command,
        now_ns: u64,
        journal: &mut Journal<'_>,
    ) -> Result<(), BenchError> {
        match command {
            Command::Ping => Ok(()),
            Command::Identify => self.register(peer, 0, 0, journal),
            Command::Unregister { slot } => {
                journal.set_absent(peer, slot, now_ns);
                self.away.push_back((now_ns + AWAY_NS, peer, slot));
                Ok(())
            }
            Command::Register { slot, channel } if channel + 1 < self.plan.channels() => {
                self.register(peer, slot, channel + 1, journal)
            }
            Command::Register { slot, .. } => {
                journal.set_present(peer, slot, now_ns);
                self.continue_registration(peer, slot, journal)
            }
        }
    }

    /// The first registration goes through the slots in order; churn begins only when all is registered.
    fn continue_registration(
        &mut self,
        peer: usize,
        slot: usize,
        journal: &mut Journal<'_>,
    ) -> Result<(), BenchError> {
        if self.is_registered() {
            return Ok(());
        }
        if slot + 1 < self.plan.slots() {
            return self.register(peer, slot + 1, 0, journal);
        }
        self.registered += 1;
        Ok(())
    }

    fn register(
        &mut self,
        peer: usize,
        slot: usize,
        channel: usize,
        journal: &mut Journal<'_>,
    ) -> Result<(), BenchError> {
        journal.unsettle(peer, slot);
        self.send(peer, Command::Register { slot, channel })
    }

    fn send(&mut self, peer: usize, command: Command) -> Result<(), BenchError> {
        let topic = |slot| self.plan.topic_name(self.plan.topic_of(peer, slot));
        let text = match command {
            Command::Identify => return self.greet(peer),
            Command::Ping => "PING\n".into(),
            Command::Unregister { slot } => format!("UNREGISTER {}\n", topic(slot)),
            Command::Register { slot, .. } if self.plan.channels() == 0 => {
                format!("REGISTER {}\n", topic(slot))
            }
            Command::Register { slot, channel } => {
                format!("REGISTER {} {}\n", topic(slot), Plan::channel_name(channel))
            }
        };
        self.outstanding += 1;
        self.peers[peer].send(command, text.as_bytes())
    }
}
