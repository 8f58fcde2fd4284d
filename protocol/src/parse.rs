//! Items at the start of bytes that may not all be there yet: lines, numbers, bodies.

use memchr::memchr;

use crate::command::Line;
use crate::error::{Missing, WireError};
use crate::limits::{LINE_MAX, Limits};
use crate::verb::Verb;

/// Why a parser could not hand out a step.
pub(crate) enum Stop {
    /// More bytes are needed: `wanted` in all. `missing` is what the peer owes if it stops here.
    Need {
        wanted: usize,
        missing: Option<(Verb, Missing)>,
    },
    Fatal(WireError),
    Close,
}

pub(crate) type Parse<T> = Result<T, Stop>;

impl Stop {
    pub(crate) fn need(wanted: usize, verb: Verb, missing: Missing) -> Self {
        Self::Need { wanted, missing: Some((verb, missing)) }
    }
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Fatal(error)
    }
}

/// The first line of `input` and where the next byte after its `\n` is. `scanned` bytes are known to hold no
/// `\n` and are not looked at again.
pub(crate) fn find_line<'a>(input: &'a [u8], scanned: &mut usize) -> Parse<(Line<'a>, usize)> {
    let window = input.get(*scanned..input.len().min(LINE_MAX)).unwrap_or_default();
    if let Some(at) = memchr(b'\n', window) {
        let at = *scanned + at;
        return Ok((Line::new(input.get(..at).unwrap_or_default()), at + 1));
    }
    if input.len() >= LINE_MAX {
        return Err(Stop::Close);
    }
    *scanned = input.len();
    Err(Stop::Need { wanted: input.len() + 1, missing: None })
}

/// The number at `at`, which belongs to a command `verb`; without it `missing` is owed.
pub(crate) fn number(input: &[u8], at: usize, verb: Verb, missing: Missing) -> Parse<i32> {
    let bytes = input.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map(|b| i32::from_be_bytes(*b)).ok_or_else(|| Stop::need(at + 4, verb, missing))
}

/// What follows a line that takes a body: its size in four bytes, then the body.
pub(crate) struct Body<'a> {
    pub(crate) verb: Verb,
    /// All that was received and not consumed.
    pub(crate) input: &'a [u8],
    /// Where the size starts.
    pub(crate) at: usize,
}

impl<'a> Body<'a> {
    /// The body of IDENTIFY or AUTH, and where it ends.
    pub(crate) fn settings(&self, limits: &Limits) -> Parse<(&'a [u8], usize)> {
        let size = number(self.input, self.at, self.verb, Missing::BodySize)?;
        if i64::from(size) > limits.body_size_max {
            return Err(WireError::body_too_big(self.verb, size.into(), limits.body_size_max).into());
        }
        if size <= 0 {
            return Err(WireError::body_size(self.verb, size).into());
        }
        self.bytes(size)
    }

    /// The message of PUB or DPUB, and where it ends.
    pub(crate) fn message(&self, limits: &Limits) -> Parse<(&'a [u8], usize)> {
        let size = number(self.input, self.at, self.verb, Missing::BodySize)?;
        if size <= 0 {
            return Err(WireError::message_size(self.verb, size).into());
        }
        if i64::from(size) > limits.message_size_max {
            return Err(WireError::message_too_big(self.verb, size, limits.message_size_max).into());
        }
        self.bytes(size)
    }

    fn bytes(&self, size: i32) -> Parse<(&'a [u8], usize)> {
        let start = self.at + 4;
        let end = start + usize::try_from(size).unwrap_or_default();
        let body = self.input.get(start..end).ok_or_else(|| Stop::need(end, self.verb, Missing::Body))?;
        Ok((body, end))
    }
}
