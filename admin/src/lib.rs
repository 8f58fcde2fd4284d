//! `nsqadmin`: NSQ's HTTP API over a cluster, and pages that say what is wrong with it.
//!
//! Runs on tokio: it asks, adds up and shows. `cluster`, `history` and `attention` are pure: answers and times in,
//! views out.

#![forbid(unsafe_code)]

pub mod action;
pub mod api;
pub mod app;
pub mod attention;
pub mod cluster;
pub mod config;
pub mod daemon;
pub mod guard;
pub mod history;
pub mod http;
pub mod limits;
pub mod metrics;
pub mod number;
pub mod poll;
pub mod ui;
pub mod upstream;
pub mod url;
