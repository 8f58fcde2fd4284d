//! Which path is which endpoint, and what becomes of paths and methods that are none.

use std::sync::LazyLock;

use hyper::http::request::Parts;
use nsq_http::{ApiError, Found, Reply, Route, Router};

use super::body::RequestBody;
use super::request::Request;
use super::{HttpContext, debug, info, objects, options, publish, stats};
use objects::{ChannelAction, TopicAction};

/// What stands behind a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Ping,
    Info,
    Publish,
    PublishMany,
    Stats,
    Topic(TopicAction),
    Channel(ChannelAction),
    Option,
    ProfileIndex,
    CommandLine,
    Symbol,
    CpuProfile,
    Profile,
    SetBlockRate,
    FreeMemory,
}

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const PUT: &[&str] = &["PUT"];

const ROUTES: &[Route<Endpoint>] = &[
    Route::new("/ping", GET, Endpoint::Ping),
    Route::new("/info", GET, Endpoint::Info),
    Route::new("/pub", POST, Endpoint::Publish),
    Route::new("/mpub", POST, Endpoint::PublishMany),
    Route::new("/stats", GET, Endpoint::Stats),
    Route::new("/topic/create", POST, Endpoint::Topic(TopicAction::Create)),
    Route::new("/topic/delete", POST, Endpoint::Topic(TopicAction::Delete)),
    Route::new("/topic/empty", POST, Endpoint::Topic(TopicAction::Empty)),
    Route::new("/topic/pause", POST, Endpoint::Topic(TopicAction::Pause)),
    Route::new("/topic/unpause", POST, Endpoint::Topic(TopicAction::Unpause)),
    Route::new("/channel/create", POST, Endpoint::Channel(ChannelAction::Create)),
    Route::new("/channel/delete", POST, Endpoint::Channel(ChannelAction::Delete)),
    Route::new("/channel/empty", POST, Endpoint::Channel(ChannelAction::Empty)),
    Route::new("/channel/pause", POST, Endpoint::Channel(ChannelAction::Pause)),
    Route::new("/channel/unpause", POST, Endpoint::Channel(ChannelAction::Unpause)),
    Route::new("/config/{option}", &["GET", "PUT"], Endpoint::Option),
    Route::new("/debug/pprof/", GET, Endpoint::ProfileIndex),
    Route::new("/debug/pprof/cmdline", GET, Endpoint::CommandLine),
    Route::new("/debug/pprof/symbol", &["GET", "POST"], Endpoint::Symbol),
    Route::new("/debug/pprof/profile", GET, Endpoint::CpuProfile),
    Route::new("/debug/pprof/heap", GET, Endpoint::Profile),
    Route::new("/debug/pprof/goroutine", GET, Endpoint::Profile),
    Route::new("/debug/pprof/block", GET, Endpoint::Profile),
    Route::new("/debug/pprof/threadcreate", GET, Endpoint::Profile),
    Route::new("/debug/setblockrate", PUT, Endpoint::SetBlockRate),
    Route::new("/debug/freememory", POST, Endpoint::FreeMemory),
];

static ROUTER: LazyLock<Router<Endpoint>> = LazyLock::new(|| Router::new("", ROUTES));

/// Answers one request. Reads as much of `body` as the endpoint needs.
pub(super) async fn dispatch(context: &HttpContext, head: &Parts, body: &mut RequestBody) -> Reply {
    match ROUTER.find(&head.method, &head.uri) {
        Found::Endpoint(endpoint, params) => {
            let request = Request { context, head };
            call(endpoint, params.get("option"), &request, body).await.unwrap_or_else(Reply::from)
        }
        Found::Reply(reply) => reply,
    }
}

async fn call(
    endpoint: Endpoint,
    option: &str,
    request: &Request<'_>,
    body: &mut RequestBody,
) -> Result<Reply, ApiError> {
    match endpoint {
        Endpoint::Ping => Ok(info::ping(request.context)),
        Endpoint::Info => Ok(info::info(request.context)),
        Endpoint::Publish => publish::publish(request, body).await,
        Endpoint::PublishMany => publish::publish_many(request, body).await,
        Endpoint::Stats => stats::stats(request).await,
        Endpoint::Topic(action) => objects::topic(request, action).await,
        Endpoint::Channel(action) => objects::channel(request, action).await,
        Endpoint::Option if request.head.method == hyper::Method::PUT => {
            options::put(request.context, option, body).await
        }
        Endpoint::Option => options::get(request.context, option),
        Endpoint::ProfileIndex => Ok(debug::index()),
        Endpoint::CommandLine => Ok(debug::command_line()),
        Endpoint::Symbol => Ok(debug::symbol()),
        Endpoint::CpuProfile => Ok(debug::cpu_profile()),
        Endpoint::Profile => Ok(debug::profile()),
        Endpoint::SetBlockRate => debug::set_block_rate(request, body).await,
        Endpoint::FreeMemory => Err(debug::FREE_MEMORY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: &str, path: &str) -> Found<Endpoint> {
        ROUTER.find(&method.parse().unwrap(), &path.parse().unwrap())
    }

    #[test]
    fn every_route_is_found_by_its_own_path() {
        for (method, path, expected) in [
            ("GET", "/ping", Endpoint::Ping),
            ("POST", "/pub", Endpoint::Publish),
            ("POST", "/mpub", Endpoint::PublishMany),
            ("GET", "/stats", Endpoint::Stats),
            ("POST", "/topic/create", Endpoint::Topic(TopicAction::Create)),
            ("POST", "/channel/unpause", Endpoint::Channel(ChannelAction::Unpause)),
            ("GET", "/debug/pprof/", Endpoint::ProfileIndex),
            ("POST", "/debug/pprof/symbol", Endpoint::Symbol),
            ("PUT", "/debug/setblockrate", Endpoint::SetBlockRate),
        ] {
            let found = find(method, path);
            assert!(matches!(found, Found::Endpoint(endpoint, _) if endpoint == expected), "{method} {path}");
        }
    }

    #[test]
    fn an_option_is_part_of_the_path() {
        for method in ["GET", "PUT"] {
            let Found::Endpoint(Endpoint::Option, params) = find(method, "/config/%20id") else {
                panic!("not an option")
            };
            assert_eq!(params.get("option"), " id");
        }
    }
}
