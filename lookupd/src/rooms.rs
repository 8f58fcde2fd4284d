//! How many connections each listener may have.

use crate::limits::{HTTP_CLIENTS_MAX, HTTP_FILES_SHARE, PEERS_MAX, RESERVED_FILES};

/// How many connections each listener may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rooms {
    /// Peers.
    pub tcp: usize,
    /// HTTP clients.
    pub http: usize,
}

impl Rooms {
    /// Shares `files` descriptors out. There is always room for some.
    pub fn share(files: u64) -> Self {
        // At least a few, so that a tiny limit shows as failing accepts and not as silence.
        let files = files.saturating_sub(RESERVED_FILES).max(16);
        let http = files / HTTP_FILES_SHARE;
        let at_most = |count: u64, max: usize| usize::try_from(count).map_or(max, |count| count.min(max));
        Self { tcp: at_most(files - http, PEERS_MAX), http: at_most(http, HTTP_CLIENTS_MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_and_http_share_the_descriptors() {
        assert_eq!(Rooms::share(1024), Rooms { tcp: 744, http: 248 });
        assert_eq!(Rooms::share(10), Rooms { tcp: 12, http: 4 });
        assert_eq!(Rooms::share(u64::MAX), Rooms { tcp: PEERS_MAX, http: HTTP_CLIENTS_MAX });
    }
}
