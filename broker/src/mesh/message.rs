//! What one core sends to another over the mesh.

use nsq_queue::PeerMessage;

use crate::client::Connection;
use crate::client::replies::PublishVerb;
use crate::mesh::request::{Request, Response};
use crate::transport::Socket;

/// One item of a ring between two cores. Small, so that a ring of a thousand costs little; the large ones are
/// boxed.
#[derive(Debug)]
pub enum CoreMessage {
    /// From one half of the queue to the other: batches, finished ranges, fetches.
    Queue(PeerMessage),
    /// Publishes by connections of the sending core, gathered over one turn.
    Forward(Box<Forward>),
    /// So many bytes that the receiving core had handed over were looked at; see `core/handed.rs`.
    Taken {
        /// Since the last report.
        bytes: u64,
    },
    /// Answers to forwarded publishes, gathered over one turn.
    Replies(Vec<RemoteReply>),
    /// A request; the answer carries the same number back.
    Request {
        /// The requesting core's number for the request.
        number: u64,
        /// What is wanted.
        request: Box<Request>,
    },
    /// The answer to a `Request`.
    Response {
        /// The number of the request.
        number: u64,
        /// The answer.
        response: Box<Response>,
    },
    /// A connection that goes on living on the receiving core.
    Move(Box<Moving>),
    /// A topic or channel came or went; nsqlookupd is to hear of it. Only to core 0.
    Registration(Change),
    /// Which channels does nsqlookupd know of this new topic? Only to core 0.
    Discover {
        /// The topic's name.
        topic: String,
    },
    /// The answer to a `Discover`.
    Discovered {
        /// The topic's name.
        topic: String,
        /// Channels to be created before the topic forwards its first message.
        channels: Vec<String>,
    },
}

/// What the conversations with nsqlookupd are to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupNotice {
    /// A topic or channel came or went.
    Changed(Change),
    /// Which channels does nsqlookupd know of this new topic?
    Discover(String),
    /// Its addresses in the process are new ones.
    AddressesChanged,
}

/// Publishes on their way to the cores of their topics.
#[derive(Debug, Default)]
pub struct Forward {
    /// What to publish, in the order of the commands.
    pub items: Vec<ForwardItem>,
    /// The bytes that the items speak of.
    pub bytes: Vec<u8>,
}

/// One publishing command.
#[derive(Debug)]
pub struct ForwardItem {
    /// Length of the topic's name, the first of the item's bytes.
    pub topic_size: u8,
    /// Delay in milliseconds, 0 for none.
    pub defer_ms: u32,
    /// Number of messages behind the name, each with its size as u32 before it.
    pub count: u32,
    /// All bytes of the item.
    pub size: usize,
    /// The connection at the sending core.
    pub connection: u64,
    /// The place of the answer.
    pub reply: u64,
    /// PUB, MPUB or DPUB.
    pub verb: PublishVerb,
}

/// The answer to forwarded publishes of one connection.
#[derive(Clone, Copy, Debug)]
pub struct RemoteReply {
    /// The connection at the receiving core.
    pub connection: u64,
    /// First place that is answered.
    pub first: u64,
    /// Places from there on.
    pub count: u64,
    /// True for `OK`, false for a refused publish.
    pub ok: bool,
}

/// A connection between two cores.
#[derive(Debug)]
pub struct Moving {
    /// Its socket.
    pub socket: Socket,
    /// Its state, with the bytes that were not parsed yet.
    pub connection: Box<Connection>,
}

/// A topic or a channel came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The topic's name.
    pub topic: String,
    /// The channel's name, or `None` for the topic itself.
    pub channel: Option<String>,
    /// True if it exists now.
    pub added: bool,
}

impl Change {
    /// It exists.
    pub fn added(topic: &str, channel: Option<&str>) -> Self {
        Self { topic: topic.to_owned(), channel: channel.map(str::to_owned), added: true }
    }

    /// It exists no longer.
    pub fn removed(topic: &str, channel: Option<&str>) -> Self {
        Self { topic: topic.to_owned(), channel: channel.map(str::to_owned), added: false }
    }
}
