//! A consumer's connection, as a channel shows it.

use serde::{Deserialize, Serialize};

use super::producers::null_is_default;

/// One consumer of a channel on one node. What nsqd does not say is zero or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The fields are nsqd's; those that are not obvious are described.
pub struct ClientStats {
    /// The nsqd that serves it, `host:http_port`. Set here, not by nsqd.
    #[serde(skip_deserializing)]
    pub node: String,
    #[serde(deserialize_with = "null_is_default")]
    pub remote_address: String,
    #[serde(deserialize_with = "null_is_default")]
    pub version: String,
    #[serde(deserialize_with = "null_is_default")]
    pub client_id: String,
    #[serde(deserialize_with = "null_is_default")]
    pub hostname: String,
    #[serde(deserialize_with = "null_is_default")]
    pub user_agent: String,
    /// Unix seconds, by the clock of the nsqd.
    #[serde(deserialize_with = "null_is_default")]
    pub connect_ts: i64,
    /// Nanoseconds since then, whole seconds, by our clock: what the reader's clock makes of it may be negative.
    #[serde(rename = "connected", skip_deserializing)]
    pub connected_ns: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub in_flight_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub ready_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub finish_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub requeue_count: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub message_count: i64,
    /// Percent of the messages that it takes; 0 is all.
    #[serde(deserialize_with = "null_is_default")]
    pub sample_rate: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub deflate: bool,
    #[serde(deserialize_with = "null_is_default")]
    pub snappy: bool,
    #[serde(deserialize_with = "null_is_default")]
    pub authed: bool,
    #[serde(deserialize_with = "null_is_default")]
    pub auth_identity: String,
    #[serde(deserialize_with = "null_is_default")]
    pub auth_identity_url: String,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub topology_region: String,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub topology_zone: String,
    #[serde(deserialize_with = "null_is_default")]
    pub tls: bool,
    #[serde(rename = "tls_cipher_suite", deserialize_with = "null_is_default")]
    pub cipher_suite: String,
    #[serde(deserialize_with = "null_is_default")]
    pub tls_version: String,
    #[serde(deserialize_with = "null_is_default")]
    pub tls_negotiated_protocol: String,
    #[serde(deserialize_with = "null_is_default")]
    pub tls_negotiated_protocol_is_mutual: bool,
}

impl ClientStats {
    /// Messages that it was given and neither finished, nor requeued, nor holds: those that timed out.
    pub fn unanswered(&self) -> i64 {
        (self.message_count - self.finish_count - self.requeue_count - self.in_flight_count).max(0)
    }

    /// Completes what nsqd said with the node it said it on, and with the age of the connection.
    pub fn seen_on(&mut self, node: &str, now_s: i64) {
        node.clone_into(&mut self.node);
        self.connected_ns = now_s.saturating_sub(self.connect_ts).saturating_mul(1_000_000_000);
    }
}
