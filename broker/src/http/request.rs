//! A request on its way into a handler.

use hyper::http::request::Parts;
use nsq_http::{ApiError, Query};

use super::HttpContext;

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
