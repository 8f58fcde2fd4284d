//! Where a topic is, by nsqlookupd's directory.

use serde::{Deserialize, Deserializer};

use super::rows::rows;

/// An nsqd as nsqlookupd lists it. The ports are not checked there, so one bad nsqd must not make the list
/// unreadable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Producer {
    #[serde(deserialize_with = "null_is_default")]
    pub remote_address: String,
    #[serde(deserialize_with = "null_is_default")]
    pub hostname: String,
    #[serde(deserialize_with = "null_is_default")]
    pub broadcast_address: String,
    #[serde(deserialize_with = "null_is_default")]
    pub tcp_port: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub http_port: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub version: String,
    #[serde(deserialize_with = "null_is_default")]
    pub topology_zone: String,
    #[serde(deserialize_with = "null_is_default")]
    pub topology_region: String,
    /// In `/nodes` only, one for each element of `topics`.
    #[serde(deserialize_with = "rows")]
    pub tombstones: Vec<bool>,
    /// In `/nodes` only.
    #[serde(deserialize_with = "rows")]
    pub topics: Vec<String>,
}

impl Producer {
    /// Where its HTTP API is, and its name in nsqadmin: `host:http_port`, an IPv6 address in brackets.
    pub fn http_address(&self) -> String {
        host_port(&self.broadcast_address, self.http_port)
    }
}

/// Joins host and port; a host with a colon in it gets brackets.
pub fn host_port(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Older daemons say `null` for a list or number that is not there.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The union of what several nsqlookupds list for a topic: each nsqd once, told apart by broadcast address and
/// HTTP port.
pub fn union(lists: impl IntoIterator<Item = Vec<Producer>>) -> Vec<Producer> {
    let mut union: Vec<Producer> = Vec::new();
    let mut seen = hashbrown::HashSet::new();
    for producer in lists.into_iter().flatten() {
        if seen.insert((producer.broadcast_address.clone(), producer.http_port)) {
            union.push(producer);
        }
    }
    union
}
