//! nsq-wal
