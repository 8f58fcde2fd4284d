//! The `nsqadmin` binary; see the library for what it does.

#![forbid(unsafe_code)]

use nsqadmin::config::{Config, PROGRAM};
use nsqadmin::daemon::run;

fn main() {
    let code = match Config::start(std::env::args_os().skip(1)) {
        Ok((config, client)) => run(config, client),
        Err(stop) => stop.report(&PROGRAM),
    };
    std::process::exit(code);
}
