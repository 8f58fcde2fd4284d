//! Why a daemon ends before it starts.

use std::io::Write;

use crate::log::{self, Level};

/// Who is starting.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Name of the binary, as in "Usage of nsqd:".
    pub name: &'static str,
    /// The whole line that `--version` prints.
    pub version_line: &'static str,
    /// Prefix of the line that reports a refused start. The configured one is not known at that time.
    pub log_prefix: &'static str,
}

/// A start that ends here, on purpose or not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// `--help`: the usage goes to standard error, exit code 0.
    Help {
        /// All flags with their help.
        usage: String,
    },
    /// `--version`: one line on standard output, exit code 0, whatever else is given.
    Version,
    /// An unknown flag or a value that cannot be read: the sentence, then the usage; exit code 2.
    Usage {
        /// What is wrong, in the words of Go's flag reader.
        message: String,
        /// All flags with their help.
        usage: String,
    },
    /// Anything else that forbids a start: one FATAL line, exit code 1.
    Refused(String),
}

impl Stop {
    /// The exit code that belongs to it.
    pub fn exit_code(&self) -> i32 {
        match self {
            Stop::Help { .. } | Stop::Version => 0,
            Stop::Usage { .. } => 2,
            Stop::Refused(_) => 1,
        }
    }

    /// Says it where it belongs, and returns the exit code. A closed output is no reason to fail.
    pub fn report(&self, program: &Program) -> i32 {
        match self {
            Stop::Help { usage } => to_stderr(usage),
            Stop::Version => {
                let _ = writeln!(std::io::stdout(), "{}", program.version_line);
            }
            Stop::Usage { message, usage } => to_stderr(&format!("{message}\n{usage}")),
            Stop::Refused(text) => log::write_line(program.log_prefix, Level::Fatal, format_args!("{text}")),
        }
        self.exit_code()
    }
}

fn to_stderr(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
