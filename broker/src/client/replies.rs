//! Answers of one connection, in the order of its commands.
//!
//! Clients match answers to publishes by order alone. Commits of different shards end in any order, so an answer
//! that is ready early waits here for those before it. Message and heartbeat frames do not pass through here: they
//! may appear anywhere between answers.

use std::collections::VecDeque;

use nsq_protocol::WireError;
use nsq_protocol::frame::{OK_FRAME, encode_error};

use crate::limits::UNANSWERED_PUBLISH_BYTES;

/// The three publishing commands; their refusals differ by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishVerb {
    /// `PUB`
    Pub,
    /// `MPUB`
    Mpub,
    /// `DPUB`
    Dpub,
}

/// One command's place in the order of answers of its connection. Counts from 0, never reused.
pub type ReplyNumber = u64;

/// A frame that is ready to be written.
#[derive(Debug)]
pub enum Answer {
    /// The `OK` frame.
    Ok,
    /// A whole encoded frame; the connection goes on.
    Frame(Box<[u8]>),
    /// A whole encoded error frame; the connection ends behind it.
    Last(Box<[u8]>),
}

impl Answer {
    /// A non-fatal error.
    pub fn frame(error: &WireError) -> Self {
        Answer::Frame(encoded(error))
    }

    /// A fatal error.
    pub fn last(error: &WireError) -> Self {
        Answer::Last(encoded(error))
    }
}

fn encoded(error: &WireError) -> Box<[u8]> {
    let mut frame = Vec::new();
    encode_error(&mut frame, error);
    frame.into()
}

#[derive(Debug)]
enum Place {
    /// A publish, and what it is counted as.
    Waiting {
        verb: PublishVerb,
        bytes: u32,
    },
    Ready(Answer),
}

/// The answers that a connection still owes its client. Owned by the connection, on its core.
#[derive(Debug, Default)]
pub struct Replies {
    /// Number of the place at the front.
    front: ReplyNumber,
    places: VecDeque<Place>,
    /// What the publishes that wait are counted as, in sum.
    bytes: u64,
    ended: bool,
}

impl Replies {
    /// Takes the next place in the order, to be answered by [`Replies::complete`], for a publish of so many bytes.
    pub fn wait(&mut self, verb: PublishVerb, body_bytes: u64) -> ReplyNumber {
        let bytes = u32::try_from(body_bytes + UNANSWERED_PUBLISH_BYTES as u64).unwrap_or(u32::MAX);
        self.bytes += u64::from(bytes);
        self.places.push_back(Place::Waiting { verb, bytes });
        self.front + self.places.len() as u64 - 1
    }

    /// Answers a command at once, behind everything that still waits.
    pub fn push(&mut self, answer: Answer, out: &mut Vec<u8>) {
        if self.places.is_empty() {
            self.front += 1;
            self.write(&answer, out);
        } else {
            self.places.push_back(Place::Ready(answer));
        }
    }

    /// Answers `count` commands from `first` on with `OK`.
    pub fn complete_ok(&mut self, first: ReplyNumber, count: u64, out: &mut Vec<u8>) {
        if first == self.front {
            // The common case: the oldest commands are answered first, nothing has to be remembered.
            let ready = count.min(self.places.len() as u64);
            for _ in 0..ready {
                if let Some(Place::Waiting { bytes, .. }) = self.places.pop_front() {
                    self.bytes -= u64::from(bytes);
                }
                if !self.ended {
                    out.extend_from_slice(OK_FRAME);
                }
            }
            self.front += ready;
            self.drain(out);
        } else {
            for number in first..first + count {
                self.set(number, Answer::Ok);
            }
        }
    }

    /// Answers one waiting command.
    pub fn complete(&mut self, number: ReplyNumber, answer: Answer, out: &mut Vec<u8>) {
        self.set(number, answer);
        self.drain(out);
    }

    /// Which command waits at `number`; its refusal is worded accordingly.
    pub fn verb(&self, number: ReplyNumber) -> PublishVerb {
        let index = number.checked_sub(self.front).map(|index| index as usize);
        match index.and_then(|index| self.places.get(index)) {
            Some(Place::Waiting { verb, .. }) => *verb,
            _ => PublishVerb::Pub,
        }
    }

    /// What the publishes that wait for their answer are counted as: their bodies and something for each.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True once nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// True once a last frame was written: the connection is to be closed, nothing more is written.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// True once there is nothing more to be written: nothing is owed, or the last frame was written.
    pub fn is_done(&self) -> bool {
        self.ended || self.places.is_empty()
    }

    /// Nothing is answered any more.
    pub fn forget(&mut self) {
        self.ended = true;
        self.places = VecDeque::new();
        self.bytes = 0;
    }

    fn set(&mut self, number: ReplyNumber, answer: Answer) {
        let Some(index) = number.checked_sub(self.front) else { return };
        if let Some(place) = self.places.get_mut(index as usize) {
            if let Place::Waiting { bytes, .. } = place {
                self.bytes -= u64::from(*bytes);
            }
            *place = Place::Ready(answer);
        }
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        while let Some(Place::Ready(_)) = self.places.front() {
            self.front += 1;
            if let Some(Place::Ready(answer)) = self.places.pop_front() {
                self.write(&answer, out);
            }
        }
    }

    fn write(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match answer {
            Answer::Ok => out.extend_from_slice(OK_FRAME),
            Answer::Frame(frame) => out.extend_from_slice(frame),
            Answer::Last(frame) => {
                out.extend_from_slice(frame);
                self.ended = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Answer {
        Answer::Frame(text.as_bytes().into())
    }

    #[test]
    fn answers_leave_in_the_order_of_the_commands() {
        let mut replies = Replies::default();
        let mut out = Vec::new();
        let first = replies.wait(PublishVerb::Pub, 100);
        let second = replies.wait(PublishVerb::Pub, 100);
        replies.push(frame("third"), &mut out);
        assert!(out.is_empty());
        replies.complete(second, frame("second,"), &mut out);
        assert!(out.is_empty());
        replies.complete(first, frame("first,"), &mut out);
        assert_eq!(out, b"first,second,third");
        assert!(replies.is_empty());
    }

    #[test]
    fn what_is_unanswered_is_counted_in_bytes_until_it_is_answered() {
        let mut replies = Replies::default();
        let mut out = Vec::new();
        let each = 100 + UNANSWERED_PUBLISH_BYTES as u64;
        for waiting in 1..=5 {
            replies.wait(PublishVerb::Pub, 100);
            assert_eq!(replies.bytes(), waiting * each);
        }
        replies.complete_ok(3, 1, &mut out);
        assert_eq!(replies.bytes(), 4 * each, "ready, though it cannot be written yet");
        replies.complete_ok(3, 1, &mut out);
        replies.complete(0, frame("x"), &mut out);
        replies.complete_ok(1, 2, &mut out);
        assert_eq!(replies.bytes(), each);
        replies.forget();
        assert_eq!((replies.bytes(), replies.is_done()), (0, true));
    }

    #[test]
    fn a_run_of_oks_may_come_before_or_after_its_turn() {
        let mut replies = Replies::default();
        let mut out = Vec::new();
        for _ in 0..4 {
            replies.wait(PublishVerb::Pub, 100);
        }
        replies.complete_ok(2, 2, &mut out);
        assert!(out.is_empty());
        replies.complete_ok(0, 2, &mut out);
        assert_eq!(out.len(), 4 * OK_FRAME.len());
        replies.push(frame("x"), &mut out);
        assert!(out.ends_with(b"x"));
    }

    #[test]
    fn nothing_follows_the_last_frame() {
        let mut replies = Replies::default();
        let mut out = Vec::new();
        let waiting = replies.wait(PublishVerb::Pub, 100);
        replies.push(Answer::Last(b"E".as_slice().into()), &mut out);
        assert!(!replies.ended());
        replies.complete_ok(waiting, 1, &mut out);
        replies.push(frame("later"), &mut out);
        assert!(replies.ended());
        assert_eq!(out, [OK_FRAME.as_slice(), b"E"].concat());
    }

    #[test]
    fn an_answer_for_a_place_that_is_gone_is_ignored() {
        let mut replies = Replies::default();
        let mut out = Vec::new();
        replies.push(frame("a"), &mut out);
        replies.complete(0, frame("b"), &mut out);
        replies.complete_ok(7, 3, &mut out);
        assert_eq!(out, b"a");
    }
}
