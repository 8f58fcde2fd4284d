//! Requests that a page of a stranger makes in the name of its visitor.
//!
//! The scheme is that of Go 1.25, by tower-http: what a browser says about itself (`Sec-Fetch-Site`, or else `Origin`)
//! must fit our `Host`. Scripts and curl say neither, and pass. It covers every method but GET, HEAD and OPTIONS, so
//! `PUT /config` too, which trusts the address of the peer and would be the worst target.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use nsq_flags::warn;
use tower_http::csrf::{ConfigError, CsrfLayer, ProtectionError, ResponseForProtectionError};

/// The word of the refusal.
pub const CROSS_ORIGIN: &str = "CROSS_ORIGIN";

/// Makes the refusal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusal;

impl ResponseForProtectionError<Body> for Refusal {
    fn response_for_protection_error(&mut self, _: ProtectionError) -> Response {
        nsq_http::reply::failed(StatusCode::FORBIDDEN, CROSS_ORIGIN).map(Body::from)
    }
}

/// The layer; `trusted` are further origins whose pages may.
///
/// # Errors
///
/// For a text that is no origin.
pub fn layer(trusted: &[String]) -> Result<CsrfLayer<Refusal>, ConfigError> {
    let mut layer = CsrfLayer::new();
    for origin in trusted {
        layer = layer.add_trusted_origin(origin)?;
    }
    Ok(layer.with_rejection_response(Refusal))
}

/// Says why a request was refused and what to do about it, if it was: behind a proxy that rewrites `Host` it may be
/// one of our own pages.
pub fn log_refusal(response: &Response, request: &HeaderMap) -> bool {
    let refused = response.extensions().get::<ProtectionError>().is_some();
    if refused {
        let text = |name: &str| {
            let value = request.get(name).map_or(&b"-"[..], |value| value.as_bytes());
            String::from_utf8_lossy(value).into_owned()
        };
        let (origin, host) = (text("origin"), text("host"));
        warn!(
            "refused a request from another origin: Origin {origin}, Host {host}, Sec-Fetch-Site {}; if it is \
             nsqadmin behind a proxy, keep the Host header there or start with --trusted-origin={origin}",
            text("sec-fetch-site")
        );
    }
    refused
}
