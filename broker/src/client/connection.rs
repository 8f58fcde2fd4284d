//! One client connection, as its core sees it. No socket in here: bytes in, bytes out.

use std::sync::Arc;

use nsq_protocol::{Limits, Session};
use nsq_queue::ChannelKey;

use crate::client::input::Input;
use crate::client::output::Output;
use crate::client::replies::{Answer, Replies};
use crate::client::settings::Delivery;
use crate::client::stage::Stage;
use crate::client::suspended::Suspended;
use crate::limits::PUBLISH_COUNTS_MAX;
use crate::mesh::permits::Permit;
use crate::stats::snapshot::ConnectionStats;
use crate::transport::Slot;

/// State of one client connection: what is true in every stage. Owned by the core that its socket is attached to.
#[derive(Debug)]
pub struct Connection {
    /// Protocol state.
    pub session: Session,
    /// Answers owed.
    pub replies: Replies,
    /// Received and not carried out.
    pub input: Input,
    /// To be sent.
    pub output: Output,
    /// What may happen next.
    pub stage: Stage,
    /// Since when it is in its stage, monotonic ns. Open and held take turns without a new beginning.
    pub stage_since: u64,
    /// The command that waits, where the stage waits or leads to another core.
    pub suspended: Option<Suspended>,
    /// The channel of its subscription.
    pub channel: Option<ChannelKey>,
    /// It has published: where it lives is settled.
    pub settled: bool,
    /// In the list of connections to be looked at, at the end of the turn.
    pub dirty: bool,
    /// The turn that it last had commands in, and the bytes that they took.
    pub share: (u64, usize),
    /// What its core counts for it.
    pub charged: Charged,
    /// Peer address, `ip:port`, or `@`.
    pub remote_address: Arc<str>,
    /// Unix seconds.
    pub connected_at: i64,
    /// Publishes by topic, in order of first use.
    pub publish_counts: Vec<(Box<str>, u64)>,
    /// What the first IDENTIFY has fixed.
    pub delivery: Delivery,
    /// When the next heartbeat is due, monotonic ns.
    pub heartbeat_at: u64,
    /// Since when the next command has been awaited, monotonic ns.
    pub waiting_since: u64,
    /// Its entry among the core's timers, monotonic ns.
    pub timer: Option<u64>,
    /// It counts as one client until it is dropped.
    pub permit: Permit,
    /// Why its socket broke; 0 unless it has.
    pub errno: i32,
}

/// What a core counts for a connection; see `core/budget.rs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// Bytes in receipt.
    pub receipt: usize,
    /// Bytes that the kernel has not taken.
    pub untaken: usize,
}

impl Connection {
    /// A fresh connection.
    pub fn new(
        remote_ip: String,
        remote_address: Arc<str>,
        connected_at: i64,
        now: u64,
        limits: &Limits,
        permit: Permit,
    ) -> Self {
        Self {
            session: Session::new(remote_ip, limits),
            replies: Replies::default(),
            input: Input::default(),
            output: Output::default(),
            stage: Stage::Magic,
            stage_since: now,
            suspended: None,
            channel: None,
            settled: false,
            dirty: false,
            share: (0, 0),
            charged: Charged::default(),
            remote_address,
            connected_at,
            publish_counts: Vec::new(),
            delivery: Delivery::default(),
            heartbeat_at: u64::MAX,
            waiting_since: now,
            timer: None,
            permit,
            errno: 0,
        }
    }

    /// Whether commands are carried out as they come.
    pub fn runs(&self) -> bool {
        matches!(self.stage, Stage::Magic | Stage::Open)
    }

    /// Answers a command at once, behind everything that still waits.
    pub fn answer(&mut self, answer: Answer) {
        let Self { replies, output, .. } = self;
        output.answer(|out| replies.push(answer, out));
    }

    /// Whether nothing is owed, unsent, or under way.
    pub fn has_sent_all(&self) -> bool {
        self.output.is_empty() && self.replies.is_done()
    }

    /// What of its input and its waiting command is kept, bytes.
    pub fn kept_bytes(&self) -> usize {
        self.input.len() + self.suspended.as_ref().map_or(0, Suspended::bytes)
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
