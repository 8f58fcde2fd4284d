//! The one background poll that feeds pages, history, attention and `/metrics`.

pub mod snapshot;

pub use snapshot::Snapshot;
