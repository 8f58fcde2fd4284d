//! The deterministic world: the whole broker (engine, queue, log, recovery, mesh of 1 to 4 cores) in one thread, on a
//! virtual clock, over pipes and a faulty disk. Every choice follows from one seed.
//!
//! | file | what |
//! |---|---|
//! | `mix`, `plan`, `choice` | what a seed is about; its steps, and their text; draws by key |
//! | `world` | one step; what may happen next |
//! | `node` | one process: started, turned core by core, stopped |
//! | `transport`, `pipe`, `files`, `clock` | the kernel: sockets, connections, the disk's operations, time |
//! | `client` | what clients send, and do with what they read |
//! | `book` | what is known by ourselves: queue, log, wire |
//! | `audit` | checks over the whole: from life to life, and at the end |
//! | `run`, `shrink`, `trace` | one plan to its end; the smallest plan that fails so; the story |
//! | `planted`, `reach` | planted faults, and arms, that have to be seen |
//!
//! `waiting` lists findings that are known and not mended yet.
//!
//! How to add a check: `book/mod.rs` says it. How to add a planted fault: the crate `planted` says it. A failure's
//! shrunk plan goes into `seeds/` with a line of why; `cargo test -p nsq-sim` replays all of them.

pub mod audit;
pub mod body;
pub mod book;
pub mod choice;
pub mod client;
pub mod clock;
pub mod failure;
pub mod files;
pub mod mix;
pub mod names;
pub mod node;
pub mod pipe;
pub mod plan;
pub mod planted;
pub mod reach;
pub mod run;
pub mod shrink;
pub mod trace;
pub mod transport;
pub mod waiting;
pub mod world;
