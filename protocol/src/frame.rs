//! What goes from server to client: `size: u32, type: u32, data`, where the size counts type and data.

use crate::error::WireError;

/// `OK`, `CLOSE_WAIT`, `_heartbeat_`, or a JSON object.
pub const FRAME_TYPE_RESPONSE: u32 = 0;
/// An error code and its description.
pub const FRAME_TYPE_ERROR: u32 = 1;
/// A message.
pub const FRAME_TYPE_MESSAGE: u32 = 2;

/// Bytes of a frame before its data.
pub const FRAME_HEADER_SIZE: usize = 8;

/// The response to most commands, whole.
pub const OK_FRAME: &[u8; 10] = b"\0\0\0\x06\0\0\0\0OK";
/// The heartbeat, whole.
pub const HEARTBEAT_FRAME: &[u8; 19] = b"\0\0\0\x0f\0\0\0\0_heartbeat_";
/// The response to CLS, whole.
pub const CLOSE_WAIT_FRAME: &[u8; 18] = b"\0\0\0\x0e\0\0\0\0CLOSE_WAIT";

const _: () = assert!(OK_FRAME.len() == 4 + 0x06);
const _: () = assert!(HEARTBEAT_FRAME.len() == 4 + 0x0f);
const _: () = assert!(CLOSE_WAIT_FRAME.len() == 4 + 0x0e);

/// Appends a response frame.
///
/// # Panics
///
/// Where `payload` does not fit a frame; responses are some hundred bytes.
pub fn encode_response(out: &mut Vec<u8>, payload: &[u8]) {
    encode(out, FRAME_TYPE_RESPONSE, payload);
}

/// Appends the error's frame.
pub fn encode_error(out: &mut Vec<u8>, error: &WireError) {
    encode(out, FRAME_TYPE_ERROR, &error.payload());
}

fn encode(out: &mut Vec<u8>, kind: u32, payload: &[u8]) {
    let size = u32::try_from(payload.len() + 4).expect("invariant: a payload is smaller than 4 GiB");
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(payload);
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// See [`FRAME_TYPE_RESPONSE`].
    Response,
    /// See [`FRAME_TYPE_ERROR`].
    Error,
    /// See [`FRAME_TYPE_MESSAGE`]; read it with [`crate::message::Delivery::decode`].
    Message,
}

/// A received frame, as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What `data` is.
    pub kind: FrameType,
    /// All that follows the header.
    pub data: &'a [u8],
}

/// Bytes that are no frame. The stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The size is below that of the type field, or above the reader's bound.
    Size(u32),
    /// A type that NSQ does not have.
    Type(u32),
}

/// The first frame of `input` and the bytes it takes, or `None` while it is incomplete. `size_max` bounds the
/// size field, and so what the caller has to buffer.
///
/// # Errors
///
/// As soon as the header is there, where it cannot be one.
pub fn decode(input: &[u8], size_max: u32) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some((size, rest)) = input.split_first_chunk() else { return Ok(None) };
    let size = u32::from_be_bytes(*size);
    if size < 4 || size > size_max {
        return Err(FrameError::Size(size));
    }
    let Some((kind, _)) = rest.split_first_chunk() else { return Ok(None) };
    let kind = match u32::from_be_bytes(*kind) {
        FRAME_TYPE_RESPONSE => FrameType::Response,
        FRAME_TYPE_ERROR => FrameType::Error,
        FRAME_TYPE_MESSAGE => FrameType::Message,
        other => return Err(FrameError::Type(other)),
    };
    let consumed = 4 + size as usize;
    Ok(input.get(FRAME_HEADER_SIZE..consumed).map(|data| (Frame { kind, data }, consumed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constant_frames_are_what_the_encoder_writes() {
        for (frame, payload) in [
            (&OK_FRAME[..], "OK"),
            (&HEARTBEAT_FRAME[..], "_heartbeat_"),
            (&CLOSE_WAIT_FRAME[..], "CLOSE_WAIT"),
        ] {
            let mut out = Vec::new();
            encode_response(&mut out, payload.as_bytes());
            assert_eq!(out, frame);
        }
    }

    #[test]
    fn a_bad_magic_is_answered_by_the_bare_code() {
        let mut out = Vec::new();
        encode_error(&mut out, &WireError::bad_protocol());
        assert_eq!(out, b"\0\0\0\x12\0\0\0\x01E_BAD_PROTOCOL");
    }

    #[test]
    fn a_frame_is_read_only_when_it_is_whole() {
        let input = [&OK_FRAME[..], b"rest"].concat();
        for cut in 0..OK_FRAME.len() {
            assert_eq!(decode(&input[..cut], 100), Ok(None));
        }
        assert_eq!(decode(&input, 100), Ok(Some((Frame { kind: FrameType::Response, data: b"OK" }, 10))));
    }

    #[test]
    fn what_is_no_frame_is_refused_at_once() {
        assert_eq!(decode(b"HTTP", 1000), Err(FrameError::Size(0x4854_5450)));
        assert_eq!(decode(&[0, 0, 0, 3], 1000), Err(FrameError::Size(3)));
        assert_eq!(decode(&[0, 0, 0, 101], 100), Err(FrameError::Size(101)));
        assert_eq!(decode(&[0, 0, 0, 9, 0, 0, 0, 3], 100), Err(FrameError::Type(3)));
    }
}
