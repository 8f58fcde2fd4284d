//! One client connection: which command comes next in its bytes, and whether it is legal now.
//!
//! | command | init | subscribed | closing |
//! |---|---|---|---|
//! | IDENTIFY, AUTH, SUB | yes | fatal | fatal |
//! | RDY | fatal | yes | ignored |
//! | FIN, REQ, TOUCH | fatal | yes | yes |
//! | CLS | fatal | yes | fatal |
//! | PUB, MPUB, DPUB, NOP | yes | yes | yes |
//!
//! The order of the checks within a command is visible to clients, and is NSQ's: state, then parameters from
//! left to right, then the body's size, then the body.

use crate::command::{Command, Line, parse_number};
use crate::error::{Missing, WireError};
use crate::identify::{self, Identity};
use crate::limits::{Limits, MAGIC_V2, NS_PER_MS};
use crate::mpub::Batch;
use crate::names::{TopicName, validate};
use crate::parse::{Body, Parse, Stop, find_line};
use crate::verb::Verb;

/// Where a connection stands. The numbers are those of NSQ's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Connected, not subscribed; a mere producer stays here.
    Init = 0,
    /// SUB succeeded.
    Subscribed = 3,
    /// CLS was sent: no new messages, but those in flight may still be finished.
    Closing = 4,
}

/// What [`Session::next`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The next item is incomplete. Nothing is consumed; call again with the same bytes and more after them.
    NeedMore,
    /// The magic, a NOP, or an ignored RDY: drop that many bytes and go on. It counts as a sign of life.
    Consumed(usize),
    /// Act on the command, drop that many bytes, go on.
    Command {
        /// Bytes from the start of the input.
        consumed: usize,
        /// What to do.
        command: Command<'a>,
    },
    /// Write the error frame, flush it, close. The rest of the input is not run.
    Fatal(WireError),
    /// Close without a frame: a line that is too long.
    Close,
}

/// What the next bytes are.
#[derive(Debug)]
enum Phase {
    Magic,
    /// A command line; that many bytes at the start of the input are known to hold no `\n`.
    Line {
        scanned: usize,
    },
    /// The body of an MPUB whose line is consumed.
    Batch(Batch),
}

/// The protocol state of one connection. Owned by the core that owns the connection, and moves with it.
///
/// ```text
///   loop: read ─► next ─┬─ NeedMore ──────────► read again
///                       ├─ Consumed, Command ─► drop the bytes, next again
///                       └─ Fatal, Close ──────► the end; the session is of no further use
/// ```
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    state: State,
    identity: Identity,
    identified: bool,
    tls: bool,
    authorized: bool,
    wanted: usize,
    missing: Option<(Verb, Missing)>,
}

impl Session {
    /// A connection from `remote_ip` (empty for a unix socket) that has not sent anything. The address stands
    /// for its id and host name until it identifies itself.
    pub fn new(remote_ip: String, limits: &Limits) -> Self {
        Self {
            phase: Phase::Magic,
            state: State::Init,
            identity: Identity::new(remote_ip, limits),
            identified: false,
            tls: false,
            authorized: false,
            wanted: MAGIC_V2.len(),
            missing: None,
        }
    }

    /// Where the connection stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Who the client says it is, and the settings in force.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Bytes of input, in all, without which [`Session::next`] cannot get on; at least one more than
    /// `input_len`. A client can announce more than it ever sends, but not more than the limits allow.
    pub fn wanted(&self, input_len: usize) -> usize {
        self.wanted.max(input_len.saturating_add(1))
    }

    /// The SUB handed out last succeeded.
    pub fn on_subscribed(&mut self) {
        self.state = State::Subscribed;
    }

    /// The AUTH handed out last gave at least one authorization.
    pub fn on_authorized(&mut self) {
        self.authorized = true;
    }

    /// The TLS handshake that IDENTIFY negotiated succeeded.
    pub fn on_tls_started(&mut self) {
        self.tls = true;
    }

    /// The next step in `input`, which is all that was received and not consumed, in one piece. Looking at
    /// the same bytes again is cheap: lines and batches are not scanned twice.
    pub fn next<'a>(&mut self, limits: &Limits, input: &'a [u8]) -> Step<'a> {
        match self.advance(limits, input) {
            Ok(step) => {
                self.wanted = 0;
                self.missing = None;
                step
            }
            Err(Stop::Need { wanted, missing }) => {
                self.wanted = wanted;
                self.missing = missing;
                Step::NeedMore
            }
            Err(Stop::Fatal(error)) => Step::Fatal(error),
            Err(Stop::Close) => Step::Close,
        }
    }

    /// The peer closed its sending side, or its deadline passed, and `input` is left: the error it still gets.
    /// `None` between commands and within a line, where NSQ just closes, and where `input` holds a whole
    /// command after all, which is to be run first.
    pub fn end(&mut self, limits: &Limits, input: &[u8]) -> Option<WireError> {
        match self.next(limits, input) {
            Step::NeedMore => self.missing.map(|(verb, missing)| WireError::truncated(verb, missing)),
            Step::Fatal(error) => Some(error),
            Step::Consumed(_) | Step::Command { .. } | Step::Close => None,
        }
    }

    fn advance<'a>(&mut self, limits: &Limits, input: &'a [u8]) -> Parse<Step<'a>> {
        match &mut self.phase {
            Phase::Line { scanned } => {
                let (line, end) = find_line(input, scanned)?;
                self.line(limits, line, input, end)
            }
            Phase::Batch(batch) => {
                let (messages, consumed) = batch.advance(limits, input)?;
                let topic = batch.topic;
                self.phase = Phase::Line { scanned: 0 };
                Ok(Step::Command { consumed, command: Command::Mpub { topic, messages } })
            }
            Phase::Magic => {
                let Some(magic) = input.first_chunk() else {
                    return Err(Stop::Need { wanted: MAGIC_V2.len(), missing: None });
                };
                if magic != MAGIC_V2 {
                    return Err(WireError::bad_protocol().into());
                }
                self.phase = Phase::Line { scanned: 0 };
                Ok(Step::Consumed(MAGIC_V2.len()))
            }
        }
    }

    /// A whole line, ending before `input[end]`; where it has a body, that starts there.
    fn line<'a>(&mut self, limits: &Limits, line: Line<'a>, input: &'a [u8], end: usize) -> Parse<Step<'a>> {
        let verb = Verb::parse(line.name);
        // IDENTIFY is how TLS begins, so the TLS policy cannot stand in its way.
        if limits.tls_required && !self.tls && verb != Some(Verb::Identify) {
            return Err(WireError::tls_required(line.name).into());
        }
        let Some(verb) = verb else { return Err(WireError::unknown_command(line.name).into()) };
        let body = Body { verb, input, at: end };
        let (command, consumed) = match verb {
            Verb::Pub => self.publish(limits, line, &body)?,
            Verb::Fin => (Command::Fin { id: self.in_flight(verb, line)? }, end),
            Verb::Rdy if self.state == State::Closing => return Ok(self.skip(end)),
            Verb::Rdy => (self.rdy(limits, line)?, end),
            Verb::Mpub => return self.mpub(limits, line, end),
            Verb::Nop => return Ok(self.skip(end)),
            Verb::Req => (self.req(limits, line)?, end),
            Verb::Touch => (Command::Touch { id: self.in_flight(verb, line)? }, end),
            Verb::Dpub => self.dpub(limits, line, &body)?,
            Verb::Sub => (self.sub(limits, line)?, end),
            Verb::Cls => (self.cls()?, end),
            Verb::Identify => self.identify(limits, &body)?,
            Verb::Auth => self.auth(limits, line, &body)?,
        };
        self.phase = Phase::Line { scanned: 0 };
        Ok(Step::Command { consumed, command })
    }

    fn skip<'a>(&mut self, consumed: usize) -> Step<'a> {
        self.phase = Phase::Line { scanned: 0 };
        Step::Consumed(consumed)
    }

    fn expect_state(&self, verb: Verb, legal: &[State]) -> Parse<()> {
        if legal.contains(&self.state) { Ok(()) } else { Err(WireError::state(verb).into()) }
    }

    /// A connection without any authorization gets this far and no further. What it may do with those it has,
    /// only the broker can tell.
    fn expect_authorized(&self, limits: &Limits, verb: Verb) -> Parse<()> {
        if limits.auth_enabled && !self.authorized { Err(WireError::auth_first(verb).into()) } else { Ok(()) }
    }

    fn identify<'a>(&mut self, limits: &Limits, body: &Body<'a>) -> Parse<(Command<'a>, usize)> {
        self.expect_state(Verb::Identify, &[State::Init])?;
        let (json, consumed) = body.settings(limits)?;
        let mut reply = identify::identify(json, limits, &mut self.identity)?;
        reply.first = !self.identified;
        self.identified = true;
        Ok((Command::Identify(reply), consumed))
    }

    fn auth<'a>(&self, limits: &Limits, mut line: Line<'a>, body: &Body<'a>) -> Parse<(Command<'a>, usize)> {
        self.expect_state(Verb::Auth, &[State::Init])?;
        if line.parameter().is_some() {
            return Err(WireError::parameters(Verb::Auth).into());
        }
        let (secret, consumed) = body.settings(limits)?;
        if self.authorized {
            return Err(WireError::auth_already_set().into());
        }
        if !limits.auth_enabled {
            return Err(WireError::auth_disabled().into());
        }
        Ok((Command::Auth { secret }, consumed))
    }

    fn sub<'a>(&self, limits: &Limits, mut line: Line<'a>) -> Parse<Command<'a>> {
        self.expect_state(Verb::Sub, &[State::Init])?;
        if self.identity.heartbeat_interval_ms.is_none() {
            return Err(WireError::sub_without_heartbeats().into());
        }
        let (Some(topic), Some(channel)) = (line.parameter(), line.parameter()) else {
            return Err(WireError::parameters(Verb::Sub).into());
        };
        let topic = validate(topic).ok_or_else(|| WireError::bad_topic(Verb::Sub, topic))?;
        let channel = validate(channel).ok_or_else(|| WireError::bad_channel(Verb::Sub, channel))?;
        self.expect_authorized(limits, Verb::Sub)?;
        Ok(Command::Sub { topic, channel })
    }

    fn rdy<'a>(&self, limits: &Limits, mut line: Line<'a>) -> Parse<Command<'a>> {
        self.expect_state(Verb::Rdy, &[State::Subscribed])?;
        let count = match line.parameter() {
            // No number is 1, an empty one 0.
            None => 1,
            Some(raw) => {
                parse_number(raw).ok_or_else(|| WireError::bad_number(Verb::Rdy, raw))?.cast_signed()
            }
        };
        if !(0..=limits.credit_max).contains(&count) {
            return Err(WireError::credit_range(count, limits.credit_max).into());
        }
        Ok(Command::Rdy { count: count.unsigned_abs() })
    }

    /// All of FIN and TOUCH.
    fn in_flight<'a>(&self, verb: Verb, mut line: Line<'a>) -> Parse<&'a [u8; 16]> {
        self.expect_state(verb, &[State::Subscribed, State::Closing])?;
        message_id(line.parameter().ok_or_else(|| WireError::parameters(verb))?)
    }

    fn req<'a>(&self, limits: &Limits, mut line: Line<'a>) -> Parse<Command<'a>> {
        self.expect_state(Verb::Req, &[State::Subscribed, State::Closing])?;
        // A missing delay outranks a bad id.
        let (Some(id), Some(raw)) = (line.parameter(), line.parameter()) else {
            return Err(WireError::parameters(Verb::Req).into());
        };
        let id = message_id(id)?;
        let (_, delay_ns) = milliseconds(Verb::Req, raw)?;
        let delay_ns = delay_ns.clamp(0, limits.requeue_delay_ns_max.max(0));
        Ok(Command::Req { id, delay_ns: delay_ns.unsigned_abs() })
    }

    fn cls<'a>(&mut self) -> Parse<Command<'a>> {
        self.expect_state(Verb::Cls, &[State::Subscribed])?;
        self.state = State::Closing;
        Ok(Command::Cls)
    }

    fn publish<'a>(
        &self,
        limits: &Limits,
        mut line: Line<'a>,
        body: &Body<'a>,
    ) -> Parse<(Command<'a>, usize)> {
        let topic = line.parameter().ok_or_else(|| WireError::parameters(Verb::Pub))?;
        let topic = validate(topic).ok_or_else(|| WireError::bad_topic(Verb::Pub, topic))?;
        let (body, consumed) = body.message(limits)?;
        self.expect_authorized(limits, Verb::Pub)?;
        Ok((Command::Pub { topic, body }, consumed))
    }

    fn dpub<'a>(&self, limits: &Limits, mut line: Line<'a>, body: &Body<'a>) -> Parse<(Command<'a>, usize)> {
        let (Some(topic), Some(raw)) = (line.parameter(), line.parameter()) else {
            return Err(WireError::parameters(Verb::Dpub).into());
        };
        let topic = validate(topic).ok_or_else(|| WireError::bad_topic(Verb::Dpub, topic))?;
        let (delay_ms, delay_ns) = milliseconds(Verb::Dpub, raw)?;
        if !(0..=limits.requeue_delay_ns_max).contains(&delay_ns) {
            return Err(WireError::delay_range(delay_ms, limits.requeue_delay_ns_max / NS_PER_MS).into());
        }
        let (body, consumed) = body.message(limits)?;
        self.expect_authorized(limits, Verb::Dpub)?;
        Ok((Command::Dpub { topic, delay_ns: delay_ns.unsigned_abs(), body }, consumed))
    }

    fn mpub<'a>(&mut self, limits: &Limits, mut line: Line<'a>, end: usize) -> Parse<Step<'a>> {
        let raw = line.parameter().ok_or_else(|| WireError::parameters(Verb::Mpub))?;
        let (Some(topic), Some(name)) = (validate(raw), TopicName::new(raw)) else {
            return Err(WireError::bad_topic(Verb::Mpub, raw).into());
        };
        self.expect_authorized(limits, Verb::Mpub)?;
        self.phase = Phase::Batch(Batch::new(name));
        Ok(Step::Command { consumed: end, command: Command::MpubTopic { topic } })
    }
}

/// An id is 16 bytes. What they are is not looked at: an id that was never given out is just not in flight.
fn message_id(raw: &[u8]) -> Parse<&[u8; 16]> {
    Ok(raw.try_into().map_err(|_| WireError::bad_message_id())?)
}

/// A delay in milliseconds, as it was sent and in nanoseconds. Both conversions wrap, as NSQ's do: a delay that
/// is absurdly large may come out negative, or as anything else.
fn milliseconds(verb: Verb, raw: &[u8]) -> Parse<(u64, i64)> {
    let ms = parse_number(raw).ok_or_else(|| WireError::bad_number(verb, raw))?;
    Ok((ms, ms.cast_signed().wrapping_mul(NS_PER_MS)))
}

#[cfg(test)]
mod tests;
