//! Which check sees which planted fault, and within how many seeds.

use nsq_planted::Fault;

use crate::plan::Plan;
use crate::run::run;

/// A planted fault, the checks that may see it, and the number of seeds within which one does.
pub struct Expected {
    /// The fault.
    pub fault: Fault,
    /// Names of checks.
    pub checks: &'static [&'static str],
    /// Seeds.
    pub within: u64,
}

/// All that are planted by now.
pub const EXPECTED: &[Expected] = &[];

/// Looks for the fault in at most `within` seeds; the seed that sees it and what it says.
pub fn find(expected: &Expected, steps: u64) -> Option<(u64, crate::failure::Failure)> {
    (0..expected.within).find_map(|seed| {
        let outcome = run(&Plan::of(seed, steps), Some(expected.fault), false);
        let failure = outcome.failure?;
        expected.checks.contains(&failure.check.as_str()).then_some((seed, failure))
    })
}
