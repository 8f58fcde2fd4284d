//! The wire's book: what each client has sent, and what it is owed.

use std::collections::{BTreeMap, VecDeque};

use crate::book::Excuses;
use crate::book::log::LogBook;
use crate::client::wire::{self, Frame};
use crate::fail;
use crate::mix::Mix;
use crate::names;

/// A message that somebody published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its topic, by number.
    pub topic: u64,
    /// When its client sent it, monotonic ns.
    pub sent_ns: u64,
    /// In which life.
    pub life: u32,
    /// Its delay.
    pub defer_ms: u64,
    /// What has become of it.
    pub status: Status,
}

/// What a publisher knows of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing.
    Sent,
    /// It was taken, then.
    Ok(u64),
    /// It was refused.
    Refused,
}

/// An answer that is owed, or may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// To IDENTIFY.
    Identify,
    /// To a publish of these messages; with `true` they are too large.
    Publish(Vec<u64>, bool),
    /// To SUB.
    Sub,
    /// To CLS.
    Cls,
    /// An error, of this name, may come; nothing if all went well.
    Quiet(&'static str),
}

/// A connection as the auditor sees it.
#[derive(Debug, Default)]
pub struct Connection {
    /// Answers in the order of the commands.
    pub expects: VecDeque<Expect>,
    /// It has sent something that is no command: anything may follow, but whole frames.
    pub wild: bool,
    /// A fatal error was sent: nothing follows.
    over: bool,
    /// The beginning of a frame.
    tail: Vec<u8>,
    /// What the queue has dealt and the connection was not sent yet: ids and attempts.
    pub dealt: VecDeque<(u64, u16)>,
    /// OKs that were handed to the transport.
    pub ok_count: u64,
}

/// The book of all connections.
#[derive(Debug, Default)]
pub struct WireBook {
    /// By number of the connection.
    pub connections: BTreeMap<u64, Connection>,
    /// By core and slot, the connection.
    pub slots: BTreeMap<(u16, u64), u64>,
    /// By the number in the body.
    pub messages: BTreeMap<u64, Message>,
}

impl WireBook {
    /// A life has ended, and every connection with it.
    pub fn end_life(&mut self) {
        self.connections.clear();
        self.slots.clear();
    }

    /// The connection of a client.
    pub fn connection(&mut self, pipe: u64) -> &mut Connection {
        self.connections.entry(pipe).or_default()
    }

    /// The broker hands bytes for a client to its transport.
    #[allow(clippy::too_many_arguments, reason = "the parts of the book that a look at the wire needs")]
    pub fn on_send(
        &mut self,
        pipe: u64,
        bytes: &[u8],
        now_ns: u64,
        life: u32,
        mix: &Mix,
        log: &LogBook,
        excuses: Excuses,
    ) {
        let connection = self.connections.entry(pipe).or_default();
        let mut all = std::mem::take(&mut connection.tail);
        all.extend_from_slice(bytes);
        let mut rest: &[u8] = &all;
        loop {
            match wire::decode(rest) {
                Ok(Some((frame, size))) => {
                    rest = &rest[size..];
                    on_frame(&mut self.messages, connection, pipe, frame, now_ns, life, mix, log, excuses);
                }
                Ok(None) => break,
                Err(why) => fail!("ack1", "connection {pipe} was sent {why}"),
            }
        }
        connection.tail = rest.to_vec();
    }
}

#[allow(clippy::too_many_arguments, reason = "as above")]
fn on_frame(
    messages: &mut BTreeMap<u64, Message>,
    connection: &mut Connection,
    pipe: u64,
    frame: Frame,
    now_ns: u64,
    life: u32,
    mix: &Mix,
    log: &LogBook,
    excuses: Excuses,
) {
    if connection.over {
        fail!("ack1", "connection {pipe} was sent {frame:?} behind a fatal error");
    }
    match frame {
        Frame::Message(message) => match connection.dealt.pop_front() {
            Some(dealt) if dealt == (message.id, message.attempts) => {}
            dealt => fail!(
                "del8",
                "connection {pipe} was sent {:x} (attempt {}), and the queue dealt {dealt:x?}",
                message.id,
                message.attempts
            ),
        },
        Frame::Response(text) if text == b"_heartbeat_" => {}
        Frame::Response(_) | Frame::Error(_) if connection.wild => {}
        Frame::Response(text) => {
            while matches!(connection.expects.front(), Some(Expect::Quiet(_))) {
                connection.expects.pop_front();
            }
            let expected = connection.expects.pop_front();
            match (&expected, text.as_slice()) {
                (Some(Expect::Publish(numbers, false)), b"OK") => {
                    connection.ok_count += 1;
                    for number in numbers {
                        if let Some(message) = messages.get_mut(number) {
                            check_ok(*number, message, mix, log);
                            message.status = Status::Ok(now_ns);
                            if message.life != life {
                                fail!(
                                    "ack1",
                                    "message {number:x} of life {} has its OK in life {life}",
                                    message.life
                                );
                            }
                        }
                    }
                }
                (Some(Expect::Sub), b"OK") | (Some(Expect::Cls), b"CLOSE_WAIT") => {}
                (Some(Expect::Identify), text) if text == b"OK" || text.starts_with(b"{") => {}
                _ => fail!(
                    "ack1",
                    "connection {pipe} was sent {:?} where {expected:?} was owed",
                    String::from_utf8_lossy(&text)
                ),
            }
        }
        Frame::Error(text) => on_error(messages, connection, pipe, &text, excuses),
    }
}

fn on_error(
    messages: &mut BTreeMap<u64, Message>,
    connection: &mut Connection,
    pipe: u64,
    text: &str,
    excuses: Excuses,
) {
    let name = text.split(' ').next().unwrap_or_default();
    if text.contains("failed to read") {
        // It took so long over a command that the broker has given it up.
        connection.over = true;
        return;
    }
    loop {
        match connection.expects.pop_front() {
            Some(Expect::Quiet(expected)) if expected == name => return,
            Some(Expect::Quiet(_)) => {}
            Some(Expect::Publish(numbers, too_large)) => {
                let right = match name {
                    "E_PUB_FAILED" | "E_MPUB_FAILED" | "E_DPUB_FAILED" => !too_large,
                    "E_BAD_MESSAGE" | "E_BAD_BODY" => too_large,
                    _ => false,
                };
                if !right {
                    fail!("ack1", "connection {pipe} was sent {text:?} as the answer to a publish");
                }
                if !(too_large || excuses.disk || excuses.stopping || excuses.deleted) {
                    fail!("ack6", "connection {pipe} was sent {text:?} without any reason for it");
                }
                for number in numbers {
                    if let Some(message) = messages.get_mut(&number) {
                        message.status = Status::Refused;
                    }
                }
                connection.over = true;
                return;
            }
            Some(Expect::Sub) if name == "E_SUB_FAILED" && excuses.deleted => {
                connection.over = true;
                return;
            }
            expected => fail!("ack1", "connection {pipe} was sent {text:?} where {expected:?} was owed"),
        }
    }
}

/// ack2: what is in the log when an OK is handed to the transport.
pub fn check_ok(number: u64, message: &Message, mix: &Mix, log: &LogBook) {
    // Topics in memory have no log, and what `async` promises is checked when a life has ended.
    if mix.durability == 2 || names::is_ephemeral_topic(mix, message.topic) {
        return;
    }
    let Some(place) = log.messages.get(&number) else {
        fail!("ack2", "message {number:x} has its OK and is in no frame")
    };
    let Some(shard) = log.shards.get(&place.shard) else { return };
    let (upto, what) = match mix.durability {
        0 => (shard.durable_upto, "durable"),
        _ => (shard.written_upto, "written"),
    };
    if place.frame > upto {
        fail!(
            "ack2",
            "message {number:x} has its OK, and frame {} of shard {} is not {what}: all are up to {upto}",
            place.frame,
            place.shard
        );
    }
}
