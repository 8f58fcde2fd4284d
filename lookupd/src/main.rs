//! nsqlookupd
fn main() {}
