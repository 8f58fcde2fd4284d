//! The one background poll that feeds pages, history, attention and `/metrics`.

mod facts;
pub mod snapshot;
pub mod watch;

pub use snapshot::Snapshot;
pub use watch::Watch;
