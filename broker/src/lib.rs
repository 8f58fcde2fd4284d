//! nsqd: executors, sockets, rings between cores, HTTP. Puts protocol, queue and log together.

pub mod config;
pub mod data_path;
pub mod listeners;
pub mod placement;
