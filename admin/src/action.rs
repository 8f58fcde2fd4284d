//! What can be done to a cluster: named, carried out, remembered and told.
//!
//! API and pages share it: both make an [`Action`] and an [`Actor`], have it [`execute`]d, and show the [`Outcome`].

pub mod actor;
pub mod audit;
pub mod execute;
pub mod notify;
pub mod plan;
mod verb;

pub use actor::{Actor, Source};
pub use execute::{Outcome, Step, execute};
pub use verb::{Action, BadName, OBJECT_WORDS, Verb};
