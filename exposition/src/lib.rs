//! What the daemons count, and Prometheus' text format (version 0.0.4) for it.
//!
//! A daemon keeps [`Counter`]s and [`Histogram`]s where it counts, and writes a [`Page`] when it is asked. There is
//! no registry: the page is made of what the daemon writes, in that order.

#![forbid(unsafe_code)]

mod counter;
mod histogram;
mod page;

pub use counter::Counter;
pub use histogram::{Histogram, SECONDS};
pub use page::{CONTENT_TYPE, Kind, Page};
