//! `nsqadmin`: NSQ's HTTP API over a cluster, and pages that say what is wrong with it.
//!
//! Runs on tokio, one thread: it asks, adds up and shows. `cluster`, `history` and `attention` are pure: answers
//! and times in, views out.

#![forbid(unsafe_code)]

pub mod attention;
pub mod cluster;
pub mod history;
pub mod number;
pub mod poll;
pub mod ui;
