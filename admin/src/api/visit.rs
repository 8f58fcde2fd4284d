//! A request, with what handlers need of it.

use std::net::SocketAddr;

use axum::http::{HeaderMap, Uri};
use bytes::Bytes;
use nsq_http::Params;

use crate::action::{Actor, Source};

/// One request, read whole and judged.
#[derive(Debug)]
pub struct Visit {
    /// Path and query as they came.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// Who is at the other end of the connection; behind a proxy, the proxy.
    pub peer: SocketAddr,
    /// The name that the proxy gives the user, if it may be believed.
    pub user: Option<String>,
    /// Whether this user may change things.
    pub is_admin: bool,
    /// The open segments of the path (`topic`, `channel`, `node`, `option`, `asset`), decoded.
    pub params: Params,
    /// The body; empty for the methods that have none.
    pub body: Bytes,
    /// Set where the body was larger than the bound, and was not kept.
    pub body_is_too_large: bool,
}

impl Visit {
    /// What stands behind the `?`.
    pub fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }

    /// Who would be doing what this request asks for.
    pub fn actor(&self, source: Source) -> Actor {
        let path_and_query = self.uri.path_and_query().map_or("", |both| both.as_str());
        Actor::new(&self.headers, self.peer, path_and_query, self.user.clone(), source)
    }
}
