//! The client's half of the NSQ wire format: what is sent, and how received bytes fall into frames.
//!
//! Nothing here allocates per message or touches a socket.

use crate::error::BenchError;

/// What a client sends first.
pub(crate) const MAGIC: &[u8] = b"  V2";
/// Answer to a heartbeat.
pub(crate) const NOP: &[u8] = b"NOP\n";
/// The response frame of a successful command.
pub(crate) const OK_FRAME: &[u8; 10] = b"\x00\x00\x00\x06\x00\x00\x00\x00OK";
/// Bytes of a frame before its data: size and type, 4 each.
pub(crate) const FRAME_HEADER_BYTES: usize = 8;
/// Bytes of message data before the body: timestamp 8, attempts 2, id 16.
pub(crate) const MESSAGE_HEADER_BYTES: usize = 26;
/// The stamp at the start of every body.
pub(crate) const STAMP_BYTES: usize = 8;
/// Largest frame accepted. A stock server refuses bodies over 5 MiB, so more than this is a broken stream.
pub(crate) const FRAME_BYTES_MAX: usize = 8 << 20;

/// One frame as it lies in the receive buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Response(&'a [u8]),
    Error(&'a [u8]),
    Message { attempts: u16, id: &'a [u8; 16], body: &'a [u8] },
}

/// Takes one frame off the front of `input` and moves `input` past it. `None` when it is not complete yet.
///
/// # Errors
/// A size or type that no server sends.
#[inline]
pub(crate) fn next_frame<'a>(input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, BenchError> {
    let Some((header, _)) = input.split_first_chunk::<FRAME_HEADER_BYTES>() else { return Ok(None) };
    let [s0, s1, s2, s3, k0, k1, k2, k3] = *header;
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    if !(4..=FRAME_BYTES_MAX).contains(&size) {
        return Err(BenchError::Protocol(format!("frame of {size} bytes")));
    }
    let Some((frame, rest)) = input.split_at_checked(4 + size) else { return Ok(None) };
    let data = &frame[FRAME_HEADER_BYTES..];
    let decoded = match u32::from_be_bytes([k0, k1, k2, k3]) {
        0 => Frame::Response(data),
        1 => Frame::Error(data),
        2 => decode_message(data)?,
        kind => return Err(BenchError::Protocol(format!("frame type {kind}"))),
    };
    *input = rest;
    Ok(Some(decoded))
}

#[inline]
fn decode_message(data: &[u8]) -> Result<Frame<'_>, BenchError> {
    let Some((header, body)) = data.split_first_chunk::<MESSAGE_HEADER_BYTES>() else {
        return Err(BenchError::Protocol(format!("message frame with only {} bytes of data", data.len())));
    };
    let attempts = u16::from_be_bytes([header[8], header[9]]);
    let id = header.last_chunk().expect("invariant: a message header ends in its 16-byte id");
    Ok(Frame::Message { attempts, id, body })
}

/// The stamp at the start of a body, `None` when the body is shorter.
#[inline]
pub(crate) fn stamp_of(body: &[u8]) -> Option<u64> {
    body.first_chunk::<STAMP_BYTES>().map(|bytes| u64::from_be_bytes(*bytes))
}

/// `FIN` of one message, appended to `out`.
#[inline]
pub(crate) fn push_finish(out: &mut Vec<u8>, id: &[u8; 16]) {
    let mut command = *b"FIN ................\n";
    command[4..20].copy_from_slice(id);
    out.extend_from_slice(&command);
}

/// A command line followed by a sized body, as IDENTIFY and PUB have it.
pub(crate) fn push_with_body(out: &mut Vec<u8>, line: &str, body: &[u8]) {
    out.extend_from_slice(line.as_bytes());
    out.push(b'\n');
    push_sized(out, body);
}

/// `body` behind its 4-byte length. The callers' bodies are bounded by [`FRAME_BYTES_MAX`].
pub(crate) fn push_sized(out: &mut Vec<u8>, body: &[u8]) {
    let size = u32::try_from(body.len()).expect("invariant: bodies are bounded far below 4 GiB");
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &[u8]) -> Vec<u8> {
        let mut data = vec![0, 0, 0, 2];
        data.extend_from_slice(&7u64.to_be_bytes());
        data.extend_from_slice(&3u16.to_be_bytes());
        data.extend_from_slice(b"0123456789abcdef");
        data.extend_from_slice(body);
        let mut frame = Vec::new();
        push_sized(&mut frame, &data);
        frame
    }

    #[test]
    fn frames_come_out_in_order_whatever_is_behind_them() {
        let mut bytes = OK_FRAME.to_vec();
        bytes.extend(message(b"body"));
        bytes.extend(b"\x00\x00\x00\x05\x00\x00\x00\x01E");
        bytes.extend(b"\x00\x00");
        let mut input = &bytes[..];
        assert_eq!(next_frame(&mut input).unwrap(), Some(Frame::Response(b"OK")));
        let id = b"0123456789abcdef";
        let expected = Frame::Message { attempts: 3, id, body: b"body" };
        assert_eq!(next_frame(&mut input).unwrap(), Some(expected));
        assert_eq!(next_frame(&mut input).unwrap(), Some(Frame::Error(b"E")));
        assert_eq!(next_frame(&mut input).unwrap(), None);
        assert_eq!(input, b"\x00\x00");
    }

    #[test]
    fn a_cut_frame_consumes_nothing() {
        let whole = message(b"some body");
        for cut in 0..whole.len() {
            let mut input = &whole[..cut];
            assert_eq!(next_frame(&mut input).unwrap(), None);
            assert_eq!(input.len(), cut);
        }
    }

    #[test]
    fn impossible_sizes_and_types_are_refused() {
        let hostile: [&[u8]; 4] = [
            b"\x00\x00\x00\x03\x00\x00\x00\x00",
            b"\xff\xff\xff\xff\x00\x00\x00\x00",
            b"\x00\x00\x00\x04\x00\x00\x00\x09",
            b"\x00\x00\x00\x06\x00\x00\x00\x02xx",
        ];
        for bytes in hostile {
            assert!(next_frame(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_finish_is_the_id_in_one_line() {
        let mut out = Vec::new();
        push_finish(&mut out, b"0123456789abcdef");
        assert_eq!(out, b"FIN 0123456789abcdef\n");
    }
}
