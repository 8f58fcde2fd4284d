//! The `nsqlookupd` binary; see the library for what it does.

#![forbid(unsafe_code)]

use nsqlookupd::{Config, PROGRAM, run};

fn main() {
    let code = match Config::start(std::env::args_os().skip(1)) {
        Ok(config) => run(config),
        Err(stop) => stop.report(&PROGRAM),
    };
    std::process::exit(code);
}
