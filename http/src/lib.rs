//! NSQ's HTTP conventions, once for all daemons: no runtime, no sockets, no body on its way.
//!
//! | module | what |
//! |---|---|
//! | [`query`] | arguments, decoded as Go's `net/url` does it |
//! | [`router`] | which path is which endpoint, and what the others are answered: httprouter's rules |
//! | [`reply`] | the shapes of an answer: marker header, error words, redirects |
//! | [`json`] | JSON with the escapes of Go's encoder |
//!
//! A daemon keeps a [`Router`] of its endpoints. For each request it calls [`Router::find`] and either executes the
//! endpoint or sends the reply that it got. A [`Reply`] has its body as [`Bytes`](bytes::Bytes): `reply.map(Full::new)`
//! makes it one of hyper, and `reply.map(|_| body)` gives it a body that is made while it is sent.

#![forbid(unsafe_code)]

pub mod json;
pub mod query;
pub mod reply;
pub mod router;

pub use query::Query;
pub use reply::{ApiError, Reply};
pub use router::{Found, Params, Route, Router};
