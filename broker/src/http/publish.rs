//! `/pub` and `/mpub`.
//!
//! They take the same way as publishes over TCP and answer after the commit.

use bytes::Bytes;
use glommio::sync::StaticPermit;

use super::SPLIT_BYTES_MAX;
use super::body::{BodyError, RequestBody};
use super::objects::topic_name;
use super::request::Request;
use crate::mesh::request::{Request as CoreRequest, Response as CoreResponse};
use nsq_http::Query;
use nsq_http::reply::{self, ApiError, Reply};
use nsq_wal::limits::{MESSAGE_HEADER_BYTES, PUBLISH_BYTES_MAX};

const MESSAGE_TOO_BIG: ApiError = ApiError::too_large("MSG_TOO_BIG");
const BODY_TOO_BIG: ApiError = ApiError::too_large("BODY_TOO_BIG");
const BAD_BODY: ApiError = ApiError::too_large("BAD_BODY");
const BAD_MESSAGE: ApiError = ApiError::too_large("BAD_MESSAGE");
const INVALID_DEFER: ApiError = ApiError::bad_request("INVALID_DEFER");
const EXITING: ApiError = ApiError::unavailable("EXITING");

/// What a message of a batch takes besides its body, in bytes: its place in the list, and its header in the log.
const MESSAGE_COST: u64 = (size_of::<Bytes>() + MESSAGE_HEADER_BYTES) as u64;

/// Least bytes of a message in a binary batch: its size and one byte.
const ENTRY_SIZE_MIN: usize = 5;

pub(super) async fn publish(request: &Request<'_>, body: &mut RequestBody) -> Result<Reply, ApiError> {
    let limits = &request.context.process.config.limits;
    let size_max = size(limits.message_size_max);
    let message = body.collect(size_max).await.map_err(|error| match error {
        BodyError::TooBig => MESSAGE_TOO_BIG,
        BodyError::Broken => ApiError::INTERNAL,
    })?;
    if message.is_empty() {
        return Err(ApiError::bad_request("MSG_EMPTY"));
    }
    let query = request.query()?;
    let topic = topic_name(&query)?;
    match defer_ms(&query, limits.requeue_delay_ns_max) {
        Ok(defer_ms) => send(request, topic, defer_ms, vec![message]).await,
        Err(error) => refuse(request, topic, error).await,
    }
}

pub(super) async fn publish_many(request: &Request<'_>, body: &mut RequestBody) -> Result<Reply, ApiError> {
    let limits = &request.context.process.config.limits;
    let body_max = size(limits.body_size_max);
    let message_max = size(limits.message_size_max);
    if body.declares_more_than(body_max) {
        return Err(BODY_TOO_BIG);
    }
    let query = request.query()?;
    let topic = topic_name(&query)?;
    // NSQ bounds a binary body of unknown length by its count only, up to a terabyte; ours is bounded like any other.
    let body = body.collect(body_max).await.map_err(|error| match error {
        BodyError::TooBig => BODY_TOO_BIG,
        BodyError::Broken => ApiError::INTERNAL,
    });
    // Until the answer: so long are the messages somewhere on their way to the log.
    let mut _room = None;
    let messages = match body {
        Ok(body) if is_binary(&query) => {
            _room = Some(split_room(request, binary_count(&body)).await?);
            binary(&body, body_max, message_max)
        }
        Ok(body) => {
            _room = Some(split_room(request, line_count(&body)).await?);
            lines(&body, message_max)
        }
        Err(error) => Err(error),
    };
    match messages.and_then(fit_for_log) {
        Ok(messages) => send(request, topic, 0, messages).await,
        Err(error) => refuse(request, topic, error).await,
    }
}

/// Room in [`SPLIT_BYTES_MAX`] for a batch of so many messages. The body keeps its own: who waits here for others waits
/// for some who need nothing more.
async fn split_room(request: &Request<'_>, count: usize) -> Result<StaticPermit, ApiError> {
    let size = (count as u64).saturating_mul(MESSAGE_COST).min(SPLIT_BYTES_MAX);
    request.context.splitting.acquire_static_permit(size).await.map_err(|_| ApiError::INTERNAL)
}

/// A batch of tiny messages may be small as a body and too large for one publish, with a header for each.
fn fit_for_log(messages: Vec<Bytes>) -> Result<Vec<Bytes>, ApiError> {
    let size: usize = messages.iter().map(|message| MESSAGE_HEADER_BYTES + message.len()).sum();
    if size > PUBLISH_BYTES_MAX { Err(BODY_TOO_BIG) } else { Ok(messages) }
}

async fn send(
    request: &Request<'_>,
    topic: &str,
    defer_ms: u32,
    bodies: Vec<Bytes>,
) -> Result<Reply, ApiError> {
    let ask = CoreRequest::Publish { topic: topic.to_owned(), defer_ms, bodies };
    match request.context.core.request_topic(topic, ask).await {
        CoreResponse::Done => Ok(reply::text("OK")),
        _ => Err(EXITING),
    }
}

/// Answers with `error`, but makes the topic: in NSQ it comes before the check that failed, and its appearance is
/// seen by nsqlookupd and `/stats`.
async fn refuse(request: &Request<'_>, topic: &str, error: ApiError) -> Result<Reply, ApiError> {
    request.context.core.request_topic(topic, CoreRequest::CreateTopic { topic: topic.to_owned() }).await;
    Err(error)
}

/// A limit that is zero or negative lets nothing through.
fn size(limit: i64) -> usize {
    usize::try_from(limit).unwrap_or(0)
}

/// The argument `defer`: milliseconds, as a decimal integer with an optional sign. What does not fit 32 bits, 49
/// days, is refused whatever the limit is.
fn defer_ms(query: &Query<'_>, delay_ns_max: i64) -> Result<u32, ApiError> {
    let Some(raw) = query.get("defer") else { return Ok(0) };
    let ms: i64 = std::str::from_utf8(raw).ok().and_then(|text| text.parse().ok()).ok_or(INVALID_DEFER)?;
    let ns = ms.checked_mul(nsq_protocol::limits::NS_PER_MS).ok_or(INVALID_DEFER)?;
    if ns > delay_ns_max {
        return Err(INVALID_DEFER);
    }
    u32::try_from(ms).map_err(|_| INVALID_DEFER)
}

/// Only what NSQ takes for "no" means text.
fn is_binary(query: &Query<'_>) -> bool {
    !matches!(query.get("binary"), None | Some(b"false" | b"0"))
}

/// How many messages [`lines`] makes at most.
fn line_count(body: &[u8]) -> usize {
    let mut after_break = true;
    body.iter().filter(|&&byte| std::mem::replace(&mut after_break, byte == b'\n') && byte != b'\n').count()
}

/// How many messages [`binary`] makes at most.
fn binary_count(body: &[u8]) -> usize {
    let announced = number(body).map_or(0, |(count, _)| usize::try_from(count).unwrap_or(0));
    announced.min(body.len() / ENTRY_SIZE_MIN)
}

/// The messages of a text body: its lines, without the empty ones. A carriage return belongs to its line.
fn lines(body: &Bytes, message_max: usize) -> Result<Vec<Bytes>, ApiError> {
    let mut messages = Vec::with_capacity(line_count(body));
    for line in body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        if line.len() > message_max {
            return Err(MESSAGE_TOO_BIG);
        }
        messages.push(body.slice_ref(line));
    }
    Ok(messages)
}

/// The messages of a binary body, `count: i32 │ { size: i32 │ body } × count`. What follows the last is ignored.
fn binary(body: &Bytes, body_max: usize, message_max: usize) -> Result<Vec<Bytes>, ApiError> {
    let (count, mut rest) = number(body).ok_or(BAD_BODY)?;
    let count = usize::try_from(count).map_err(|_| BAD_BODY)?;
    if count == 0 || count > body_max.saturating_sub(4) / ENTRY_SIZE_MIN {
        return Err(BAD_BODY);
    }
    let mut messages = Vec::with_capacity(count.min(body.len() / ENTRY_SIZE_MIN));
    for _ in 0..count {
        let (size, behind) = number(rest).ok_or(BAD_MESSAGE)?;
        let size = usize::try_from(size).map_err(|_| BAD_MESSAGE)?;
        if size == 0 || size > message_max || size > behind.len() {
            return Err(BAD_MESSAGE);
        }
        let (message, behind) = behind.split_at(size);
        messages.push(body.slice_ref(message));
        rest = behind;
    }
    Ok(messages)
}

fn number(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((i32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_NS: i64 = 60_000_000_000;

    fn defer(query: &str) -> Result<u32, ApiError> {
        defer_ms(&Query::parse(query.as_bytes()).unwrap(), MINUTE_NS / 2)
    }

    #[test]
    fn a_delay_is_a_decimal_integer_within_the_limit() {
        for (query, ms) in [
            ("", 0),
            ("defer=0", 0),
            ("defer=-0", 0),
            ("defer=007", 7),
            ("defer=%2B5", 5),
            ("defer=30000", 30_000),
            ("defer=0&defer=bad", 0),
        ] {
            assert_eq!(defer(query), Ok(ms), "{query}");
        }
        for query in [
            "defer=30001",
            "defer=-1",
            "defer=+5",
            "defer=1.5",
            "defer=1s",
            "defer=0x10",
            "defer=1_000",
            "defer=",
            "defer",
            "defer=abc",
            "defer=9223372036854775808",
            "defer=9223372036854775807",
            "defer=bad&defer=0",
        ] {
            assert_eq!(defer(query), Err(INVALID_DEFER), "{query}");
        }
        let long = Query::parse(b"defer=4294967296").unwrap();
        assert_eq!(defer_ms(&long, i64::MAX), Err(INVALID_DEFER));
    }

    #[test]
    fn only_absent_false_and_0_mean_text() {
        for (query, expected) in [
            ("", false),
            ("binary=false", false),
            ("binary=0", false),
            ("binary=true", true),
            ("binary=1", true),
            ("binary=", true),
            ("binary", true),
            ("binary=False", true),
            ("binary=0&binary=1", false),
        ] {
            assert_eq!(is_binary(&Query::parse(query.as_bytes()).unwrap()), expected, "{query}");
        }
    }

    #[test]
    fn lines_are_messages_and_empty_lines_are_none() {
        let text = |body: &'static [u8]| lines(&Bytes::from_static(body), 10);
        assert_eq!(text(b"one\n\ntwo\r\n\r\n three").unwrap(), ["one", "two\r", "\r", " three"]);
        assert_eq!(text(b"").unwrap(), Vec::<Bytes>::new());
        assert_eq!(text(b"\n\n").unwrap(), Vec::<Bytes>::new());
        assert_eq!(text(b"ok\n0123456789").unwrap().len(), 2);
        assert_eq!(text(b"ok\n0123456789a"), Err(MESSAGE_TOO_BIG));
    }

    fn packed(count: i32, items: &[(i32, &[u8])]) -> Bytes {
        let mut body = count.to_be_bytes().to_vec();
        for (size, bytes) in items {
            body.extend_from_slice(&size.to_be_bytes());
            body.extend_from_slice(bytes);
        }
        body.into()
    }

    #[test]
    fn a_binary_body_is_counted_and_sized() {
        let body = packed(2, &[(1, b"a"), (3, b"b\nc"), (9, b"ignored")]);
        assert_eq!(binary(&body, 1000, 10).unwrap(), ["a", "b\nc"]);
    }

    #[test]
    fn a_bad_count_is_a_bad_body_and_a_bad_item_a_bad_message() {
        for body in [&b""[..], b"\0\0\0", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"] {
            assert_eq!(binary(&Bytes::copy_from_slice(body), 1000, 10), Err(BAD_BODY), "{body:?}");
        }
        for second in [(0, &b""[..]), (-1, b""), (11, b"01234567890"), (10, b"012345678"), (3, b"")] {
            let body = packed(2, &[(1, b"a"), second]);
            assert_eq!(binary(&body, 1000, 10), Err(BAD_MESSAGE), "{second:?}");
        }
        assert_eq!(binary(&packed(2, &[(1, b"a")]), 1000, 10), Err(BAD_MESSAGE));
    }

    #[test]
    fn the_count_is_bounded_by_what_fits_a_body() {
        let items = [(1, &b"x"[..]); 10];
        assert!(binary(&packed(9, &items), 49, 10).is_ok());
        assert_eq!(binary(&packed(10, &items), 49, 10), Err(BAD_BODY));
    }

    #[test]
    fn a_batch_is_counted_before_it_is_split() {
        for body in ["", "\n", "a", "a\n", "a\nb", "\n\na\n\nbc\r\n\n", "\r\n\r\n"] {
            let body = Bytes::from(body);
            assert_eq!(line_count(&body), lines(&body, 100).unwrap().len(), "{body:?}");
        }
        assert_eq!(binary_count(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1, b'a']), 1, "not what it announces");
        assert_eq!(binary_count(b"\xff\xff\xff\xff"), 0);
    }

    #[test]
    fn a_batch_that_the_log_would_refuse_is_too_big() {
        let tiny = |count: usize| vec![Bytes::from_static(b"x"); count];
        let fits = PUBLISH_BYTES_MAX / (MESSAGE_HEADER_BYTES + 1);
        assert!(fit_for_log(tiny(fits)).is_ok());
        assert_eq!(fit_for_log(tiny(fits + 1)), Err(BODY_TOO_BIG));
    }
}
