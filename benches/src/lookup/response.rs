//! HTTP/1.1 responses as they lie in the receive buffer. Only what a daemon with JSON answers sends.

use std::borrow::Cow;

use crate::error::BenchError;

/// Largest head accepted.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Largest body accepted: a lookup with tens of thousands of producers.
const BODY_BYTES_MAX: usize = 16 << 20;
/// Longest line with the size of a chunk.
const CHUNK_LINE_BYTES_MAX: usize = 256;
const LINE_END: &[u8] = b"\r\n";

/// A complete response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    /// The connection takes another request.
    pub(crate) keeps_alive: bool,
    /// Has the header without which go-nsq finds no producers.
    pub(crate) is_nsq: bool,
    pub(crate) body: Cow<'a, [u8]>,
    /// Of head and body, on the wire.
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
struct Head {
    status: u16,
    closes: bool,
    is_nsq: bool,
    is_chunked: bool,
    body_bytes: Option<usize>,
}

/// The response at the front of `input`, `None` when it is not complete yet.
///
/// # Errors
/// Anything that is no response, or too large.
pub(crate) fn parse(input: &[u8]) -> Result<Option<Response<'_>>, BenchError> {
    let searched = &input[..input.len().min(HEAD_BYTES_MAX)];
    let Some(head_bytes) = find(searched, b"\r\n\r\n") else {
        return if searched.len() == HEAD_BYTES_MAX { Err(broken("endless head")) } else { Ok(None) };
    };
    let head = parse_head(&input[..head_bytes])?;
    let rest = &input[head_bytes + 4..];
    let found = match (head.is_chunked, head.body_bytes) {
        (true, _) => join_chunks(rest)?.map(|(body, bytes)| (Cow::Owned(body), bytes)),
        (false, Some(bytes)) => rest.get(..bytes).map(|body| (Cow::Borrowed(body), bytes)),
        (false, None) => return Err(broken("a body without a length")),
    };
    Ok(found.map(|(body, body_bytes)| Response {
        status: head.status,
        keeps_alive: !head.closes,
        is_nsq: head.is_nsq,
        body,
        bytes: head_bytes + 4 + body_bytes,
    }))
}

fn parse_head(head: &[u8]) -> Result<Head, BenchError> {
    let text = std::str::from_utf8(head).map_err(|_| broken("head is no text"))?;
    let mut lines = text.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let mut head = Head { status: status.ok_or_else(|| broken(status_line))?, ..Head::default() };
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| broken(line))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let bytes = value.parse().ok().filter(|&bytes| bytes <= BODY_BYTES_MAX);
            head.body_bytes = Some(bytes.ok_or_else(|| broken(line))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.is_chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("connection") {
            head.closes = value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("x-nsq-content-type") {
            head.is_nsq = value == "nsq; version=1.0";
        }
    }
    Ok(head)
}

/// The joined chunks and how many bytes they took; `None` when the last one has not come.
fn join_chunks(input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, BenchError> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = &input[at..];
        let searched = &rest[..rest.len().min(CHUNK_LINE_BYTES_MAX)];
        let Some(line_bytes) = find(searched, LINE_END) else {
            let endless = searched.len() == CHUNK_LINE_BYTES_MAX;
            return if endless { Err(broken("endless chunk size")) } else { Ok(None) };
        };
        let size = std::str::from_utf8(&rest[..line_bytes]).ok();
        let size = size.and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.filter(|&size| body.len() + size.min(BODY_BYTES_MAX) <= BODY_BYTES_MAX);
        let size = size.filter(|&size| size <= BODY_BYTES_MAX).ok_or_else(|| broken("chunk size"))?;
        let start = line_bytes + LINE_END.len();
        let Some(chunk) = rest.get(start..start + size + LINE_END.len()) else { return Ok(None) };
        if &chunk[size..] != LINE_END {
            return Err(broken("chunk without an end, or a trailer"));
        }
        body.extend_from_slice(&chunk[..size]);
        at += start + size + LINE_END.len();
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

fn find(input: &[u8], pattern: &[u8]) -> Option<usize> {
    input.windows(pattern.len()).position(|window| window == pattern)
}

fn broken(what: &str) -> BenchError {
    BenchError::Protocol(format!("HTTP response: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZED: &[u8] =
        b"HTTP/1.1 200 OK\r\nX-Nsq-Content-Type: nsq; version=1.0\r\ncontent-length: 3\r\n\r\nabc";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nA\r\n0123456789\r\n2\r\nab\r\n0\r\n\r\n";

    #[test]
    fn a_body_comes_sized_or_in_chunks() {
        let response = parse(SIZED).unwrap().unwrap();
        assert_eq!((response.status, response.keeps_alive, response.is_nsq), (200, true, true));
        assert_eq!((&response.body[..], response.bytes), (&b"abc"[..], SIZED.len()));
        let response = parse(CHUNKED).unwrap().unwrap();
        assert_eq!((response.status, response.keeps_alive, response.is_nsq), (404, false, false));
        assert_eq!((&response.body[..], response.bytes), (&b"0123456789ab"[..], CHUNKED.len()));
    }

    #[test]
    fn a_cut_response_is_not_there_yet() {
        for whole in [SIZED, CHUNKED] {
            for cut in 0..whole.len() {
                assert_eq!(parse(&whole[..cut]).unwrap(), None, "{cut}");
            }
        }
    }

    #[test]
    fn what_is_no_response_is_refused() {
        let hostile: [&[u8]; 7] = [
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        ];
        for bytes in hostile {
            assert!(parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(parse(&[b'a'; HEAD_BYTES_MAX]).is_err());
    }
}
