//! The body of an MPUB, walked as it arrives.
//!
//! ```text
//!   body size: i32 │ count: i32 │ { size: i32 │ body } × count
//! ```
//!
//! NSQ only checks that the body size is in range and never compares it with what follows: the count and the
//! sizes rule. A batch can so be larger than announced, up to the largest count times the largest message;
//! since it has to be held until its last byte is there, the bodies in sum are bounded by `--max-body-size` as
//! well. Only a client that lies about the body size can notice.

use crate::command::Messages;
use crate::error::{Missing, WireError};
use crate::limits::Limits;
use crate::names::TopicName;
use crate::parse::{Parse, Stop, number};
use crate::verb::Verb;

/// Bytes of the two numbers before the first message.
const HEADER_SIZE: usize = 8;

/// Least bytes of a message in a batch: its size and one byte.
const ENTRY_SIZE_MIN: i64 = 5;

/// How far a batch has been walked. Nothing of it is consumed before it is complete, so offsets count from
/// the start of the input; remembering them makes the walk linear, however small the pieces are.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) topic: TopicName,
    /// Messages whose size and body are there and right.
    index: u32,
    /// Messages announced; 0 until the header has been checked.
    count: u32,
    /// Where the size of message `index` starts.
    offset: usize,
}

impl Batch {
    pub(crate) fn new(topic: TopicName) -> Self {
        Self { topic, index: 0, count: 0, offset: HEADER_SIZE }
    }

    /// The messages and the bytes consumed, once the last byte is there.
    pub(crate) fn advance<'a>(&mut self, limits: &Limits, input: &'a [u8]) -> Parse<(Messages<'a>, usize)> {
        if self.count == 0 {
            self.count = header(limits, input)?;
        }
        while self.index < self.count {
            self.offset = self.message_end(limits, input)?;
            self.index += 1;
        }
        let encoded = input.get(HEADER_SIZE..self.offset).unwrap_or_default();
        Ok((Messages::new(encoded, self.count), self.offset))
    }

    /// Where message `index` ends, once it is there.
    fn message_end(&self, limits: &Limits, input: &[u8]) -> Parse<usize> {
        let size = number(input, self.offset, Verb::Mpub, Missing::MessageSize(self.index))?;
        if size <= 0 {
            return Err(WireError::batch_message_size(self.index, size).into());
        }
        if i64::from(size) > limits.message_size_max {
            return Err(WireError::message_too_big(Verb::Mpub, size, limits.message_size_max).into());
        }
        let end = self.offset + 4 + usize::try_from(size).unwrap_or_default();
        // The first four bytes of the input are the body size, which does not count itself.
        let body_size = i64::try_from(end - 4).unwrap_or(i64::MAX);
        if body_size > limits.body_size_max {
            return Err(WireError::body_too_big(Verb::Mpub, body_size, limits.body_size_max).into());
        }
        if input.len() < end {
            // The size of the next message is looked at together with the end of this one.
            let next = if self.index + 1 < self.count { 4 } else { 0 };
            return Err(Stop::need(end + next, Verb::Mpub, Missing::MessageBody));
        }
        Ok(end)
    }
}

/// Checks body size and count.
fn header(limits: &Limits, input: &[u8]) -> Parse<u32> {
    let body_size = number(input, 0, Verb::Mpub, Missing::BodySize)?;
    if body_size <= 0 {
        return Err(WireError::body_size(Verb::Mpub, body_size).into());
    }
    if i64::from(body_size) > limits.body_size_max {
        let size = i64::from(body_size);
        return Err(WireError::body_too_big(Verb::Mpub, size, limits.body_size_max).into());
    }
    let count = number(input, 4, Verb::Mpub, Missing::MessageCount)?;
    // A positive body size within the limit came first, so the limit is at least 1 and this does not wrap.
    if count <= 0 || i64::from(count) > (limits.body_size_max - 4) / ENTRY_SIZE_MIN {
        return Err(WireError::batch_count(count).into());
    }
    Ok(count.unsigned_abs())
}
