//! Where a core is on its way out.

/// Where a core is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Draining { until: u64 },
    Quiet,
    Closing { until: u64 },
    Stopped,
}
