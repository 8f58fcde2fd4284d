//! Which path is answered by what, and what becomes of those that are not there.

use std::borrow::Cow;

use axum::http::Method;

use super::query::unescape;

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

/// One method per path.
const ROUTES: &[(&str, Method, Endpoint)] = &[
    ("/ping", Method::GET, Endpoint::Ping),
    ("/info", Method::GET, Endpoint::Info),
    ("/topics", Method::GET, Endpoint::Topics),
    ("/channels", Method::GET, Endpoint::Channels),
    ("/lookup", Method::GET, Endpoint::Lookup),
    ("/nodes", Method::GET, Endpoint::Nodes),
    ("/debug", Method::GET, Endpoint::Debug),
    ("/metrics", Method::GET, Endpoint::Metrics),
    ("/topic/create", Method::POST, Endpoint::CreateTopic),
    ("/topic/delete", Method::POST, Endpoint::DeleteTopic),
    ("/channel/create", Method::POST, Endpoint::CreateChannel),
    ("/channel/delete", Method::POST, Endpoint::DeleteChannel),
    ("/topic/tombstone", Method::POST, Endpoint::Tombstone),
];

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To this endpoint.
    Found(Endpoint),
    /// The path is there under another method, and these are allowed (sorted).
    OtherMethod(&'static str),
    /// OPTIONS of a known path, and its answer.
    Options(&'static str),
    /// A slip of the pen: the path that is meant, under the same method.
    Repaired(&'static str),
    /// Nowhere.
    Unknown,
}

/// Finds where `path`, as it stands in the request, goes.
pub(super) fn find(method: &Method, path: &str) -> Route {
    let Ok(path) = unescape(path, false) else { return Route::Unknown };
    let path = String::from_utf8_lossy(&path);
    let known = ROUTES.iter().find(|(known, ..)| *known == path);
    match known {
        Some((_, allowed, endpoint)) if allowed == method => Route::Found(*endpoint),
        Some((_, allowed, _)) => {
            let allow = if *allowed == Method::GET { "GET, OPTIONS" } else { "OPTIONS, POST" };
            if *method == Method::OPTIONS { Route::Options(allow) } else { Route::OtherMethod(allow) }
        }
        None if *method == Method::OPTIONS && path == "*" => Route::Options("GET, OPTIONS, POST"),
        None => {
            let meant = clean(&path);
            let repaired = ROUTES
                .iter()
                .find(|(known, allowed, _)| allowed == method && known.eq_ignore_ascii_case(&meant));
            repaired.map_or(Route::Unknown, |(known, ..)| Route::Repaired(known))
        }
    }
}

/// Without empty parts, `.` and `..`, and without a slash at the end.
fn clean(path: &str) -> Cow<'_, str> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Cow::Owned(parts.iter().flat_map(|part| ["/", part]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_paths_answer_to_one_method() {
        assert_eq!(find(&Method::GET, "/lookup"), Route::Found(Endpoint::Lookup));
        assert_eq!(find(&Method::GET, "/%6Cookup"), Route::Found(Endpoint::Lookup));
        assert_eq!(find(&Method::HEAD, "/lookup"), Route::OtherMethod("GET, OPTIONS"));
        assert_eq!(find(&Method::GET, "/topic/create"), Route::OtherMethod("OPTIONS, POST"));
        assert_eq!(find(&Method::OPTIONS, "/topic/create"), Route::Options("OPTIONS, POST"));
    }

    #[test]
    fn a_slip_of_the_pen_is_redirected_under_its_own_method() {
        for path in ["/topics/", "//topics", "/TOPICS", "/./topics", "/x/../topics"] {
            assert_eq!(find(&Method::GET, path), Route::Repaired("/topics"), "{path}");
            assert_eq!(find(&Method::POST, path), Route::Unknown, "{path}");
        }
        assert_eq!(find(&Method::POST, "/Topic//Create/"), Route::Repaired("/topic/create"));
    }

    #[test]
    fn anything_else_is_unknown() {
        for path in ["/", "/never", "/topic", "/topic/", "/lookup/t", "/create_topic", "", "*", "/%zz", "/.."]
        {
            assert_eq!(find(&Method::GET, path), Route::Unknown, "{path}");
        }
        assert_eq!(find(&Method::OPTIONS, "/never"), Route::Unknown);
    }
}
