//! Which path is answered by what.

use nsq_http::{Route, Router};

use crate::config::Config;
use crate::ui::serve::{Address, ROUTES};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Endpoint {
    Ping,
    Metrics,
    Topics,
    TopicCreate,
    Topic,
    TopicAct,
    TopicDelete,
    Channel,
    ChannelAct,
    ChannelDelete,
    Nodes,
    Node,
    NodeTombstone,
    Counter,
    Graphite,
    /// Ours.
    Attention,
    /// Ours.
    History,
    ConfigGet,
    ConfigPut,
    /// Only with `--proxy-graphite`.
    Render,
    /// A page or an asset.
    Page(Address),
}

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const DELETE: &[&str] = &["DELETE"];
const PUT: &[&str] = &["PUT"];

const API: [Route<Endpoint>; 19] = [
    Route::new("/ping", GET, Endpoint::Ping),
    Route::new("/metrics", GET, Endpoint::Metrics),
    Route::new("/api/topics", GET, Endpoint::Topics),
    Route::new("/api/topics", POST, Endpoint::TopicCreate),
    Route::new("/api/topics/{topic}", GET, Endpoint::Topic),
    Route::new("/api/topics/{topic}", POST, Endpoint::TopicAct),
    Route::new("/api/topics/{topic}", DELETE, Endpoint::TopicDelete),
    Route::new("/api/topics/{topic}/{channel}", GET, Endpoint::Channel),
    Route::new("/api/topics/{topic}/{channel}", POST, Endpoint::ChannelAct),
    Route::new("/api/topics/{topic}/{channel}", DELETE, Endpoint::ChannelDelete),
    Route::new("/api/nodes", GET, Endpoint::Nodes),
    Route::new("/api/nodes/{node}", GET, Endpoint::Node),
    Route::new("/api/nodes/{node}", DELETE, Endpoint::NodeTombstone),
    Route::new("/api/counter", GET, Endpoint::Counter),
    Route::new("/api/graphite", GET, Endpoint::Graphite),
    Route::new("/api/attention", GET, Endpoint::Attention),
    Route::new("/api/history", GET, Endpoint::History),
    Route::new("/config/{option}", GET, Endpoint::ConfigGet),
    Route::new("/config/{option}", PUT, Endpoint::ConfigPut),
];

/// All routes with these options.
pub fn router(config: &Config) -> Router<Endpoint> {
    let mut routes = API.to_vec();
    routes
        .extend(ROUTES.iter().map(|&(path, methods, page)| Route::new(path, methods, Endpoint::Page(page))));
    if config.graphite.as_ref().is_some_and(|graphite| graphite.is_proxied) {
        routes.push(Route::new("/render", GET, Endpoint::Render));
    }
    Router::new(&config.base_path, &routes)
}
