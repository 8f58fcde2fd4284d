//! Which path is which endpoint.

use std::sync::LazyLock;

use nsq_http::{Route, Router};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Whether the daemon lives.
    Ping,
    /// Its version.
    Info,
    /// All topics.
    Topics,
    /// Channels of a topic.
    Channels,
    /// Channels and producers of a topic.
    Lookup,
    /// All producers.
    Nodes,
    /// Everything.
    Debug,
    /// Prometheus.
    Metrics,
    /// Makes a topic known.
    CreateTopic,
    /// Forgets a topic.
    DeleteTopic,
    /// Makes a channel known.
    CreateChannel,
    /// Forgets a channel.
    DeleteChannel,
    /// Hides a producer of a topic.
    Tombstone,
}

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];

pub(super) static ROUTER: LazyLock<Router<Endpoint>> = LazyLock::new(|| {
    Router::new(
        "",
        &[
            Route::new("/ping", GET, Endpoint::Ping),
            Route::new("/info", GET, Endpoint::Info),
            Route::new("/topics", GET, Endpoint::Topics),
            Route::new("/channels", GET, Endpoint::Channels),
            Route::new("/lookup", GET, Endpoint::Lookup),
            Route::new("/nodes", GET, Endpoint::Nodes),
            Route::new("/debug", GET, Endpoint::Debug),
            Route::new("/metrics", GET, Endpoint::Metrics),
            Route::new("/topic/create", POST, Endpoint::CreateTopic),
            Route::new("/topic/delete", POST, Endpoint::DeleteTopic),
            Route::new("/channel/create", POST, Endpoint::CreateChannel),
            Route::new("/channel/delete", POST, Endpoint::DeleteChannel),
            Route::new("/topic/tombstone", POST, Endpoint::Tombstone),
        ],
    )
});
