//! nsq-flags
