//! One publishing connection: keeps a window of commands under way and accounts for every answer.

use std::collections::VecDeque;
use std::io;

use crate::clock;
use crate::commands::{Commands, Shape};
use crate::error::BenchError;
use crate::link::Link;
use crate::tally::Tally;
use crate::wire::{self, Frame, OK_FRAME};

/// Stamps of different publishers differ in the bits above this one: a publisher has 2^40 messages of its own.
const STAMP_PUBLISHER_SHIFT: u32 = 40;

/// Commands written together, until their answers are back.
#[derive(Debug)]
struct Flight {
    sent_at_ns: u64,
    commands: u64,
}

/// Some answers of one read, all to commands that were written together.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) commands: u64,
    pub(crate) latency_ns: u64,
}

/// A closed loop over one connection.
#[derive(Debug)]
pub(crate) struct Publisher {
    link: Link,
    commands: Commands,
    messages_per_command: u64,
    window: u64,
    /// Commands it may still send.
    budget: u64,
    outstanding: u64,
    next_stamp: u64,
    flights: VecDeque<Flight>,
    nops: Vec<u8>,
    sent: Tally,
}

impl Publisher {
    /// `index` tells this publisher's stamps from those of others; `window` is the most commands without an answer,
    /// `budget` the number of commands in all.
    pub(crate) fn new(link: Link, shape: &Shape, index: usize, window: u64, budget: u64) -> Self {
        Self {
            link,
            commands: Commands::new(shape, window),
            messages_per_command: shape.messages(),
            window,
            budget,
            outstanding: 0,
            next_stamp: (index as u64) << STAMP_PUBLISHER_SHIFT,
            flights: VecDeque::new(),
            nops: Vec::new(),
            sent: Tally::default(),
        }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// All messages handed to the socket so far; with nothing outstanding, all were answered with OK.
    pub(crate) fn sent(&self) -> Tally {
        self.sent
    }

    pub(crate) fn messages_per_command(&self) -> u64 {
        self.messages_per_command
    }

    /// Nothing more will be sent, whatever the phase.
    pub(crate) fn exhausted(&self) -> bool {
        self.budget == 0
    }

    pub(crate) fn wants_write(&self) -> bool {
        !self.commands.pending().is_empty() || !self.nops.is_empty()
    }

    /// Reads once and takes the answers in; `on_answered` gets them in groups.
    ///
    /// # Errors
    /// A closed or failed socket, an error frame, or an answer to nothing.
    pub(crate) fn on_readable(
        &mut self,
        scratch: &mut [u8],
        mut on_answered: impl FnMut(Answered),
    ) -> Result<u64, BenchError> {
        let Some(mut input) = self.link.read(scratch).map_err(BenchError::io("read answers"))? else {
            return Ok(0);
        };
        let mut answers = 0;
        loop {
            while let Some(rest) = input.strip_prefix(OK_FRAME) {
                answers += 1;
                input = rest;
            }
            match wire::next_frame(&mut input)? {
                None => break,
                Some(Frame::Response(b"_heartbeat_")) => self.nops.extend_from_slice(wire::NOP),
                Some(Frame::Response(b"OK")) => answers += 1,
                Some(other) => return Err(unexpected(&other)),
            }
        }
        self.link.keep(input);
        self.land(answers, &mut on_answered)?;
        Ok(answers)
    }

    fn land(&mut self, answers: u64, on_answered: &mut impl FnMut(Answered)) -> Result<(), BenchError> {
        let surplus = || BenchError::Protocol("more answers than commands".into());
        self.outstanding = self.outstanding.checked_sub(answers).ok_or_else(surplus)?;
        let now_ns = clock::now_ns();
        let mut left = answers;
        while left > 0 {
            let flight = self.flights.front_mut().ok_or_else(surplus)?;
            let commands = flight.commands.min(left);
            on_answered(Answered { commands, latency_ns: now_ns.saturating_sub(flight.sent_at_ns) });
            flight.commands -= commands;
            left -= commands;
            if flight.commands == 0 {
                self.flights.pop_front();
            }
        }
        Ok(())
    }

    /// Sends until the window is full, the budget is spent or the socket takes no more. Returns the commands added.
    ///
    /// # Errors
    /// A failed socket.
    pub(crate) fn fill(&mut self) -> Result<u64, BenchError> {
        let mut added = 0;
        loop {
            let room = (self.window - self.outstanding).min(self.budget).min(self.commands.room());
            if room == 0 {
                break;
            }
            for _ in 0..room {
                self.commands.push(self.next_stamp, &mut self.sent);
                self.next_stamp += self.messages_per_command;
            }
            self.take_off(room, clock::now_ns());
            added += room;
            self.flush()?;
            if self.wants_write() {
                break;
            }
        }
        Ok(added)
    }

    /// Adds one command stamped `stamp`, without flushing. `false` when the window or the buffer is full.
    pub(crate) fn push(&mut self, stamp: u64) -> bool {
        if self.outstanding >= self.window || self.budget == 0 || self.commands.room() == 0 {
            return false;
        }
        self.commands.push(stamp, &mut self.sent);
        self.take_off(1, stamp);
        true
    }

    fn take_off(&mut self, commands: u64, sent_at_ns: u64) {
        self.outstanding += commands;
        self.budget -= commands;
        self.flights.push_back(Flight { sent_at_ns, commands });
    }

    /// Writes what is pending as far as the socket takes it. A NOP never lands inside a command.
    ///
    /// # Errors
    /// A failed socket.
    pub(crate) fn flush(&mut self) -> Result<(), BenchError> {
        self.try_flush().map_err(BenchError::io("write commands"))
    }

    fn try_flush(&mut self) -> io::Result<()> {
        if !self.nops.is_empty() {
            if self.commands.is_mid_command() {
                self.flush_commands()?;
            }
            if self.commands.is_mid_command() {
                return Ok(());
            }
            let written = self.link.write(&self.nops)?;
            self.nops.drain(..written);
            if !self.nops.is_empty() {
                return Ok(());
            }
        }
        self.flush_commands()
    }

    fn flush_commands(&mut self) -> io::Result<()> {
        let written = self.link.write(self.commands.pending())?;
        self.commands.advance(written);
        Ok(())
    }
}

/// Names a frame that has no place here.
pub(crate) fn unexpected(frame: &Frame<'_>) -> BenchError {
    BenchError::Protocol(match frame {
        Frame::Error(text) => format!("error frame: {}", String::from_utf8_lossy(text)),
        Frame::Response(text) => format!("response out of place: {}", String::from_utf8_lossy(text)),
        Frame::Message { .. } => "a message on a connection without SUB".into(),
    })
}
