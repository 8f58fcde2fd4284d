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

/// All of them.
pub const WAITING: &[Waiting] = &[
    Waiting {
        check: "ack6",
        text: "_FAILED",
        reason: "core M3: a log that is busy refuses publishes; the connection's holds and the log's admission mend it",
    },
    Waiting { check: "ack6", text: "Refused", reason: "core M3, by HTTP" },
    Waiting {
        check: "ack1",
        text: "Message(Delivery",
        reason: "a delivery may follow a fatal error: the connection's stage table drops it",
    },
];

/// The finding that explains a failure, if there is one.
pub fn reason(failure: &Failure) -> Option<&'static str> {
    let mut known =
        WAITING.iter().filter(|one| failure.check == one.check && failure.text.contains(one.text));
    known.next().map(|one| one.reason)
}
