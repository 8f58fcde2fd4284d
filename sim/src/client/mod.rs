//! Clients: what they send when a step says so, and what they do with what they read.

pub mod raw;
pub mod wire;

use std::collections::VecDeque;

use self::wire::{Frame, digits, line, mpub, with_body};
use crate::body::{self, Identity};
use crate::book::wire::{Expect, Message, Status, WireBook};
use crate::choice::Draws;
use crate::fail;
use crate::mix::Mix;
use crate::names;
use crate::pipe::Pipe;
use crate::plan::{Step, Verb};

/// Messages that a client remembers although it does not have them any more.
const STALE_MAX: usize = 64;

/// A client of the broker. It outlives its connections.
#[derive(Debug, Default)]
pub struct Client {
    /// Its connection, if it has one.
    pub pipe: Option<u64>,
    /// What it has to send and has not put into its connection.
    unsent: VecDeque<u8>,
    /// The connection is to be closed for sending when all is sent.
    ending: bool,
    input: Vec<u8>,
    /// Messages it has, oldest first.
    pub in_hand: Vec<u64>,
    stale: VecDeque<u64>,
    /// It has said SUB; to which topic and channel.
    pub subscribed: Option<(u64, u64)>,
    identified: bool,
    closing: bool,
    /// It has sent what is no command.
    wild: bool,
    /// Bytes that it reads at a time.
    pace: usize,
    /// It finishes everything at once.
    pub diligent: bool,
    /// Bytes it has put into its connection in all.
    sent_count: u64,
}

impl Client {
    /// Connects, over a new connection.
    pub fn connect(&mut self, pipe: u64) {
        let kept = std::mem::take(&mut self.stale);
        *self = Client { pipe: Some(pipe), pace: 1 << 20, stale: kept, ..Client::default() };
        self.stale.truncate(STALE_MAX);
        self.unsent.extend(b"  V2");
    }

    /// Its connection is gone.
    pub fn lose(&mut self) {
        let mut lost = std::mem::take(&mut self.in_hand);
        self.stale.extend(lost.drain(..));
        let kept = std::mem::take(&mut self.stale);
        *self = Client { stale: kept, ..Client::default() };
    }

    /// Whether it has something to put into its connection.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() || self.ending
    }

    fn say(&mut self, bytes: &[u8]) {
        // What follows on what is no command may be taken for the rest of it.
        if !self.wild {
            self.unsent.extend(bytes);
        }
    }

    /// Puts as much as there is room for into the connection.
    pub fn put(&mut self, pipe: &mut Pipe) {
        if pipe.reset || pipe.client_closed {
            return;
        }
        let (front, _) = self.unsent.as_slices();
        let size = pipe.to_broker.put(front);
        self.unsent.drain(..size);
        self.sent_count += size as u64;
        if self.ending && self.unsent.is_empty() {
            pipe.to_broker.end();
            self.ending = false;
        }
    }

    /// Does a step; false if it is not possible now.
    pub fn act(&mut self, step: &Step, mix: &Mix, wire: &mut WireBook, now_ns: u64, life: u32) -> bool {
        let Some(pipe) = self.pipe else { return false };
        // What follows on what is no command may be taken for the rest of it.
        if self.wild && step.verb != Verb::End {
            return false;
        }
        let [a, b, c, _] = step.operands;
        match step.verb {
            Verb::Identify if !self.identified && self.subscribed.is_none() => {
                self.identified = true;
                let heartbeat = if b == 0 { 30_000 } else { b.clamp(1_000, 60_000) };
                let timeout = if a == 0 { 60_000 } else { a.clamp(1_000, 60_000) };
                let json = format!(
                    "{{\"client_id\":\"c\",\"feature_negotiation\":true,\"msg_timeout\":{timeout},\
                     \"heartbeat_interval\":{heartbeat},\"sample_rate\":{}}}",
                    c.min(99)
                );
                self.say(&with_body("IDENTIFY", json.as_bytes()));
                self.expect(wire, pipe, Expect::Identify);
            }
            Verb::Pub => self.publish(step, a, 1, b, 0, mix, wire, now_ns, life),
            Verb::Mpub => self.publish(step, a, b.clamp(1, 200), c, 0, mix, wire, now_ns, life),
            Verb::Dpub => self.publish(step, a, 1, c, b.clamp(1, 3_600_000), mix, wire, now_ns, life),
            Verb::Sub if self.subscribed.is_none() => {
                let (topic, channel) = (a % mix.topics, b % mix.channels);
                self.subscribed = Some((topic, channel));
                self.say(&line(&format!(
                    "SUB {} {}",
                    names::topic(mix, topic),
                    names::channel(mix, channel)
                )));
                self.expect(wire, pipe, Expect::Sub);
                self.say(&line(&format!("RDY {}", if c == 0 { 2 } else { c.min(2_500) })));
            }
            Verb::Rdy if self.subscribed.is_some() => self.say(&line(&format!("RDY {}", a.min(2_500)))),
            Verb::Fin if !self.in_hand.is_empty() => {
                let at = a as usize % self.in_hand.len();
                let end = (at + b.max(1) as usize).min(self.in_hand.len());
                let ids: Vec<u64> = self.in_hand.drain(at..end).collect();
                ids.into_iter().for_each(|id| self.finish(wire, pipe, id));
            }
            Verb::Req if !self.in_hand.is_empty() => {
                let id = self.in_hand.remove(a as usize % self.in_hand.len());
                self.requeue(wire, pipe, id, b);
            }
            Verb::Touch if !self.in_hand.is_empty() => {
                let id = self.in_hand[a as usize % self.in_hand.len()];
                self.say(&line(&format!("TOUCH {}", digits(id))));
                self.expect(wire, pipe, Expect::Quiet("E_TOUCH_FAILED"));
            }
            Verb::Stale if !self.stale.is_empty() && self.subscribed.is_some() => {
                let id = self.stale[a as usize % self.stale.len()];
                self.say(&line(&format!("FIN {}", digits(id))));
                self.expect(wire, pipe, Expect::Quiet("E_FIN_FAILED"));
            }
            Verb::Cls if self.subscribed.is_some() && !self.closing => {
                self.closing = true;
                self.say(&line("CLS"));
                self.expect(wire, pipe, Expect::Cls);
            }
            Verb::Nop => self.say(&line("NOP")),
            Verb::Raw => {
                self.say(&raw::bytes(a));
                self.wild = true;
                wire.connection(pipe).wild = true;
            }
            Verb::Pace => self.pace = a as usize,
            Verb::End => self.ending = true,
            _ => return false,
        }
        true
    }

    fn expect(&self, wire: &mut WireBook, pipe: u64, expect: Expect) {
        wire.connection(pipe).expects.push_back(expect);
    }

    fn finish(&mut self, wire: &mut WireBook, pipe: u64, id: u64) {
        self.say(&line(&format!("FIN {}", digits(id))));
        self.expect(wire, pipe, Expect::Quiet("E_FIN_FAILED"));
        self.remember(id);
    }

    fn requeue(&mut self, wire: &mut WireBook, pipe: u64, id: u64, delay_ms: u64) {
        self.say(&line(&format!("REQ {} {delay_ms}", digits(id))));
        self.expect(wire, pipe, Expect::Quiet("E_REQ_FAILED"));
        self.remember(id);
    }

    fn remember(&mut self, id: u64) {
        if self.stale.len() == STALE_MAX {
            self.stale.pop_front();
        }
        self.stale.push_back(id);
    }

    #[allow(clippy::too_many_arguments, reason = "what there is to say of a publish")]
    fn publish(
        &mut self,
        step: &Step,
        topic: u64,
        count: u64,
        size: u64,
        defer_ms: u64,
        mix: &Mix,
        wire: &mut WireBook,
        now_ns: u64,
        life: u32,
    ) {
        let Some(pipe) = self.pipe else { return };
        let topic = topic % mix.topics;
        let name = names::topic(mix, topic);
        let (numbers, bodies) = messages(step.number, topic, count, size);
        let bytes = match (step.verb, defer_ms) {
            (Verb::Mpub, _) => mpub(&name, &bodies),
            (_, 0) => with_body(&format!("PUB {name}"), &bodies[0]),
            _ => with_body(&format!("DPUB {name} {defer_ms}"), &bodies[0]),
        };
        // A wild client's commands may be taken for the rest of something else.
        let too_large = bodies[0].len() as u64 > mix.message_bytes;
        for number in &numbers {
            let message = Message { topic, sent_ns: now_ns, life, defer_ms, status: Status::Sent };
            wire.messages.insert(*number, message);
        }
        self.say(&bytes);
        self.expect(wire, pipe, Expect::Publish(numbers, too_large));
    }

    /// Reads what has come in, at its pace, and acts on it. True if anything happened.
    pub fn read(&mut self, pipe: &mut Pipe, mix: &Mix, wire: &mut WireBook, draws: &mut Draws) -> bool {
        let Some(number) = self.pipe else { return false };
        let bytes = pipe.to_client.take(self.pace);
        let any = !bytes.is_empty();
        self.input.extend(bytes);
        let mut at = 0;
        loop {
            match wire::decode(&self.input[at..]) {
                Ok(Some((frame, size))) => {
                    at += size;
                    self.on_frame(number, frame, mix, wire, draws);
                }
                Ok(None) => break,
                Err(why) => fail!("ack1", "client of connection {number} got {why}"),
            }
        }
        self.input.drain(..at);
        any
    }

    /// Whether it would read.
    pub fn wants_to_read(&self) -> bool {
        self.pace > 0
    }

    fn on_frame(&mut self, pipe: u64, frame: Frame, mix: &Mix, wire: &mut WireBook, draws: &mut Draws) {
        match frame {
            Frame::Response(text) if text == b"_heartbeat_" => self.say(&line("NOP")),
            Frame::Response(_) | Frame::Error(_) => {}
            Frame::Message(message) if self.diligent => self.finish(wire, pipe, message.id),
            Frame::Message(message) => match draws.below(100) {
                n if n < mix.lazy => self.in_hand.push(message.id),
                n if n < mix.lazy + 5 => {
                    let delay_ms = *draws.pick(&[0, 0, 1, 100]);
                    self.requeue(wire, pipe, message.id, delay_ms);
                }
                _ => self.finish(wire, pipe, message.id),
            },
        }
    }
}

/// The messages of a step: their numbers and bodies.
pub fn messages(step: u64, topic: u64, count: u64, size: u64) -> (Vec<u64>, Vec<Vec<u8>>) {
    let numbers: Vec<u64> = (0..count).map(|n| body::number(step, n)).collect();
    let bodies = numbers
        .iter()
        .map(|number| body::body(Identity { number: *number, topic: topic as u16 }, size as usize));
    (numbers.clone(), bodies.collect())
}
