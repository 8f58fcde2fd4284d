//! Which path is which endpoint, and what becomes of paths and methods that are none: the rules of httprouter, which
//! NSQ uses.

use std::borrow::Cow;

use http::{Method, Uri};

use crate::query::decode;
use crate::reply::{self, ApiError, Reply};

/// A path, the methods that it has, and what stands behind it. The same path may occur with other methods.
#[derive(Clone, Copy, Debug)]
pub struct Route<E> {
    path: &'static str,
    methods: &'static [&'static str],
    endpoint: E,
}

impl<E> Route<E> {
    /// A route. A segment `{name}` of the path stands for one segment of any text.
    pub const fn new(path: &'static str, methods: &'static [&'static str], endpoint: E) -> Self {
        Self { path, methods, endpoint }
    }
}

/// The segments of a path that its route leaves open, by name, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The text of segment `{name}`; empty if the route has none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text)
    }
}

/// Where a request leads.
#[derive(Debug)]
pub enum Found<E> {
    /// To an endpoint.
    Endpoint(E, Params),
    /// To nothing but this answer: 404, 405, a redirect to another spelling, the list of methods, 400 for a path
    /// with a broken escape.
    Reply(Reply),
}

/// The endpoints of a daemon. Immutable; one may serve all threads.
pub struct Router<E> {
    methods: Vec<MethodRouter>,
    endpoints: Vec<Target<E>>,
}

/// The paths of one method, by index of their target: exact, and in lower case for those who err.
struct MethodRouter {
    method: &'static str,
    exact: matchit::Router<usize>,
    lower: matchit::Router<usize>,
}

struct Target<E> {
    endpoint: E,
    /// The right spelling, by segment; `None` is one that the route leaves open.
    segments: Vec<Option<String>>,
    ends_in_slash: bool,
}

impl<E: Copy> Router<E> {
    /// A router of these routes, each behind `base` (`""` or `"/"` for none).
    ///
    /// # Panics
    ///
    /// If two routes have the same path and method, or differ only in a segment that one of them leaves open.
    pub fn new(base: &str, routes: &[Route<E>]) -> Self {
        let base = base.trim_end_matches('/');
        let mut router = Self { methods: Vec::new(), endpoints: Vec::new() };
        for route in routes {
            let index = router.endpoints.len();
            let path = if base.is_empty() || route.path != "/" { route.path } else { "" };
            // Braces of the base are meant as they are.
            let pattern = format!("{}{path}", base.replace('{', "{{").replace('}', "}}"));
            router.endpoints.push(Target::new(base, path, route.endpoint));
            for &method in route.methods {
                router.insert(method, &pattern, index);
            }
        }
        router
    }

    fn insert(&mut self, method: &'static str, pattern: &str, index: usize) {
        let at = self.methods.iter().position(|known| known.method == method).unwrap_or_else(|| {
            let [exact, lower] = [matchit::Router::new(), matchit::Router::new()];
            self.methods.push(MethodRouter { method, exact, lower });
            self.methods.len() - 1
        });
        let known = &mut self.methods[at];
        known.exact.insert(pattern, index).expect("invariant: no two routes of the table collide");
        known
            .lower
            .insert(pattern.to_ascii_lowercase(), index)
            .expect("invariant: no two routes of the table differ in case alone");
    }

    /// Finds where a request leads.
    pub fn find(&self, method: &Method, uri: &Uri) -> Found<E> {
        let Some(path) = decode(uri.path().as_bytes(), false) else {
            return Found::Reply(reply::malformed());
        };
        let path = String::from_utf8_lossy(&path);
        match self.resolve(method.as_str(), &path) {
            Resolved::Endpoint(endpoint, params) => Found::Endpoint(endpoint, params),
            Resolved::Redirect(mut location) => {
                if let Some(query) = uri.query() {
                    location.push('?');
                    location.push_str(&ascii(query));
                }
                Found::Reply(reply::redirect(method == Method::GET, &location))
            }
            Resolved::Options(allow) => Found::Reply(reply::options(&allow)),
            // About the server as a whole, and Go's says nothing.
            Resolved::Nothing if path == "*" && method == Method::OPTIONS => {
                Found::Reply(Reply::new(bytes::Bytes::new()))
            }
            Resolved::MethodNotAllowed(allow) => Found::Reply(reply::method_not_allowed(&allow)),
            Resolved::Nothing => Found::Reply(ApiError::not_found("NOT_FOUND").into()),
        }
    }

    fn resolve(&self, method: &str, path: &str) -> Resolved<E> {
        let known = self.methods.iter().find(|known| known.method == method);
        if let Some(found) = known.and_then(|known| known.exact.at(path).ok()) {
            let params = found.params.iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
            return Resolved::Endpoint(self.endpoints[*found.value].endpoint, Params(params.collect()));
        }
        if let Some(repaired) = known.and_then(|known| self.repair(known, path)) {
            return Resolved::Redirect(repaired);
        }
        let has_path = |known: &&MethodRouter| known.exact.at(path).is_ok();
        let mut allow: Vec<&str> = self.methods.iter().filter(has_path).map(|known| known.method).collect();
        if allow.is_empty() {
            return Resolved::Nothing;
        }
        allow.push("OPTIONS");
        allow.sort_unstable();
        let allow = allow.join(", ");
        if method == "OPTIONS" { Resolved::Options(allow) } else { Resolved::MethodNotAllowed(allow) }
    }

    /// The path that was meant, where only case, slashes or dots are wrong and the right one has this method.
    fn repair(&self, known: &MethodRouter, path: &str) -> Option<String> {
        let mut segments: Vec<&str> = Vec::new();
        for segment in path.split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                _ => segments.push(segment),
            }
        }
        let lower = format!("/{}", segments.join("/")).to_ascii_lowercase();
        let with_slash = format!("{lower}/");
        let found = known.lower.at(&lower).or_else(|_| known.lower.at(&with_slash)).ok()?;
        let target = &self.endpoints[*found.value];
        let mut right = String::with_capacity(path.len());
        for (segment, own) in target.segments.iter().zip(segments) {
            right.push('/');
            push_escaped(&mut right, segment.as_deref().unwrap_or(own));
        }
        if target.ends_in_slash || right.is_empty() {
            right.push('/');
        }
        Some(right)
    }
}

impl<E> Target<E> {
    fn new(base: &str, path: &str, endpoint: E) -> Self {
        let fixed = base.split('/').map(|segment| Some(segment.to_owned()));
        let open = path.split('/').map(|segment| (!segment.starts_with('{')).then(|| segment.to_owned()));
        let segments = fixed.chain(open).filter(|segment| segment.as_deref() != Some("")).collect();
        Self { endpoint, segments, ends_in_slash: path.ends_with('/') }
    }
}

/// What [`Router::resolve`] found.
#[derive(Debug, PartialEq, Eq)]
enum Resolved<E> {
    Endpoint(E, Params),
    /// Another spelling of the path.
    Redirect(String),
    /// The methods that the path has.
    Options(String),
    /// The same, for another method.
    MethodNotAllowed(String),
    Nothing,
}

/// Escapes a segment of a path as Go does.
fn push_escaped(out: &mut String, segment: &str) {
    for byte in segment.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b':' | b';' | b'=' | b'@' => {
                out.push(char::from(byte));
            }
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// The query as it came, but in ASCII, so that it can stand in a header.
fn ascii(query: &str) -> Cow<'_, str> {
    if query.is_ascii() {
        return Cow::Borrowed(query);
    }
    let escape =
        |byte: u8| if byte.is_ascii() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    Cow::Owned(query.bytes().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[&str] = &["GET"];
    const POST: &[&str] = &["POST"];

    const ROUTES: &[Route<u8>] = &[
        Route::new("/ping", GET, 1),
        Route::new("/topic/create", POST, 2),
        Route::new("/config/{option}", &["GET", "PUT"], 3),
        Route::new("/debug/pprof/", GET, 4),
        Route::new("/api/topics/{topic}/{channel}", GET, 5),
        Route::new("/api/topics/{topic}/{channel}", POST, 6),
    ];

    fn redirect(base: &str, method: &str, path: &str) -> Option<String> {
        match Router::new(base, ROUTES).resolve(method, path) {
            Resolved::Redirect(to) => Some(to),
            _ => None,
        }
    }

    fn resolve(method: &str, path: &str) -> Resolved<u8> {
        Router::new("", ROUTES).resolve(method, path)
    }

    fn status(method: &str, uri: &str) -> (u16, Option<String>) {
        let uri = uri.parse().unwrap();
        match Router::new("", ROUTES).find(&method.parse().unwrap(), &uri) {
            Found::Endpoint(..) => (200, None),
            Found::Reply(reply) => {
                let location = reply.headers().get("location");
                (reply.status().as_u16(), location.map(|to| to.to_str().unwrap().to_owned()))
            }
        }
    }

    #[test]
    fn a_path_leads_to_the_endpoint_of_its_method_with_its_open_segments() {
        let params = |pairs: &[(&str, &str)]| {
            Params(pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
        };
        assert_eq!(resolve("GET", "/ping"), Resolved::Endpoint(1, params(&[])));
        assert_eq!(resolve("PUT", "/config/ id"), Resolved::Endpoint(3, params(&[("option", " id")])));
        for (method, endpoint) in [("GET", 5), ("POST", 6)] {
            let found = resolve(method, "/api/topics/T/c#ephemeral");
            assert_eq!(
                found,
                Resolved::Endpoint(endpoint, params(&[("topic", "T"), ("channel", "c#ephemeral")]))
            );
        }
        for path in ["/config/a/b", "/config/", "/config", "/", "/..", "/never", "", "*"] {
            assert_eq!(resolve("GET", path), Resolved::Nothing, "{path}");
        }
    }

    #[test]
    fn other_spellings_are_redirected_to_the_right_one() {
        for (method, path, right) in [
            ("GET", "/ping/", "/ping"),
            ("GET", "/PING", "/ping"),
            ("GET", "//ping", "/ping"),
            ("GET", "/./ping", "/ping"),
            ("GET", "/x/../ping", "/ping"),
            ("POST", "/Topic/Create", "/topic/create"),
            ("POST", "//topic//create/", "/topic/create"),
            ("PUT", "/config/log_level/", "/config/log_level"),
            ("GET", "/CONFIG/Log\r\nX", "/config/Log%0D%0AX"),
            ("GET", "/debug/pprof", "/debug/pprof/"),
            ("GET", "/api/Topics/T/c#ephemeral/", "/api/topics/T/c%23ephemeral"),
        ] {
            assert_eq!(redirect("", method, path).as_deref(), Some(right), "{method} {path}");
        }
    }

    #[test]
    fn only_a_method_that_the_path_has_is_redirected() {
        assert_eq!(resolve("POST", "/ping/"), Resolved::Nothing);
        assert_eq!(resolve("OPTIONS", "/PING"), Resolved::Nothing);
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        let allow = |methods: &str| Resolved::MethodNotAllowed(methods.to_owned());
        assert_eq!(resolve("GET", "/topic/create"), allow("OPTIONS, POST"));
        assert_eq!(resolve("HEAD", "/ping"), allow("GET, OPTIONS"));
        assert_eq!(resolve("POST", "/config/x"), allow("GET, OPTIONS, PUT"));
        assert_eq!(resolve("PUT", "/api/topics/t/c"), allow("GET, OPTIONS, POST"));
        assert_eq!(resolve("OPTIONS", "/config/x"), Resolved::Options("GET, OPTIONS, PUT".to_owned()));
        assert_eq!(resolve("OPTIONS", "/nope"), Resolved::Nothing);
    }

    #[test]
    fn a_base_stands_before_every_path() {
        const ROOT: &[Route<u8>] = &[Route::new("/", GET, 1), Route::new("/ping", GET, 2)];
        let router = Router::new("/Ad{min}", ROOT);
        let endpoint = |endpoint| Resolved::Endpoint(endpoint, Params::default());
        assert_eq!(router.resolve("GET", "/Ad{min}"), endpoint(1));
        assert_eq!(router.resolve("GET", "/Ad{min}/ping"), endpoint(2));
        assert_eq!(router.resolve("GET", "/Ad{min}/"), Resolved::Redirect("/Ad%7Bmin%7D".to_owned()));
        assert_eq!(
            router.resolve("GET", "/ad{MIN}/Ping"),
            Resolved::Redirect("/Ad%7Bmin%7D/ping".to_owned())
        );
        assert_eq!(router.resolve("GET", "/ping"), Resolved::Nothing);
        assert_eq!(Router::new("/", ROOT).resolve("GET", "/"), endpoint(1));
    }

    #[test]
    fn whole_requests_are_answered_as_by_nsq() {
        assert_eq!(status("GET", "/pi%6eg"), (200, None));
        assert_eq!(status("GET", "/PING?a=1&b=%zz"), (301, Some("/ping?a=1&b=%zz".to_owned())));
        assert_eq!(status("POST", "/Topic/Create?topic=t"), (307, Some("/topic/create?topic=t".to_owned())));
        assert_eq!(status("GET", "/%zz"), (400, None));
        assert_eq!(status("OPTIONS", "*"), (200, None));
        assert_eq!(status("GET", "/topic/create"), (405, None));
        assert_eq!(status("GET", "/nope"), (404, None));
    }
}
