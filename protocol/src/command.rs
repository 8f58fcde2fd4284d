//! Commands: how a line is taken apart, and what a session hands to the broker.

use crate::identify::IdentifyReply;
use crate::names::TopicName;

/// A command that is complete and legal. What it borrows lies in the input given to the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// The answer is inside. Send it, then carry out the upgrades it names.
    Identify(IdentifyReply),
    /// Only where auth is enabled and this connection holds no authorization yet.
    Auth {
        /// 1 to `body_size_max` bytes, for the auth server.
        secret: &'a [u8],
    },
    /// Permissions, consumer limits and the rest are the broker's to check. After success it calls
    /// [`crate::Session::on_subscribed`] before it looks for the next command.
    Sub {
        /// A valid name.
        topic: &'a str,
        /// A valid name.
        channel: &'a str,
    },
    /// The consumer's new credit: how many messages may be in flight to it. No response.
    Rdy {
        /// 0 to `credit_max`.
        count: u64,
    },
    /// No response on success.
    Fin {
        /// Any bytes; see [`crate::MessageId::from_hex`].
        id: &'a [u8; 16],
    },
    /// No response on success.
    Req {
        /// Any bytes; see [`crate::MessageId::from_hex`].
        id: &'a [u8; 16],
        /// Clamped to 0 to `requeue_delay_ns_max`.
        delay_ns: u64,
    },
    /// No response on success.
    Touch {
        /// Any bytes; see [`crate::MessageId::from_hex`].
        id: &'a [u8; 16],
    },
    /// The session is closing from here on: credit 0, and `CLOSE_WAIT` as the response. The client closes.
    Cls,
    /// One message.
    Pub {
        /// A valid name.
        topic: &'a str,
        /// 1 to `message_size_max` bytes.
        body: &'a [u8],
    },
    /// One message for later.
    Dpub {
        /// A valid name.
        topic: &'a str,
        /// 0 to `requeue_delay_ns_max`.
        delay_ns: u64,
        /// 1 to `message_size_max` bytes.
        body: &'a [u8],
    },
    /// The line of an MPUB, once, before its body. NSQ checks the permission and creates the topic at this
    /// point, so the topic exists even if the body turns out to be wrong. No response yet.
    MpubTopic {
        /// A valid name.
        topic: &'a str,
    },
    /// The batch announced by the last [`Command::MpubTopic`], complete and checked.
    Mpub {
        /// The topic of the line, which is no longer in the input.
        topic: TopicName,
        /// At least one.
        messages: Messages<'a>,
    },
}

/// The messages of an MPUB, checked: every body has 1 to `message_size_max` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Messages<'a> {
    /// `{size: u32, body}` for each message, nothing else.
    encoded: &'a [u8],
    count: u32,
}

impl<'a> Messages<'a> {
    pub(crate) fn new(encoded: &'a [u8], count: u32) -> Self {
        Self { encoded, count }
    }

    /// How many messages are left.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of all bodies that are left, in sum.
    pub const fn body_bytes(&self) -> u64 {
        // Each message has four bytes of size before its body.
        self.encoded.len() as u64 - 4 * self.count as u64
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (size, rest) = self.encoded.split_first_chunk()?;
        let (body, rest) = rest.split_at_checked(u32::from_be_bytes(*size) as usize)?;
        self.encoded = rest;
        self.count -= 1;
        Some(body)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count as usize, Some(self.count as usize))
    }
}

impl ExactSizeIterator for Messages<'_> {}

/// A command line without its end, cut at every single space: two spaces make an empty parameter, a trailing
/// one an empty last parameter, a leading one an empty name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// The first word.
    pub(crate) name: &'a [u8],
    /// What follows the first space, where there is one.
    rest: Option<&'a [u8]>,
}

impl<'a> Line<'a> {
    /// `line` without its `\n`. One `\r` at the end is dropped, for those who type.
    pub(crate) fn new(line: &'a [u8]) -> Self {
        let (name, rest) = cut(line.strip_suffix(b"\r").unwrap_or(line));
        Self { name, rest }
    }

    /// The next parameter, or `None` where the line has no more. Those that nobody asks for are ignored.
    pub(crate) fn parameter(&mut self) -> Option<&'a [u8]> {
        let (word, rest) = cut(self.rest?);
        self.rest = rest;
        Some(word)
    }
}

fn cut(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let space = text.iter().position(|&b| b == b' ');
    match space.and_then(|at| text.split_at_checked(at)) {
        Some((word, rest)) => (word, rest.get(1..)),
        None => (text, None),
    }
}

/// A decimal parameter. Digits only, so a sign or a point is `None`; the empty parameter is 0; what is too
/// large for 64 bits silently wraps. All three are NSQ's, and clients have come to depend on the second.
pub(crate) fn parse_number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |n, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(n.wrapping_mul(10).wrapping_add(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Vec<Vec<u8>> {
        let mut line = Line::new(line);
        let mut words = vec![line.name.to_vec()];
        while let Some(word) = line.parameter() {
            words.push(word.to_vec());
        }
        words
    }

    #[test]
    fn a_line_is_cut_at_every_single_space() {
        let cases: [(&[u8], &[&[u8]]); 9] = [
            (b"PUB t", &[b"PUB", b"t"]),
            (b"PUB  t", &[b"PUB", b"", b"t"]),
            (b" NOP", &[b"", b"NOP"]),
            (b"NOP ", &[b"NOP", b""]),
            (b"", &[b""]),
            (b" ", &[b"", b""]),
            (b"SUB t\tx c\r", &[b"SUB", b"t\tx", b"c"]),
            (b"NOP\r\r", &[b"NOP\r"]),
            (b"A\rB", &[b"A\rB"]),
        ];
        for (line, expected) in cases {
            assert_eq!(words(line), expected, "{:?}", line.escape_ascii().to_string());
        }
    }

    #[test]
    fn numbers_are_digits_that_wrap() {
        let cases: [(&[u8], Option<u64>); 10] = [
            (b"", Some(0)),
            (b"0", Some(0)),
            (b"007", Some(7)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551619", Some(3)),
            (b"-1", None),
            (b"+1", None),
            (b"1.0", None),
            (b"1_0", None),
            (b"\xd9\xa1", None),
        ];
        for (digits, expected) in cases {
            assert_eq!(parse_number(digits), expected);
        }
    }

    #[test]
    fn messages_count_down_as_they_are_taken() {
        let mut messages = Messages::new(b"\0\0\0\x01a\0\0\0\x02bc", 2);
        assert_eq!((messages.count(), messages.body_bytes(), messages.len()), (2, 3, 2));
        assert_eq!(messages.next(), Some(&b"a"[..]));
        assert_eq!((messages.count(), messages.body_bytes()), (1, 2));
        assert_eq!(messages.next(), Some(&b"bc"[..]));
        assert_eq!((messages.next(), messages.count(), messages.body_bytes()), (None, 0, 0));
    }
}
