//! Findings that wait for their remedy: each with the reason why it may fail for now. A run tells them and goes on; the
//! entry goes with the remedy.

use crate::failure::Failure;

/// A finding that is known.
pub struct Waiting {
    /// The check that sees it.
    pub check: &'static str,
    /// What its text contains.
    pub text: &'static str,
    /// What is wrong, and what will mend it.
    pub reason: &'static str,
}

/// All of them. None for now.
pub const WAITING: &[Waiting] = &[];

/// The finding that explains a failure, if there is one.
pub fn reason(failure: &Failure) -> Option<&'static str> {
    let mut known =
        WAITING.iter().filter(|one| failure.check == one.check && failure.text.contains(one.text));
    known.next().map(|one| one.reason)
}
