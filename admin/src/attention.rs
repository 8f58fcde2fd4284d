//! What is wrong? Rules over facts, without clock or socket: [`facts::Facts`] in, [`judge::Verdict`] out.

pub mod facts;
pub mod finding;
pub mod judge;
pub mod rule;
pub mod thresholds;
pub mod trend;

#[cfg(test)]
mod tests;

pub use facts::Facts;
pub use finding::{Cleared, Finding, Level, Subject};
pub use judge::{Judge, Verdict};
pub use rule::RULES;
pub use thresholds::{KNOBS, Policy, Thresholds};
