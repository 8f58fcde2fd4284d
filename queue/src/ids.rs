//! The names things have inside the broker. All are small integers; the strings are only for people and for the log.

use nsq_protocol::message::{MESSAGE_ID_SIZE, MessageId};

/// A topic, unique on this node for the life of the process: a topic that is deleted and made again has a new key.
/// Chosen by the broker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TopicKey(pub u64);

/// A channel within its topic. Never given twice within one topic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ChannelId(pub u32);

/// A channel on this node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ChannelKey {
    /// The topic it belongs to.
    pub topic: TopicKey,
    /// Which of the topic's channels.
    pub channel: ChannelId,
}

/// A subscription. Chosen by the broker and never given twice, because a message in flight remembers its owner longer
/// than the owner lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ConsumerId(pub u64);

/// Names an administrative request whose effect somebody waits for. Chosen by the broker, opaque here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Token(pub u64);

/// Who gets the answer to a publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiter {
    /// The core that holds the connection.
    pub origin: u16,
    /// The connection on that core.
    pub connection: u64,
    /// The number of the publish on that connection; consecutive numbers are answered together.
    pub reply: u64,
}

/// A message id as it stands in a frame: sixteen lower-case hexadecimal digits.
pub type RawMessageId = [u8; MESSAGE_ID_SIZE];

/// The number behind a message id, or `None` for bytes that no broker ever sent as an id.
pub fn parse_message_id(raw: &RawMessageId) -> Option<u64> {
    MessageId::from_hex(raw).map(|id| id.0)
}

/// The sixteen digits of a message id.
pub fn format_message_id(id: u64) -> RawMessageId {
    MessageId(id).to_hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_digits() {
        for id in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(parse_message_id(&format_message_id(id)), Some(id));
        }
        assert_eq!(&format_message_id(0xabc), b"0000000000000abc");
    }

    #[test]
    fn what_no_broker_sends_is_no_id() {
        assert_eq!(parse_message_id(b"0000000000000ABC"), None);
        assert_eq!(parse_message_id(b"000000000000000g"), None);
        assert_eq!(parse_message_id(&[0xff; 16]), None);
    }
}
