//! The one background poll that feeds pages, history, attention and `/metrics`.

pub mod clock;
mod facts;
mod figures;
mod memory;
mod poller;
pub mod snapshot;
pub mod watch;

pub use poller::run;
pub use snapshot::Snapshot;
pub use watch::Watch;
