//! The smallest plan that fails in the same way.

#![allow(clippy::disallowed_types, reason = "how long a run takes is no part of the world")]

use std::time::{Duration, Instant};

use nsq_planted::Fault;

use crate::failure::Failure;
use crate::mix::Mix;
use crate::plan::Plan;
use crate::run::run;

/// Runs that a shrink may take.
const RUNS_MAX: usize = 1_000;

/// Time that it may take.
const TIME_MAX: Duration = Duration::from_secs(60);

struct Shrinking {
    best: Plan,
    failure: Failure,
    fault: Option<Fault>,
    runs: usize,
    until: Instant,
}

impl Shrinking {
    fn is_over(&self) -> bool {
        self.runs >= RUNS_MAX || Instant::now() >= self.until
    }

    /// Takes `plan` if it fails at the same place with the same check.
    fn attempt(&mut self, plan: Plan) -> bool {
        if self.is_over() {
            return false;
        }
        self.runs += 1;
        let outcome = run(&plan, self.fault, false);
        let same = outcome
            .failure
            .as_ref()
            .is_some_and(|found| found.check == self.failure.check && found.place == self.failure.place);
        if same {
            self.best = plan;
            self.best.steps.truncate(outcome.steps);
        }
        same
    }

    fn remove_steps(&mut self) {
        let mut size = self.best.steps.len() / 2;
        while size > 0 {
            let mut at = 0;
            while at < self.best.steps.len() && !self.is_over() {
                let mut plan = self.best.clone();
                let end = (at + size).min(plan.steps.len());
                plan.steps.drain(at..end);
                if !self.attempt(plan) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    fn simplify_mix(&mut self) {
        let mut plain = Mix::default();
        for name in Mix::NAMES {
            let mut plan = self.best.clone();
            let Some(value) = plain.field(name).copied() else { continue };
            match plan.mix.field(name) {
                Some(field) if *field != value => *field = value,
                _ => continue,
            }
            self.attempt(plan);
        }
    }

    fn reduce_operands(&mut self) {
        for at in 0..self.best.steps.len() {
            for operand in 0..4 {
                for divisor in [u64::MAX, 8, 2] {
                    let mut plan = self.best.clone();
                    let Some(step) = plan.steps.get_mut(at) else { return };
                    if step.operands[operand] == 0 {
                        break;
                    }
                    step.operands[operand] /= divisor;
                    if self.attempt(plan) {
                        break;
                    }
                }
            }
        }
    }
}

/// The smallest plan found, and what fails; `None` if the plan does not fail at all.
pub fn shrink(plan: &Plan, fault: Option<Fault>) -> Option<(Plan, Failure)> {
    let outcome = run(plan, fault, false);
    let failure = outcome.failure?;
    let mut best = plan.clone();
    best.steps.truncate(outcome.steps);
    let until = Instant::now() + TIME_MAX;
    let mut shrinking = Shrinking { best, failure, fault, runs: 0, until };
    loop {
        let before = shrinking.best.clone();
        shrinking.remove_steps();
        shrinking.simplify_mix();
        shrinking.reduce_operands();
        if shrinking.best == before || shrinking.is_over() {
            return Some((shrinking.best, shrinking.failure));
        }
    }
}
