//! Numbers on the command line, and the bounds that several workloads share.

use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Arg, ArgMatches};

pub(crate) const CONNECTIONS_MAX: u64 = 100_000;

pub(crate) const SECONDS_MAX: u64 = 86_400;

pub(crate) const RATE_MAX: u64 = 10_000_000;

/// A number with a default, within a range.
pub(crate) fn number(
    name: &'static str,
    default: &'static str,
    range: std::ops::RangeInclusive<u64>,
    help: &'static str,
) -> Arg {
    let parser = RangedU64ValueParser::<u64>::new().range(range);
    Arg::new(name).long(name).default_value(default).help(help).value_parser(parser)
}

/// The value of a [`number`].
pub(crate) fn get(matches: &ArgMatches, name: &str) -> u64 {
    *matches.get_one::<u64>(name).expect("invariant: numbers have a default")
}

/// The same as a count of things.
pub(crate) fn count(matches: &ArgMatches, name: &str) -> usize {
    usize::try_from(get(matches, name)).unwrap_or(usize::MAX)
}

/// The same in seconds.
pub(crate) fn time(matches: &ArgMatches, name: &str) -> Duration {
    Duration::from_secs(get(matches, name))
}
