//! NSQ on the wire, from the client's side: an encoder and a decoder that share nothing with the broker's.

/// Bytes before a message's body: timestamp, attempts, id.
const MESSAGE_HEADER: usize = 8 + 2 + 16;

/// A frame from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// An answer.
    Response(Vec<u8>),
    /// An error, whole: `E_INVALID cannot …`.
    Error(String),
    /// A delivery.
    Message(Delivery),
}

/// A message as it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Nanoseconds since 1970.
    pub timestamp_ns: i64,
    /// Which delivery this is.
    pub attempts: u16,
    /// The sixteen digits, as a number.
    pub id: u64,
    /// The body.
    pub body: Vec<u8>,
}

/// Takes the first whole frame of `bytes`: the frame and its length. `Ok(None)`: more is needed. An error says what
/// is no frame.
pub fn decode(bytes: &[u8]) -> Result<Option<(Frame, usize)>, String> {
    let Some(size) = word(bytes, 0) else { return Ok(None) };
    if !(4..=16 << 20).contains(&size) {
        return Err(format!("a frame of {size} bytes"));
    }
    let end = 4 + size as usize;
    let Some(content) = bytes.get(8..end) else { return Ok(None) };
    let frame = match word(bytes, 4) {
        Some(0) => Frame::Response(content.to_vec()),
        Some(1) => Frame::Error(String::from_utf8_lossy(content).into_owned()),
        Some(2) => Frame::Message(delivery(content)?),
        kind => return Err(format!("a frame of kind {kind:?}")),
    };
    Ok(Some((frame, end)))
}

fn delivery(content: &[u8]) -> Result<Delivery, String> {
    if content.len() < MESSAGE_HEADER {
        return Err(format!("a message of {} bytes", content.len()));
    }
    let digits = std::str::from_utf8(&content[10..26]).ok();
    let id = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    Ok(Delivery {
        timestamp_ns: content[..8].iter().fold(0, |number, byte| number << 8 | i64::from(*byte)),
        attempts: u16::from(content[8]) << 8 | u16::from(content[9]),
        id: id.ok_or("a message's id has no sixteen digits")?,
        body: content[MESSAGE_HEADER..].to_vec(),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// The sixteen digits of an id.
pub fn digits(id: u64) -> String {
    format!("{id:016x}")
}

/// A command of one line.
pub fn line(text: &str) -> Vec<u8> {
    format!("{text}\n").into_bytes()
}

/// A command with a body.
pub fn with_body(text: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = line(text);
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// MPUB.
pub fn mpub(topic: &str, bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut inner = (bodies.len() as u32).to_be_bytes().to_vec();
    for body in bodies {
        inner.extend_from_slice(&(body.len() as u32).to_be_bytes());
        inner.extend_from_slice(body);
    }
    with_body(&format!("MPUB {topic}"), &inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_one_by_one_and_only_whole() {
        let ok = [0, 0, 0, 6, 0, 0, 0, 0, b'O', b'K'];
        assert_eq!(decode(&ok[..9]), Ok(None));
        assert_eq!(decode(&ok), Ok(Some((Frame::Response(b"OK".to_vec()), 10))));
        assert!(decode(&[0, 0, 0, 4, 0, 0, 0, 9]).is_err());
        assert!(decode(&[0xff, 0, 0, 4]).is_err());
    }

    #[test]
    fn a_delivery_has_its_parts() {
        let mut bytes = vec![0, 0, 0, 31, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 3];
        bytes.extend_from_slice(b"00000000000000ffx");
        let expected = Delivery { timestamp_ns: 256, attempts: 3, id: 255, body: b"x".to_vec() };
        assert_eq!(decode(&bytes), Ok(Some((Frame::Message(expected), 35))));
    }
}
