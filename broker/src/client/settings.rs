//! What a client has settled about its deliveries.

/// Settings that only the first IDENTIFY of a connection decides. A later one changes what is reported and the
/// deadlines, as in NSQ. `None` until then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delivery {
    /// How often heartbeats are sent, ns; `u64::MAX` for never.
    pub heartbeat_ns: Option<u64>,
    /// How long a message may be in flight, ns.
    pub message_timeout_ns: Option<u64>,
    /// Percentage of messages wanted.
    pub sample_rate: Option<u8>,
}
