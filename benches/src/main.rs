//! nsq-bench
fn main() {}
