//! A message on its way to a consumer.
//!
//! ```text
//!  0        4        8                16        18                34
//!  ┌────────┬────────┬─────────────────┬─────────┬─────────────────┬────────┐
//!  │ size   │ type=2 │ published_at_ns │attempts │ id, 16 hex      │ body … │
//!  │ u32    │ u32    │ i64             │ u16     │ digits          │        │
//!  └────────┴────────┴─────────────────┴─────────┴─────────────────┴────────┘
//!  size counts everything after itself; all numbers are big-endian
//! ```

use std::fmt;

use crate::frame::FRAME_TYPE_MESSAGE;

/// Bytes of a message frame that are not its body.
pub const MESSAGE_OVERHEAD: usize = 34;

/// Bytes of a message's data that are not its body: timestamp, attempts, id.
pub const MESSAGE_DATA_OVERHEAD: usize = 26;

/// Bytes of a message id as it is sent.
pub const MESSAGE_ID_SIZE: usize = 16;

// The frame header is the size and the type; the size counts the type and the data.
const _: () = assert!(MESSAGE_OVERHEAD == 4 + 4 + MESSAGE_DATA_OVERHEAD);
const _: () = assert!(MESSAGE_DATA_OVERHEAD == 8 + 2 + MESSAGE_ID_SIZE);

/// Where the timestamp starts in a message frame.
pub const TIMESTAMP_OFFSET: usize = 8;

/// Where the attempts start in a message frame. They change from delivery to delivery while all the rest
/// stays, so a prepared frame needs only these two bytes written.
pub const ATTEMPTS_OFFSET: usize = 16;

/// Where the id starts in a message frame.
pub const ID_OFFSET: usize = 18;

/// A message's id. Clients see 16 lower-case hex digits and must not read anything into them. Unique within a
/// topic, not beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

impl MessageId {
    /// As it is sent.
    pub fn to_hex(self) -> [u8; MESSAGE_ID_SIZE] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; MESSAGE_ID_SIZE];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            if let [high, low] = pair {
                *high = DIGITS.get(usize::from(byte >> 4)).copied().unwrap_or_default();
                *low = DIGITS.get(usize::from(byte & 15)).copied().unwrap_or_default();
            }
        }
        hex
    }

    /// The id that is sent as `hex`. `None` for anything else, upper case too: no message was ever sent with
    /// such an id, so it is in nobody's flight.
    pub fn from_hex(hex: &[u8; MESSAGE_ID_SIZE]) -> Option<Self> {
        hex.iter()
            .try_fold(0_u64, |id, &byte| {
                let digit = match byte {
                    b'0'..=b'9' => byte - b'0',
                    b'a'..=b'f' => byte - b'a' + 10,
                    _ => return None,
                };
                Some(id << 4 | u64::from(digit))
            })
            .map(Self)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Writes all of a message frame that precedes its body of `body_size` bytes.
///
/// # Panics
///
/// Where `body_size` does not fit a frame, which `--max-msg-size` rules out long before.
pub fn write_message_header(
    out: &mut [u8; MESSAGE_OVERHEAD],
    body_size: usize,
    published_at_ns: i64,
    attempts: u16,
    id: MessageId,
) {
    let frame_size = u32::try_from(body_size + MESSAGE_DATA_OVERHEAD + 4);
    let frame_size = frame_size.expect("invariant: a message body is smaller than 2 GiB");
    let mut rest: &mut [u8] = out;
    for field in [
        &frame_size.to_be_bytes()[..],
        &FRAME_TYPE_MESSAGE.to_be_bytes(),
        &published_at_ns.to_be_bytes(),
        &attempts.to_be_bytes(),
        &id.to_hex(),
    ] {
        let (head, tail) = rest.split_at_mut(field.len());
        head.copy_from_slice(field);
        rest = tail;
    }
}

/// A received message, as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// When the broker took the message, in nanoseconds since the Unix epoch.
    pub published_at_ns: i64,
    /// Deliveries so far, this one included.
    pub attempts: u16,
    /// What FIN, REQ and TOUCH take.
    pub id: &'a [u8; MESSAGE_ID_SIZE],
    /// The message.
    pub body: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// Reads the data of a message frame. `None` where it is shorter than [`MESSAGE_DATA_OVERHEAD`].
    pub fn decode(data: &'a [u8]) -> Option<Self> {
        let (published_at_ns, data) = data.split_first_chunk()?;
        let (attempts, data) = data.split_first_chunk()?;
        let (id, body) = data.split_first_chunk()?;
        let published_at_ns = i64::from_be_bytes(*published_at_ns);
        Some(Self { published_at_ns, attempts: u16::from_be_bytes(*attempts), id, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Frame, FrameType, decode};

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut header = [0; MESSAGE_OVERHEAD];
        write_message_header(
            &mut header,
            body.len(),
            0x0102_0304_0506_0708,
            1,
            MessageId(0x0123_4567_89ab_cdef),
        );
        [&header, body].concat()
    }

    #[test]
    fn a_message_frame_has_nsqs_bytes() {
        let mut expected = vec![0, 0, 0, 0x23, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1];
        expected.extend_from_slice(b"0123456789abcdefhello");
        assert_eq!(frame(b"hello"), expected);
    }

    #[test]
    fn the_offsets_point_at_their_fields() {
        let frame = frame(b"");
        assert_eq!(frame[ATTEMPTS_OFFSET..ID_OFFSET], [0, 1]);
        assert_eq!(frame[ID_OFFSET..], *b"0123456789abcdef");
    }

    #[test]
    fn a_delivery_reads_what_the_header_wrote() {
        let bytes = frame(b"body");
        let Ok(Some((Frame { kind: FrameType::Message, data }, _))) = decode(&bytes, 100) else { panic!() };
        let delivery = Delivery::decode(data).unwrap();
        assert_eq!((delivery.published_at_ns, delivery.attempts), (0x0102_0304_0506_0708, 1));
        assert_eq!((delivery.id, delivery.body), (b"0123456789abcdef", &b"body"[..]));
        assert_eq!(Delivery::decode(&data[..25]), None);
    }

    #[test]
    fn an_id_is_sixteen_lower_case_digits_both_ways() {
        for id in [0, 1, 0xdead_beef, u64::MAX, 0x0123_4567_89ab_cdef] {
            assert_eq!(MessageId::from_hex(&MessageId(id).to_hex()), Some(MessageId(id)));
            assert_eq!(MessageId(id).to_string().as_bytes(), MessageId(id).to_hex());
        }
        for bad in
            [b"0123456789ABCDEF", b"012345678 abcdef", b"+123456789abcdef", &[0xff; 16], b"0123456789abcdeg"]
        {
            assert_eq!(MessageId::from_hex(bad), None);
        }
    }
}
