//! One connection's protocol V1, without the connection: bytes go in, steps come out.
//!
//! ```text
//!   "  V1" ──► line ──► PING | REGISTER | UNREGISTER ──► line …
//!                └────► IDENTIFY ──► size ──► body ──► line …
//! ```
//!
//! The caller keeps the bytes; [`Session::next`] says how many of them a step took. How they are cut into reads
//! never changes what comes out. Every error ends the connection, so there is one kind of it.

use nsq_protocol::names::validate;

use crate::identify::{self, BodyError};
use crate::limits::{IDENTIFY_SIZE_MAX, IDENTIFY_TEXT_SIZE_MAX, LINE_SIZE_MAX};
use crate::registry::Announcement;

/// The four bytes that open a connection.
pub const MAGIC: &[u8; 4] = b"  V1";

/// What was read, and what is to be done about it.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Nothing yet; more bytes are needed.
    Incomplete,
    /// The magic; no answer.
    Magic,
    /// `PING`
    Ping,
    /// `IDENTIFY` with its body; at most once.
    Identify(Box<Announcement>),
    /// `REGISTER`, by an identified peer. Both names are valid.
    Register(&'a str, Option<&'a str>),
    /// `UNREGISTER`, by an identified peer. Both names are valid.
    Unregister(&'a str, Option<&'a str>),
    /// The answer is the error's text, and the end.
    Fatal(Fatal<'a>),
}

/// What ends a connection. The texts are in [`Fatal::text`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fatal<'a> {
    /// The first four bytes are no magic.
    BadMagic(&'a [u8]),
    /// The first word of a line is no command.
    UnknownCommand(&'a [u8]),
    /// A line without end.
    LineTooLong,
    /// REGISTER or UNREGISTER come before IDENTIFY.
    NotIdentified,
    /// A second IDENTIFY.
    IdentifiedTwice,
    /// The command has no topic.
    NoTopic(&'static str),
    /// The command's topic is no name.
    BadTopic(&'static str, &'a [u8]),
    /// The command's channel is no name.
    BadChannel(&'static str, &'a [u8]),
    /// The connection ended within IDENTIFY's size.
    NoBodySize,
    /// The connection ended within IDENTIFY's body.
    NoBody,
    /// IDENTIFY announces a body beyond [`IDENTIFY_SIZE_MAX`], or a negative size.
    BodyTooBig,
    /// IDENTIFY's body cannot be used.
    BadBody(BodyError),
}

impl Fatal<'_> {
    /// What the peer is told: a code, and mostly a description. Names come back as they came, so this need not
    /// be UTF-8.
    pub fn text(&self) -> Vec<u8> {
        match *self {
            Self::BadMagic(_) => b"E_BAD_PROTOCOL".to_vec(),
            Self::UnknownCommand(word) => [b"E_INVALID invalid command ", word].concat(),
            Self::LineTooLong => b"E_INVALID line too long".to_vec(),
            Self::NotIdentified => b"E_INVALID client must IDENTIFY".to_vec(),
            Self::IdentifiedTwice => b"E_INVALID cannot IDENTIFY again".to_vec(),
            Self::NoTopic(command) => {
                format!("E_INVALID {command} insufficient number of params").into_bytes()
            }
            Self::BadTopic(command, name) => bad_name("E_BAD_TOPIC", command, "topic", name),
            Self::BadChannel(command, name) => bad_name("E_BAD_CHANNEL", command, "channel", name),
            Self::NoBodySize => b"E_BAD_BODY IDENTIFY failed to read body size".to_vec(),
            Self::NoBody => b"E_BAD_BODY IDENTIFY failed to read body".to_vec(),
            Self::BodyTooBig => b"E_BAD_BODY IDENTIFY body too big".to_vec(),
            Self::BadBody(BodyError::Json) => b"E_BAD_BODY IDENTIFY failed to decode JSON body".to_vec(),
            Self::BadBody(BodyError::MissingFields) => b"E_BAD_BODY IDENTIFY missing fields".to_vec(),
            Self::BadBody(BodyError::TextTooLong) => {
                format!("E_BAD_BODY IDENTIFY field longer than {IDENTIFY_TEXT_SIZE_MAX} bytes").into_bytes()
            }
        }
    }
}

fn bad_name(code: &str, command: &str, what: &str, name: &[u8]) -> Vec<u8> {
    [format!("{code} {command} {what} name '").as_bytes(), name, b"' is not valid"].concat()
}

/// How far a connection has come. Two bytes and a size, so that thousands of idle ones cost nothing.
#[derive(Debug)]
pub struct Session {
    state: State,
    identified: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Magic,
    Line,
    BodySize,
    Body { size: usize },
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// A connection that has not said anything.
    pub fn new() -> Self {
        Self { state: State::Magic, identified: false }
    }

    /// The next step, and how many bytes of `input` it took. To be called until it is incomplete; the bytes that
    /// were not taken must come again, with more behind them. They are at most [`LINE_SIZE_MAX`] or
    /// [`IDENTIFY_SIZE_MAX`].
    pub fn next<'a>(&mut self, input: &'a [u8]) -> (usize, Step<'a>) {
        match self.state {
            State::Magic => self.magic(input),
            State::Line => self.line(input),
            State::BodySize => self.body_size(input),
            State::Body { size } => self.body(input, size),
        }
    }

    /// What the peer is told when it has ended the connection and nothing complete is left.
    pub fn end(&self) -> Option<Fatal<'static>> {
        match self.state {
            State::Magic | State::Line => None,
            State::BodySize => Some(Fatal::NoBodySize),
            State::Body { .. } => Some(Fatal::NoBody),
        }
    }

    fn magic<'a>(&mut self, input: &'a [u8]) -> (usize, Step<'a>) {
        match input.split_at_checked(MAGIC.len()) {
            None => (0, Step::Incomplete),
            Some((magic, _)) if magic == MAGIC => {
                self.state = State::Line;
                (MAGIC.len(), Step::Magic)
            }
            Some((other, _)) => (MAGIC.len(), Step::Fatal(Fatal::BadMagic(other))),
        }
    }

    fn line<'a>(&mut self, input: &'a [u8]) -> (usize, Step<'a>) {
        let Some(size) = input.iter().take(LINE_SIZE_MAX + 1).position(|&byte| byte == b'\n') else {
            let is_too_long = input.len() > LINE_SIZE_MAX;
            return (0, if is_too_long { Step::Fatal(Fatal::LineTooLong) } else { Step::Incomplete });
        };
        let mut words = trim(&input[..size]).split(|&byte| byte == b' ');
        let command = words.next().unwrap_or_default();
        let step = match command {
            b"PING" => Ok(Step::Ping),
            b"IDENTIFY" if self.identified => Err(Fatal::IdentifiedTwice),
            b"IDENTIFY" => {
                self.state = State::BodySize;
                // The line alone asks for nothing; its body comes next.
                let (taken, step) = self.next(&input[size + 1..]);
                return (size + 1 + taken, step);
            }
            b"REGISTER" => {
                self.names("REGISTER", words).map(|(topic, channel)| Step::Register(topic, channel))
            }
            b"UNREGISTER" => {
                self.names("UNREGISTER", words).map(|(topic, channel)| Step::Unregister(topic, channel))
            }
            unknown => Err(Fatal::UnknownCommand(unknown)),
        };
        (size + 1, step.unwrap_or_else(Step::Fatal))
    }

    /// The topic and perhaps the channel behind a command; further words are ignored, and an empty channel is
    /// none.
    fn names<'a>(
        &self,
        command: &'static str,
        mut words: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(&'a str, Option<&'a str>), Fatal<'a>> {
        if !self.identified {
            return Err(Fatal::NotIdentified);
        }
        let topic = words.next().ok_or(Fatal::NoTopic(command))?;
        let topic = validate(topic).ok_or(Fatal::BadTopic(command, topic))?;
        match words.next() {
            None | Some(b"") => Ok((topic, None)),
            Some(channel) => Ok((topic, Some(validate(channel).ok_or(Fatal::BadChannel(command, channel))?))),
        }
    }

    fn body_size<'a>(&mut self, input: &'a [u8]) -> (usize, Step<'a>) {
        let Some((size, rest)) = input.split_first_chunk::<4>() else { return (0, Step::Incomplete) };
        match usize::try_from(i32::from_be_bytes(*size)) {
            Ok(size) if size <= IDENTIFY_SIZE_MAX => {
                self.state = State::Body { size };
                let (taken, step) = self.body(rest, size);
                (4 + taken, step)
            }
            _ => (4, Step::Fatal(Fatal::BodyTooBig)),
        }
    }

    fn body<'a>(&mut self, input: &'a [u8], size: usize) -> (usize, Step<'a>) {
        let Some(body) = input.get(..size) else { return (0, Step::Incomplete) };
        self.state = State::Line;
        match identify::decode(body) {
            Ok(announcement) => {
                self.identified = true;
                (size, Step::Identify(Box::new(announcement)))
            }
            Err(error) => (size, Step::Fatal(Fatal::BadBody(error))),
        }
    }
}

/// Without white space on both sides; that includes the vertical tab, as in NSQ.
fn trim(line: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let start = line.iter().position(|byte| !is_space(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}

#[cfg(test)]
mod tests;
