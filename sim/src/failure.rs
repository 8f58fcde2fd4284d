//! How a check says that something is wrong.

/// A check that failed. Unwinds out of the world as the payload of a panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The invariant's name, `ack2` say; `panic` for an assertion of the code under test.
    pub check: String,
    /// Where: file and line.
    pub place: String,
    /// What was seen.
    pub text: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}: {}", self.check, self.place, self.text)
    }
}

/// Ends the world: the check of that name has failed.
#[macro_export]
macro_rules! fail {
    ($check:expr, $($text:tt)*) => {
        std::panic::panic_any($crate::failure::Failure {
            check: $check.to_owned(),
            place: format!("{}:{}", file!(), line!()),
            text: format!($($text)*),
        })
    };
}
