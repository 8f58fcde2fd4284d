//! The `nsqadmin` binary; see the library for what it does.

#![forbid(unsafe_code)]

fn main() {
    // The listener comes with the API.
    std::process::exit(1);
}
