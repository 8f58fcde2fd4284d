//! The one background poll that feeds pages, history, attention and `/metrics`.

pub mod clock;
mod facts;
pub mod snapshot;
pub mod watch;

pub use snapshot::Snapshot;
pub use watch::Watch;

/// Polls for the life of the process.
pub async fn run(_app: std::sync::Arc<crate::app::App>) -> std::convert::Infallible {
    std::future::pending().await
}
