//! Where a core is on its way out.

/// Where a core is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Draining { until: u64 },
    Quiet { until: u64 },
    Closing { until: u64 },
    Stopped,
}

impl Phase {
    /// Ends what the phase waits for at `at` at the latest.
    pub(super) fn hurry(&mut self, at: u64) {
        match self {
            Phase::Draining { until } | Phase::Quiet { until } | Phase::Closing { until } => {
                *until = at.min(*until);
            }
            Phase::Running | Phase::Stopped => {}
        }
    }
}
