//! What a completion belongs to, packed into its 64 bits of user data.
//!
//! ```text
//!    63     56 55              32 31               0
//!   ┌─────────┬──────────────────┬──────────────────┐
//!   │  kind   │    generation    │      index       │
//!   └─────────┴──────────────────┴──────────────────┘
//! ```

use super::super::Slot;

/// The owner of a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A multishot accept; place of the listener.
    Accept(u32),
    /// A multishot receive.
    Receive(Slot),
    /// A send.
    Send(Slot),
    /// A file operation; its place.
    File(u32),
    /// The timeout of a parked core.
    Timeout,
    /// A message from another core's ring.
    Doorbell,
    /// Our message to another core did not arrive.
    Rang(u32),
    /// Nobody waits for it: cancellations, and changes of the timeout.
    Nobody,
}

const ACCEPT: u64 = 1;
const RECEIVE: u64 = 2;
const SEND: u64 = 3;
const FILE: u64 = 4;
const TIMEOUT: u64 = 5;
const DOORBELL: u64 = 6;
const RANG: u64 = 7;
const NOBODY: u64 = 8;

impl Token {
    pub(super) fn pack(self) -> u64 {
        let (kind, rest) = match self {
            Token::Accept(index) => (ACCEPT, u64::from(index)),
            Token::Receive(slot) => (RECEIVE, slot.to_u64()),
            Token::Send(slot) => (SEND, slot.to_u64()),
            Token::File(index) => (FILE, u64::from(index)),
            Token::Timeout => (TIMEOUT, 0),
            Token::Doorbell => (DOORBELL, 0),
            Token::Rang(core) => (RANG, u64::from(core)),
            Token::Nobody => (NOBODY, 0),
        };
        kind << 56 | rest
    }

    pub(super) fn unpack(value: u64) -> Self {
        let index = value as u32;
        match value >> 56 {
            ACCEPT => Token::Accept(index),
            RECEIVE => Token::Receive(Slot::from_u64(value)),
            SEND => Token::Send(Slot::from_u64(value)),
            FILE => Token::File(index),
            TIMEOUT => Token::Timeout,
            DOORBELL => Token::Doorbell,
            RANG => Token::Rang(index),
            _ => Token::Nobody,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_survives_the_kernel() {
        let slot = Slot { index: u32::MAX, generation: (1 << 24) - 1 };
        for token in [
            Token::Accept(3),
            Token::Receive(slot),
            Token::Send(slot),
            Token::File(u32::MAX),
            Token::Timeout,
            Token::Doorbell,
            Token::Rang(7),
            Token::Nobody,
        ] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
