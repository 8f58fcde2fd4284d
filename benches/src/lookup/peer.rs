//! One nsqd as nsqlookupd sees it: a connection with protocol V1. Answers come in the order of the commands.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::Value;

use super::plan::{HTTP_PORT, Plan, TCP_PORT, VERSION};
use crate::clock;
use crate::error::BenchError;
use crate::link::Link;
use crate::wire;

/// What a peer sends first.
const MAGIC: &[u8] = b"  V1";
/// Commands of one peer without an answer. A peer sends few, so this many mean that the server has stopped. It also
/// bounds what is in the socket's buffer, so that a command always fits.
const AWAITING_MAX: usize = 16;
/// Largest answer accepted: far above an `OK`, an error, and what IDENTIFY answers.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What was asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Identify,
    Register { slot: usize, channel: usize },
    Unregister { slot: usize },
    Ping,
}

/// A command whose answer has come and is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) command: Command,
    pub(crate) sent_ns: u64,
}

/// A connection of the fleet.
#[derive(Debug)]
pub(crate) struct Peer {
    link: Link,
    index: usize,
    awaiting: VecDeque<Answered>,
}

impl Peer {
    /// Connects and says nothing.
    ///
    /// # Errors
    /// No connection.
    pub(crate) fn connect(address: SocketAddr, index: usize) -> Result<Self, BenchError> {
        Ok(Self { link: Link::connect(address)?, index, awaiting: VecDeque::new() })
    }

    /// Magic and IDENTIFY.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(crate) fn identify(&mut self) -> Result<(), BenchError> {
        let announcement = serde_json::json!({
            "broadcast_address": Plan::broadcast_address(self.index),
            "hostname": Plan::hostname(self.index),
            "http_port": HTTP_PORT,
            "tcp_port": TCP_PORT,
            "version": VERSION,
            "topology_region": "",
            "topology_zone": "",
        });
        let mut greeting = MAGIC.to_vec();
        wire::push_with_body(&mut greeting, "IDENTIFY", announcement.to_string().as_bytes());
        self.send(Command::Identify, &greeting)
    }

    /// Sends `command`, which reads `text` on the wire.
    ///
    /// # Errors
    /// A broken connection, or a server that has stopped answering.
    pub(crate) fn send(&mut self, command: Command, text: &[u8]) -> Result<(), BenchError> {
        if self.awaiting.len() == AWAITING_MAX {
            return Err(BenchError::Deadline(format!(
                "{AWAITING_MAX} commands of one nsqd without an answer"
            )));
        }
        self.awaiting.push_back(Answered { command, sent_ns: clock::now_ns() });
        let what = || format!("send {command:?} of nsqd {}", self.index);
        let written = self.link.write(text).map_err(|source| BenchError::Io { what: what(), source })?;
        if written < text.len() {
            return Err(BenchError::Protocol(format!("{}: the server does not read", what())));
        }
        Ok(())
    }

    /// Reads once, and appends what was answered to `done`.
    ///
    /// # Errors
    /// A broken connection, or any answer but the right one.
    pub(crate) fn on_readable(
        &mut self,
        scratch: &mut [u8],
        done: &mut Vec<Answered>,
    ) -> Result<(), BenchError> {
        let read = self.link.read(scratch).map_err(BenchError::io(format!("read as nsqd {}", self.index)))?;
        let Some(mut input) = read else { return Ok(()) };
        while let Some(answer) = next_answer(&mut input)? {
            let answered = self.awaiting.pop_front();
            let awaited =
                answered.ok_or_else(|| BenchError::Protocol("an answer without a command".into()))?;
            check(awaited.command, answer)?;
            done.push(awaited);
        }
        self.link.keep(input);
        Ok(())
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }
}

fn check(command: Command, answer: &[u8]) -> Result<(), BenchError> {
    let right = match command {
        Command::Identify => serde_json::from_slice::<Value>(answer)
            .is_ok_and(|value| value["tcp_port"].is_u64() && value["http_port"].is_u64()),
        _ => answer == b"OK",
    };
    if right {
        return Ok(());
    }
    Err(BenchError::Answer(format!("{command:?} was answered with {:?}", String::from_utf8_lossy(answer))))
}

/// Takes one answer off the front of `input`: a length, then as many bytes. `None` when it is not complete yet.
fn next_answer<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BenchError> {
    let Some((length, rest)) = input.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > ANSWER_BYTES_MAX {
        return Err(BenchError::Protocol(format!("answer of {length} bytes")));
    }
    let Some((answer, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    *input = rest;
    Ok(Some(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_out_in_order_and_a_cut_one_stays() {
        let mut input = &b"\0\0\0\x02OK\0\0\0\0\0\0\0\x03E_"[..];
        assert_eq!(next_answer(&mut input).unwrap(), Some(&b"OK"[..]));
        assert_eq!(next_answer(&mut input).unwrap(), Some(&b""[..]));
        assert_eq!(next_answer(&mut input).unwrap(), None);
        assert_eq!(input, b"\0\0\0\x03E_");
        assert!(next_answer(&mut &b"\xff\xff\xff\xff"[..]).is_err());
    }

    #[test]
    fn only_the_right_answer_is_accepted() {
        assert!(check(Command::Ping, b"OK").is_ok());
        assert!(check(Command::Ping, b"E_INVALID").is_err());
        assert!(check(Command::Identify, b"OK").is_err());
        assert!(check(Command::Identify, br#"{"tcp_port":1,"http_port":2}"#).is_ok());
    }
}
