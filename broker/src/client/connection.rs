//! One client connection, as its core sees it. No socket in here: bytes in, bytes out.

use std::sync::Arc;

use nsq_protocol::{Limits, Session};
use nsq_queue::ChannelKey;

use crate::client::replies::Replies;
use crate::client::settings::Delivery;
use crate::client::suspended::Suspended;
use crate::stats::snapshot::ConnectionStats;
use crate::transport::Slot;

/// Bytes waiting to be sent to one client before its deliveries stop. They go on once the client has read.
pub(crate) const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Unparsed bytes of one connection that waits (for a commit, for another core) before its socket is not read
/// any more. More than one full command must fit, or a large body could never arrive.
pub(crate) const INPUT_BYTES_PAUSE: usize = 256 * 1024;

/// Publishes of one connection that wait for their commit before its further commands wait too.
pub(crate) const REPLIES_WAITING_MAX: usize = 16 * 1024;

/// Topics for which one connection's publishes are counted; beyond it they count for the connection's last one.
const PUBLISH_COUNTS_MAX: usize = 128;

/// Why a connection's commands are not looked at for the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nothing holds it.
    None,
    /// It waits for another core or for nsqlookupd; the command that waits is [`Connection::suspended`].
    Requested,
    /// It moves to another core: first everything owed is sent, then its socket leaves this core's ring.
    Moving {
        /// The core it moves to.
        to: u16,
    },
    /// The log has too much to write, or the connection too many unanswered publishes.
    Backlog,
    /// Its last command was run: what is owed is sent, then it is closed.
    Ending,
}

/// State of one client connection. Owned by the core that its socket is attached to.
#[derive(Debug)]
pub struct Connection {
    /// Protocol state.
    pub session: Session,
    /// Answers owed.
    pub replies: Replies,
    /// Received and not parsed.
    pub input: Vec<u8>,
    /// To be sent at the end of the turn.
    pub output: Vec<u8>,
    /// A send is under way.
    pub sending: bool,
    /// In the list of connections to be looked at, at the end of the turn.
    pub dirty: bool,
    /// Receiving was paused.
    pub input_paused: bool,
    /// Deliveries were stopped because the client does not read.
    pub output_blocked: bool,
    /// The peer has sent its last byte.
    pub end_of_input: bool,
    /// Being closed: nothing is parsed or sent any more.
    pub closing: bool,
    /// Why commands wait.
    pub hold: Hold,
    /// The command that waits.
    pub suspended: Option<Suspended>,
    /// The channel of its subscription.
    pub channel: Option<ChannelKey>,
    /// It has published: where it lives is settled.
    pub settled: bool,
    /// Peer address, `ip:port`, or `@`.
    pub remote_address: Arc<str>,
    /// Unix seconds.
    pub connected_at: i64,
    /// Publishes by topic, in order of first use.
    pub publish_counts: Vec<(Box<str>, u64)>,
    /// What the first IDENTIFY has fixed.
    pub delivery: Delivery,
    /// A buffer to send the next output from.
    pub spare: Vec<u8>,
    /// The transport was asked to let go of the socket.
    pub detaching: bool,
    /// When the next heartbeat is due, monotonic ns.
    pub heartbeat_at: u64,
    /// Since when the next command has been awaited, monotonic ns.
    pub waiting_since: u64,
    /// When the send under way was begun, monotonic ns.
    pub sending_since: u64,
    /// Its entry among the core's timers, monotonic ns.
    pub timer: Option<u64>,
}

impl Connection {
    /// A fresh connection.
    pub fn new(
        remote_ip: String,
        remote_address: Arc<str>,
        connected_at: i64,
        now: u64,
        limits: &Limits,
    ) -> Self {
        Self {
            session: Session::new(remote_ip, limits),
            replies: Replies::default(),
            input: Vec::new(),
            output: Vec::new(),
            sending: false,
            dirty: false,
            input_paused: false,
            output_blocked: false,
            end_of_input: false,
            closing: false,
            hold: Hold::None,
            suspended: None,
            channel: None,
            settled: false,
            remote_address,
            connected_at,
            publish_counts: Vec::new(),
            delivery: Delivery::default(),
            spare: Vec::new(),
            detaching: false,
            heartbeat_at: now,
            waiting_since: now,
            sending_since: now,
            timer: None,
        }
    }

    /// Whether its commands wait for something.
    pub fn is_held(&self) -> bool {
        !matches!(self.hold, Hold::None | Hold::Ending)
    }

    /// Whether nothing is owed and no command waits.
    pub fn is_done(&self) -> bool {
        self.replies.is_empty() && !self.is_held()
    }

    /// Counts messages published to `topic`.
    pub fn count_published(&mut self, topic: &str, count: u64) {
        if let Some((_, published)) = self.publish_counts.iter_mut().find(|(name, _)| **name == *topic) {
            *published += count;
        } else if self.publish_counts.len() < PUBLISH_COUNTS_MAX {
            self.publish_counts.push((topic.into(), count));
        } else if let Some((_, published)) = self.publish_counts.last_mut() {
            *published += count;
        }
    }

    /// A snapshot for `/stats`.
    pub fn stats(&self, slot: Slot) -> ConnectionStats {
        let identity = self.session.identity();
        ConnectionStats {
            consumer: slot.to_u64(),
            client_id: identity.client_id.clone(),
            hostname: identity.hostname.clone(),
            user_agent: identity.user_agent.clone(),
            remote_address: self.remote_address.clone(),
            state: self.session.state() as u8,
            sample_rate: i32::from(self.delivery.sample_rate.unwrap_or(0)),
            connected_at: self.connected_at,
            topology_zone: identity.topology.zone.clone(),
            topology_region: identity.topology.region.clone(),
            publish_counts: self
                .publish_counts
                .iter()
                .map(|(name, count)| (name.to_string(), *count))
                .collect(),
        }
    }
}
