//! Which path is which endpoint, and what becomes of paths and methods that are none.

use std::sync::LazyLock;

use hyper::StatusCode;
use hyper::http::request::Parts;
use matchit::Router;

use super::body::RequestBody;
use super::query::{self, Query};
use super::reply::{self, ApiError, Reply};
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

struct Route {
    path: &'static str,
    methods: &'static [&'static str],
    endpoint: Endpoint,
}

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const PUT: &[&str] = &["PUT"];

/// The only path with a part of its own in it.
const OPTION_PATH: &str = "/config/{option}";
const OPTION_PREFIX: &str = "/config/";

const fn route(path: &'static str, methods: &'static [&'static str], endpoint: Endpoint) -> Route {
    Route { path, methods, endpoint }
}

const ROUTES: &[Route] = &[
    route("/ping", GET, Endpoint::Ping),
    route("/info", GET, Endpoint::Info),
    route("/pub", POST, Endpoint::Publish),
    route("/mpub", POST, Endpoint::PublishMany),
    route("/stats", GET, Endpoint::Stats),
    route("/topic/create", POST, Endpoint::Topic(TopicAction::Create)),
    route("/topic/delete", POST, Endpoint::Topic(TopicAction::Delete)),
    route("/topic/empty", POST, Endpoint::Topic(TopicAction::Empty)),
    route("/topic/pause", POST, Endpoint::Topic(TopicAction::Pause)),
    route("/topic/unpause", POST, Endpoint::Topic(TopicAction::Unpause)),
    route("/channel/create", POST, Endpoint::Channel(ChannelAction::Create)),
    route("/channel/delete", POST, Endpoint::Channel(ChannelAction::Delete)),
    route("/channel/empty", POST, Endpoint::Channel(ChannelAction::Empty)),
    route("/channel/pause", POST, Endpoint::Channel(ChannelAction::Pause)),
    route("/channel/unpause", POST, Endpoint::Channel(ChannelAction::Unpause)),
    route(OPTION_PATH, &["GET", "PUT"], Endpoint::Option),
    route("/debug/pprof/", GET, Endpoint::ProfileIndex),
    route("/debug/pprof/cmdline", GET, Endpoint::CommandLine),
    route("/debug/pprof/symbol", &["GET", "POST"], Endpoint::Symbol),
    route("/debug/pprof/profile", GET, Endpoint::CpuProfile),
    route("/debug/pprof/heap", GET, Endpoint::Profile),
    route("/debug/pprof/goroutine", GET, Endpoint::Profile),
    route("/debug/pprof/block", GET, Endpoint::Profile),
    route("/debug/pprof/threadcreate", GET, Endpoint::Profile),
    route("/debug/setblockrate", PUT, Endpoint::SetBlockRate),
    route("/debug/freememory", POST, Endpoint::FreeMemory),
];

static ROUTER: LazyLock<Router<&'static Route>> = LazyLock::new(|| {
    let mut router = Router::new();
    for route in ROUTES {
        router.insert(route.path, route).expect("invariant: no two routes of the table collide");
    }
    router
});

/// Where a method and a path lead.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// To an endpoint; the text is the path's own part, if it has one.
    Endpoint(Endpoint, String),
    /// To another spelling of the path.
    Redirect(String),
    /// To a list of the methods that the path has.
    Options(String),
    /// Nowhere: the path has these methods only.
    MethodNotAllowed(String),
    Nothing,
}

fn find(method: &str, path: &str) -> Found {
    let exact = ROUTER.at(path).ok();
    if let Some(found) = &exact
        && found.value.methods.contains(&method)
    {
        let option = found.params.get("option").unwrap_or_default();
        return Found::Endpoint(found.value.endpoint, option.to_owned());
    }
    if let Some(repaired) = repair(method, path) {
        return Found::Redirect(repaired);
    }
    match exact {
        Some(found) if method == "OPTIONS" => Found::Options(allow(found.value.methods)),
        Some(found) => Found::MethodNotAllowed(allow(found.value.methods)),
        None => Found::Nothing,
    }
}

/// The path that was meant, where only case, slashes or dots are wrong and the right one has this method.
fn repair(method: &str, path: &str) -> Option<String> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let clean = format!("/{}", segments.join("/"));
    let lower = clean.to_ascii_lowercase();
    let with_slash = format!("{lower}/");
    let found = ROUTER.at(&lower).or_else(|_| ROUTER.at(&with_slash)).ok()?;
    if !found.value.methods.contains(&method) {
        return None;
    }
    let right = match found.value.endpoint {
        Endpoint::Option => format!("{OPTION_PREFIX}{}", escape(segments.last()?)),
        _ => found.value.path.to_owned(),
    };
    (right != path).then_some(right)
}

/// Escapes a segment of a path for a header.
fn escape(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn allow(methods: &[&str]) -> String {
    let mut all = [methods, &["OPTIONS"]].concat();
    all.sort_unstable();
    all.join(", ")
}

/// A request on its way into a handler.
pub(super) struct Request<'a> {
    pub(super) context: &'a HttpContext,
    pub(super) head: &'a Parts,
}

impl<'a> Request<'a> {
    /// The arguments in the query.
    pub(super) fn query(&self) -> Result<Query<'a>, ApiError> {
        Ok(Query::parse(self.head.uri.query().unwrap_or_default().as_bytes())?)
    }
}

/// Answers one request. Reads as much of `body` as the endpoint needs.
pub(super) async fn dispatch(context: &HttpContext, head: &Parts, body: &mut RequestBody) -> Reply {
    let Some(path) = query::decode(head.uri.path().as_bytes(), false) else {
        return reply::plain_text(StatusCode::BAD_REQUEST, "400 Bad Request");
    };
    match find(head.method.as_str(), &String::from_utf8_lossy(&path)) {
        Found::Endpoint(endpoint, option) => {
            let request = Request { context, head };
            call(endpoint, &option, &request, body).await.unwrap_or_else(Reply::from)
        }
        Found::Redirect(mut location) => {
            if let Some(query) = head.uri.query() {
                location.push('?');
                location.push_str(query);
            }
            reply::redirect(head.method == hyper::Method::GET, &location)
        }
        Found::Options(allow) => reply::options(&allow),
        Found::MethodNotAllowed(allow) => reply::method_not_allowed(&allow),
        Found::Nothing => ApiError::not_found("NOT_FOUND").into(),
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

    fn redirect(method: &str, path: &str) -> Option<String> {
        match find(method, path) {
            Found::Redirect(to) => Some(to),
            _ => None,
        }
    }

    #[test]
    fn every_route_is_found_by_its_own_path() {
        for route in ROUTES {
            let path = route.path.replace("{option}", "log_level");
            for method in route.methods {
                assert!(
                    matches!(find(method, &path), Found::Endpoint(endpoint, _) if endpoint == route.endpoint),
                    "{method} {path}"
                );
            }
        }
    }

    #[test]
    fn an_option_is_part_of_the_path() {
        assert_eq!(find("GET", "/config/ id"), Found::Endpoint(Endpoint::Option, " id".to_owned()));
        assert_eq!(find("GET", "/config/a/b"), Found::Nothing);
        assert_eq!(find("GET", "/config/"), Found::Nothing);
        assert_eq!(find("GET", "/config"), Found::Nothing);
    }

    #[test]
    fn other_spellings_are_redirected_to_the_right_one() {
        for (method, path, right) in [
            ("GET", "/ping/", "/ping"),
            ("GET", "/PING", "/ping"),
            ("GET", "//ping", "/ping"),
            ("GET", "/x/../ping", "/ping"),
            ("POST", "/Topic/Create", "/topic/create"),
            ("POST", "//topic//create", "/topic/create"),
            ("PUT", "/config/log_level/", "/config/log_level"),
            ("GET", "/CONFIG/Log\r\nX", "/config/Log%0D%0AX"),
            ("GET", "/debug/pprof", "/debug/pprof/"),
        ] {
            assert_eq!(redirect(method, path).as_deref(), Some(right), "{method} {path}");
        }
    }

    #[test]
    fn only_a_method_that_the_path_has_is_redirected() {
        assert_eq!(find("POST", "/ping/"), Found::Nothing);
        assert_eq!(find("OPTIONS", "/PING"), Found::Nothing);
        assert_eq!(find("GET", "/"), Found::Nothing);
        assert_eq!(find("GET", "/.."), Found::Nothing);
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        assert_eq!(find("GET", "/pub"), Found::MethodNotAllowed("OPTIONS, POST".to_owned()));
        assert_eq!(find("HEAD", "/ping"), Found::MethodNotAllowed("GET, OPTIONS".to_owned()));
        assert_eq!(find("POST", "/config/x"), Found::MethodNotAllowed("GET, OPTIONS, PUT".to_owned()));
        assert_eq!(find("OPTIONS", "/config/x"), Found::Options("GET, OPTIONS, PUT".to_owned()));
        assert_eq!(find("OPTIONS", "/nope"), Found::Nothing);
    }
}
