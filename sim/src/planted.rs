//! Which check sees which planted fault, and within how many seeds.

use nsq_planted::Fault;

use crate::failure::Failure;
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

const fn expected(fault: Fault, within: u64, checks: &'static [&'static str]) -> Expected {
    Expected { fault, checks, within }
}

/// All that are planted by now. The expected number of seeds is about a fifth of the limit.
pub const EXPECTED: &[Expected] = &[
    expected(Fault::OkAtPublish, 10, &["ack2"]),
    expected(Fault::ReleaseOutOfOrder, 100, &["ack2", "rec2", "panic"]),
    expected(Fault::WriteNotSynchronous, 10, &["ack2"]),
    expected(Fault::ShortWriteComplete, 300, &["ack2", "rec2", "start"]),
    expected(Fault::RollNotSynced, 2_500, &["rec2", "start"]),
    expected(Fault::RecycledTooEarly, 500, &["rec2", "start"]),
    expected(Fault::ReservationIgnored, 200, &["del2"]),
    expected(Fault::FinishTooLong, 20, &["rec3", "life6", "panic"]),
    expected(Fault::FinishElsewhere, 20, &["rec3", "stat2", "del5", "life6"]),
    expected(Fault::AttemptsForgotten, 20, &["del6"]),
    expected(Fault::StopForgetsAttempts, 100, &["del6"]),
    expected(Fault::TimerEarly, 50, &["time1", "del4"]),
    expected(Fault::FullRingDrops, 50, &["life6", "ack1", "panic"]),
    expected(Fault::SleeperNotRung, 30, &["life6", "life4"]),
    expected(Fault::PendingForgotten, 50, &["ack1", "life6"]),
    expected(Fault::SlotReused, 100, &["life1", "panic"]),
    expected(Fault::ReadErrorLoses, 400, &["life6", "stat4"]),
    expected(Fault::HealthOfAnother, 400, &["stat3"]),
    expected(Fault::GoneStayCounted, 30, &["bound2"]),
    expected(Fault::DeadlineByWallClock, 100, &["time5", "time1", "del4", "life4", "life6"]),
];

/// Looks for the fault in at most `within` seeds; the seed that sees it and what it says.
pub fn find(expected: &Expected, steps: u64) -> Option<(u64, Failure)> {
    (0..expected.within).find_map(|seed| {
        let failure = run(&Plan::of(seed, steps), Some(expected.fault), false).failure?;
        expected.checks.contains(&failure.check.as_str()).then_some((seed, failure))
    })
}
