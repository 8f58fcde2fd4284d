//! What all daemons share before and beside their work: Go-style flags, the TOML file behind `--config`,
//! NSQ's log lines, and the spelling of addresses.
//!
//! A daemon declares each option once, as a [`Flag`]: name, key in the file, type, default, one sentence of help.
//! [`start`] turns the table and the arguments into [`Parsed`], or into a [`Stop`] that knows what to print and
//! which code to exit with. Command line wins over file, file over default; there is no environment layer.
//!
//! ```no_run
//! use nsq_flags::{Flag, Program, start};
//! let program = Program { name: "nsqd", version_line: "nsqd v1.3.0 (built w/x)", log_prefix: "[nsqd] " };
//! let table = vec![Flag::bool("version", "false", "print the version and exit").not_in_file()];
//! let parsed = match start(&program, table, std::env::args_os().skip(1)) {
//!     Ok(parsed) => parsed,
//!     Err(stop) => std::process::exit(stop.report(&program)),
//! };
//! ```
//!
//! The crate reads one file and writes to standard error (and the version to standard output). It starts no
//! thread, keeps no global but the log's, and has no runtime in it.
//!
//! Why the command line is read by hand and not by clap: existing unit files rely on Go's rules, and those differ
//! where clap is least willing to bend. One dash and two mean the same for long names, a boolean never takes the
//! next argument, the first word ends the flags and everything behind it is ignored, `-h` goes to standard error
//! with exit code 0, integers are written in five bases. The whole reader is a hundred lines.

#![forbid(unsafe_code)]

pub mod address;
mod command_line;
pub mod duration;
mod errno;
mod file;
mod flag;
pub mod host;
pub mod log;
mod number;
mod parsed;
mod stop;
mod usage;
mod value;

/// The macros of the facade, under names that ours can reach.
#[doc(hidden)]
pub use ::log as __log;
pub use ::log::{debug, error, info, warn};
/// A table of the file, and what can be in it.
pub use ::toml::{Table, Value as Toml};
pub use duration::{format_duration, parse_duration};
pub use errno::errno_text;
pub use flag::{Availability, Flag, Key, Kind, Word};
pub use host::{default_node_id, hostname};
pub use number::{parse_bool, parse_int};
pub use parsed::{Parsed, Source, start, start_with_tables};
pub use stop::{Program, Stop};
pub use value::{Rendered, Value, json_strings};
