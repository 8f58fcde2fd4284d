//! Every error a client can see. The codes and the texts are part of the protocol: client libraries match
//! them literally, so they are written here and nowhere else.

use crate::names::quote;
use crate::verb::Verb;

/// The first word of an error frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the E_* code of the same name")]
pub enum ErrorCode {
    BadProtocol,
    Invalid,
    BadBody,
    BadTopic,
    BadChannel,
    BadMessage,
    PubFailed,
    MpubFailed,
    DpubFailed,
    SubFailed,
    IdentifyFailed,
    AuthDisabled,
    AuthFirst,
    AuthFailed,
    Unauthorized,
    FinFailed,
    ReqFailed,
    TouchFailed,
}

impl ErrorCode {
    /// The code as it is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadProtocol => "E_BAD_PROTOCOL",
            Self::Invalid => "E_INVALID",
            Self::BadBody => "E_BAD_BODY",
            Self::BadTopic => "E_BAD_TOPIC",
            Self::BadChannel => "E_BAD_CHANNEL",
            Self::BadMessage => "E_BAD_MESSAGE",
            Self::PubFailed => "E_PUB_FAILED",
            Self::MpubFailed => "E_MPUB_FAILED",
            Self::DpubFailed => "E_DPUB_FAILED",
            Self::SubFailed => "E_SUB_FAILED",
            Self::IdentifyFailed => "E_IDENTIFY_FAILED",
            Self::AuthDisabled => "E_AUTH_DISABLED",
            Self::AuthFirst => "E_AUTH_FIRST",
            Self::AuthFailed => "E_AUTH_FAILED",
            Self::Unauthorized => "E_UNAUTHORIZED",
            Self::FinFailed => "E_FIN_FAILED",
            Self::ReqFailed => "E_REQ_FAILED",
            Self::TouchFailed => "E_TOUCH_FAILED",
        }
    }

    /// Whether the connection closes after this error. Only the errors about one message keep it open: a
    /// late FIN is everyday life, anything else means that the two sides no longer understand each other.
    pub const fn is_fatal(self) -> bool {
        !matches!(self, Self::FinFailed | Self::ReqFailed | Self::TouchFailed)
    }
}

/// An error on its way to a client.
///
/// The detail is bytes, not text: NSQ copies unparsable numbers, message ids and unknown commands as they
/// came, also when they are no UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// The first word.
    pub code: ErrorCode,
    /// All that follows the code and one space. Empty only for [`ErrorCode::BadProtocol`].
    pub detail: Vec<u8>,
}

/// The part of a command that the peer still owes when it stops sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The four bytes of a body's size.
    BodySize,
    /// The body.
    Body,
    /// MPUB: the number of messages.
    MessageCount,
    /// MPUB: the size of the message with this index.
    MessageSize(u32),
    /// MPUB: the body of a message.
    MessageBody,
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

impl WireError {
    fn new(code: ErrorCode, detail: impl Into<Vec<u8>>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// Whether the connection closes after the frame is flushed.
    pub const fn is_fatal(&self) -> bool {
        self.code.is_fatal()
    }

    /// The payload of the error frame: the code, one space, the detail.
    pub fn payload(&self) -> Vec<u8> {
        if self.code == ErrorCode::BadProtocol {
            return self.code.as_str().into();
        }
        join(&[self.code.as_str().as_bytes(), b" ", &self.detail])
    }

    // ---- the line ----

    pub(crate) fn bad_protocol() -> Self {
        Self::new(ErrorCode::BadProtocol, [])
    }

    pub(crate) fn unknown_command(word: &[u8]) -> Self {
        Self::new(ErrorCode::Invalid, join(&[b"invalid command ", word]))
    }

    pub(crate) fn state(verb: Verb) -> Self {
        Self::new(ErrorCode::Invalid, format!("cannot {verb} in current state"))
    }

    pub(crate) fn tls_required(word: &[u8]) -> Self {
        Self::new(ErrorCode::Invalid, join(&[b"cannot ", word, b" in current state (TLS required)"]))
    }

    pub(crate) fn parameters(verb: Verb) -> Self {
        let text = match verb {
            Verb::Auth => "invalid number of parameters",
            Verb::Fin | Verb::Req | Verb::Touch => "insufficient number of params",
            _ => "insufficient number of parameters",
        };
        Self::new(ErrorCode::Invalid, format!("{verb} {text}"))
    }

    pub(crate) fn bad_topic(verb: Verb, name: &[u8]) -> Self {
        // NSQ repeats the code for MPUB, and clients have seen it so ever since.
        let prefix = if verb == Verb::Mpub { "E_BAD_TOPIC " } else { "" };
        Self::new(ErrorCode::BadTopic, format!("{prefix}{verb} topic name {} is not valid", quote(name)))
    }

    pub(crate) fn bad_channel(verb: Verb, name: &[u8]) -> Self {
        Self::new(ErrorCode::BadChannel, format!("{verb} channel name {} is not valid", quote(name)))
    }

    pub(crate) fn bad_number(verb: Verb, raw: &[u8]) -> Self {
        let what = if verb == Verb::Rdy { "count" } else { "timeout" };
        Self::new(ErrorCode::Invalid, join(&[format!("{verb} could not parse {what} ").as_bytes(), raw]))
    }

    pub(crate) fn credit_range(count: i64, max: i64) -> Self {
        Self::new(ErrorCode::Invalid, format!("RDY count {count} out of range 0-{max}"))
    }

    pub(crate) fn delay_range(delay_ms: u64, max_ms: i64) -> Self {
        Self::new(ErrorCode::Invalid, format!("DPUB timeout {delay_ms} out of range 0-{max_ms}"))
    }

    pub(crate) fn bad_message_id() -> Self {
        Self::new(ErrorCode::Invalid, "invalid message ID")
    }

    pub(crate) fn sub_without_heartbeats() -> Self {
        Self::new(ErrorCode::Invalid, "cannot SUB with heartbeats disabled")
    }

    // ---- bodies ----

    pub(crate) fn body_too_big(verb: Verb, size: i64, max: i64) -> Self {
        Self::new(ErrorCode::BadBody, format!("{verb} body too big {size} > {max}"))
    }

    pub(crate) fn body_size(verb: Verb, size: i32) -> Self {
        Self::new(ErrorCode::BadBody, format!("{verb} invalid body size {size}"))
    }

    pub(crate) fn message_too_big(verb: Verb, size: i32, max: i64) -> Self {
        Self::new(ErrorCode::BadMessage, format!("{verb} message too big {size} > {max}"))
    }

    pub(crate) fn message_size(verb: Verb, size: i32) -> Self {
        Self::new(ErrorCode::BadMessage, format!("{verb} invalid message body size {size}"))
    }

    pub(crate) fn batch_count(count: i32) -> Self {
        Self::new(ErrorCode::BadBody, format!("MPUB invalid message count {count}"))
    }

    pub(crate) fn batch_message_size(index: u32, size: i32) -> Self {
        Self::new(ErrorCode::BadMessage, format!("MPUB invalid message({index}) body size {size}"))
    }

    /// The peer stopped sending in the middle of a body.
    pub(crate) fn truncated(verb: Verb, missing: Missing) -> Self {
        let of_message = matches!(verb, Verb::Pub | Verb::Dpub);
        let (code, what) = match missing {
            Missing::BodySize if of_message => (ErrorCode::BadMessage, "message body size".to_owned()),
            Missing::Body if of_message => (ErrorCode::BadMessage, "message body".to_owned()),
            Missing::BodySize => (ErrorCode::BadBody, "body size".to_owned()),
            Missing::Body => (ErrorCode::BadBody, "body".to_owned()),
            Missing::MessageCount => (ErrorCode::BadBody, "message count".to_owned()),
            Missing::MessageSize(i) => (ErrorCode::BadMessage, format!("message({i}) body size")),
            Missing::MessageBody => (ErrorCode::BadMessage, "message body".to_owned()),
        };
        Self::new(code, format!("{verb} failed to read {what}"))
    }

    // ---- IDENTIFY ----

    pub(crate) fn identify_json() -> Self {
        Self::new(ErrorCode::BadBody, "IDENTIFY failed to decode JSON body")
    }

    /// `field` is one of the five that have a range.
    pub(crate) fn identify_range(field: &str, value: i64) -> Self {
        Self::new(ErrorCode::BadBody, format!("IDENTIFY {field} ({value}) is invalid"))
    }

    pub(crate) fn identify_two_compressions() -> Self {
        Self::new(ErrorCode::IdentifyFailed, "cannot enable both deflate and snappy compression")
    }

    /// An upgrade that IDENTIFY negotiated did not come about, for instance the TLS handshake.
    pub fn identify_failed(cause: &str) -> Self {
        Self::new(ErrorCode::IdentifyFailed, format!("IDENTIFY failed {cause}"))
    }

    // ---- AUTH ----

    pub(crate) fn auth_already_set() -> Self {
        Self::new(ErrorCode::Invalid, "AUTH already set")
    }

    pub(crate) fn auth_disabled() -> Self {
        Self::new(ErrorCode::AuthDisabled, "AUTH disabled")
    }

    pub(crate) fn auth_first(verb: Verb) -> Self {
        Self::new(ErrorCode::AuthFirst, format!("AUTH required before {verb}"))
    }

    /// No auth server gave a usable answer, now or when an expired one was to be renewed.
    pub fn auth_failed() -> Self {
        Self::new(ErrorCode::AuthFailed, "AUTH failed")
    }

    /// The auth server's answer to AUTH permits nothing at all.
    pub fn auth_no_authorizations() -> Self {
        Self::new(ErrorCode::Unauthorized, "AUTH no authorizations found")
    }

    /// The authorizations held do not cover `verb` on this topic and channel; `channel` is empty for a
    /// publish.
    pub fn unauthorized(verb: Verb, topic: &str, channel: &str) -> Self {
        let (topic, channel) = (quote(topic.as_bytes()), quote(channel.as_bytes()));
        Self::new(ErrorCode::Unauthorized, format!("AUTH failed for {verb} on {topic} {channel}"))
    }

    // ---- what only the broker can know ----

    /// SUB reached a channel that is being closed (`exiting`), or one that vanished twice.
    pub fn sub_failed(cause: &str) -> Self {
        Self::new(ErrorCode::SubFailed, format!("SUB failed {cause}"))
    }

    /// The channel has as many consumers as `--max-channel-consumers` allows.
    pub fn sub_consumers_exceeded(topic: &str, channel: &str, max: u64) -> Self {
        Self::sub_failed(&format!("consumers for {topic}:{channel} exceeds limit of {max}"))
    }

    /// The topic is exiting, or its log cannot be written.
    pub fn pub_failed(cause: &str) -> Self {
        Self::new(ErrorCode::PubFailed, format!("PUB failed {cause}"))
    }

    /// As [`WireError::pub_failed`], for MPUB.
    pub fn mpub_failed(cause: &str) -> Self {
        Self::new(ErrorCode::MpubFailed, format!("MPUB failed {cause}"))
    }

    /// As [`WireError::pub_failed`], for DPUB.
    pub fn dpub_failed(cause: &str) -> Self {
        Self::new(ErrorCode::DpubFailed, format!("DPUB failed {cause}"))
    }

    /// FIN of a message that is not in flight, or in flight for somebody else. Not fatal.
    pub fn fin_failed(id: &[u8; 16], cause: &str) -> Self {
        Self::about_message(ErrorCode::FinFailed, Verb::Fin, id, cause)
    }

    /// As [`WireError::fin_failed`], for REQ.
    pub fn req_failed(id: &[u8; 16], cause: &str) -> Self {
        Self::about_message(ErrorCode::ReqFailed, Verb::Req, id, cause)
    }

    /// As [`WireError::fin_failed`], for TOUCH.
    pub fn touch_failed(id: &[u8; 16], cause: &str) -> Self {
        Self::about_message(ErrorCode::TouchFailed, Verb::Touch, id, cause)
    }

    fn about_message(code: ErrorCode, verb: Verb, id: &[u8; 16], cause: &str) -> Self {
        let verb = verb.as_str().as_bytes();
        Self::new(code, join(&[verb, b" ", id, b" failed ", cause.as_bytes()]))
    }
}

/// The causes that NSQ names after `failed`, for the constructors that take one.
pub mod cause {
    /// FIN, REQ, TOUCH: nobody has the message.
    pub const NOT_IN_FLIGHT: &str = "ID not in flight";
    /// FIN, REQ, TOUCH: another connection has the message, for instance this client's previous one.
    pub const NOT_OWNER: &str = "client does not own message";
    /// REQ with a delay: the message already waits.
    pub const ALREADY_DEFERRED: &str = "ID already deferred";
    /// The topic or channel is being deleted, or the daemon is stopping.
    pub const EXITING: &str = "exiting";
    /// SUB: the ephemeral topic or channel vanished twice while subscribing.
    pub const VANISHED: &str = "to deleted topic/channel";
}

#[cfg(test)]
mod tests;
