//! nsqd
fn main() {}
