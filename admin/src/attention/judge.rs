//! From claims to findings: a claim must hold for a while, and a finding does not go at the first doubt.

use std::collections::{HashMap, HashSet, VecDeque};

use super::facts::Facts;
use super::finding::{Cleared, Finding, Subject};
use super::rule::{Claim, RULES, Report};
use super::thresholds::Policy;

/// Ticks for which a condition must be false until its finding goes.
const CLEAR_TICKS: u8 = 3;
/// How long a finding that went is remembered, seconds.
const CLEARED_S: i64 = 15 * 60;
/// How many of those are remembered.
const CLEARED_MAX: usize = 500;
/// How many conditions are remembered. About 500 bytes each.
const STATES_MAX: usize = 50_000;

struct State {
    /// Milliseconds of the caller's steady clock.
    since_ms: u64,
    false_ticks: u8,
    visible: bool,
    claim: Claim,
}

/// How a rule fared at the last tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fared {
    /// Subjects looked at.
    pub looked_at: usize,
    /// Subjects of which it could not tell.
    pub abstained: usize,
    /// Findings.
    pub found: usize,
}

/// What the rules say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Findings, the worst first.
    pub findings: Vec<Finding>,
    /// What went in the last 15 minutes, the latest first.
    pub cleared: Vec<Cleared>,
    /// By rule, in the order of [`RULES`].
    pub fared: Vec<Fared>,
}

/// The memory of the rules.
#[derive(Default)]
pub struct Judge {
    states: HashMap<(usize, Subject), State>,
    cleared: VecDeque<Cleared>,
}

impl Judge {
    /// Looks at a tick. `now_ms` is a clock that never steps; `facts.now_s` only dates what is found.
    pub fn tick(&mut self, facts: &Facts<'_>, policy: &Policy, now_ms: u64) -> Verdict {
        let mut fared = vec![Fared::default(); RULES.len()];
        for (index, rule) in RULES.iter().enumerate() {
            let (claims, unknown, looked_at) = {
                let held_s = |subject: &Subject| {
                    let state = self.states.get(&(index, subject.clone()));
                    state.map_or(0.0, |state| seconds(now_ms, state.since_ms))
                };
                let mut report = Report::new(rule.name, policy, &held_s);
                (rule.check)(facts, &mut report);
                (report.claims, report.unknown, report.looked_at)
            };
            fared[index] = Fared { looked_at, abstained: unknown.len(), found: 0 };
            self.apply(index, claims, unknown, policy, facts.now_s, now_ms);
        }
        let findings = self.visible(facts.now_s, now_ms);
        for finding in &findings {
            if let Some(index) = RULES.iter().position(|rule| rule.name == finding.rule) {
                fared[index].found += 1;
            }
        }
        while self.cleared.front().is_some_and(|one| facts.now_s - one.at > CLEARED_S) {
            self.cleared.pop_front();
        }
        Verdict { findings, cleared: self.cleared.iter().rev().cloned().collect(), fared }
    }

    fn apply(
        &mut self,
        index: usize,
        claims: Vec<Claim>,
        unknown: Vec<Subject>,
        policy: &Policy,
        now_s: i64,
        now_ms: u64,
    ) {
        let mut kept: HashSet<Subject> = unknown.into_iter().collect();
        for claim in claims {
            kept.insert(claim.subject.clone());
            let key = (index, claim.subject.clone());
            if !self.states.contains_key(&key) && self.states.len() >= STATES_MAX {
                continue;
            }
            let hold_s = (RULES[index].hold_s)(&policy.thresholds(&claim.subject.text()));
            let state = self.states.entry(key).or_insert_with(|| State {
                since_ms: now_ms,
                false_ticks: 0,
                visible: false,
                claim: claim.clone(),
            });
            state.visible |= seconds(now_ms, state.since_ms) >= hold_s;
            (state.claim, state.false_ticks) = (claim, 0);
        }
        let cleared = &mut self.cleared;
        self.states.retain(|(rule, subject), state| {
            if *rule != index || kept.contains(subject) {
                return true;
            }
            state.false_ticks += 1;
            if state.visible && state.false_ticks < CLEAR_TICKS {
                return true;
            }
            if state.visible {
                if cleared.len() >= CLEARED_MAX {
                    cleared.pop_front();
                }
                cleared.push_back(Cleared { finding: finding(*rule, state, now_s, now_ms), at: now_s });
            }
            false
        });
    }

    fn visible(&self, now_s: i64, now_ms: u64) -> Vec<Finding> {
        let shown: HashSet<(&str, &Subject)> = self
            .states
            .iter()
            .filter(|(_, state)| state.visible)
            .map(|((rule, subject), _)| (RULES[*rule].name, subject))
            .collect();
        let hidden = |rule: usize, subject: &Subject| {
            RULES[rule].hidden_by.iter().any(|cause| shown.contains(&(*cause, subject)))
        };
        let mut findings: Vec<Finding> = self
            .states
            .iter()
            .filter(|((rule, subject), state)| state.visible && !hidden(*rule, subject))
            .map(|((rule, _), state)| finding(*rule, state, now_s, now_ms))
            .collect();
        findings.sort_by(|a, b| {
            a.weight().cmp(&b.weight()).then_with(|| (a.rule, &a.subject).cmp(&(b.rule, &b.subject)))
        });
        findings
    }
}

fn seconds(now_ms: u64, since_ms: u64) -> f64 {
    now_ms.saturating_sub(since_ms) as f64 / 1_000.0
}

fn finding(rule: usize, state: &State, now_s: i64, now_ms: u64) -> Finding {
    let Claim { subject, level, stake, growth, figures, sentence } = state.claim.clone();
    let since = now_s.saturating_sub(seconds(now_ms, state.since_ms) as i64);
    Finding { rule: RULES[rule].name, level, subject, since, stake, growth, figures, sentence }
}
