//! What a core is and does.
//!
//! ```text
//!   received bytes ─► commands ─► queue ─► log ─┐
//!   messages of other cores, tasks' requests ───┤
//!   completions of the log ─► queue ────────────┤
//!                                               ▼
//!   what the queue wants ─► frames, messages    (outputs)
//!                                               ▼
//!   one send per touched connection, one commit per log (flush)
//! ```
//!
//! | file | what |
//! |---|---|
//! | `turn` | one turn: events, messages, timers, outputs, flush |
//! | `engine`, `action` | the state of a core, without IO; what it wants from the transport |
//! | `receive`, `commands` | bytes to commands; what each does |
//! | `publication`, `publish`, `forward` | a publishing command; at the topic's core; to and for other cores |
//! | `subscribe`, `moving`, `accept` | SUB and its end; to another core; accepted and adopted connections |
//! | `stages` | what entering a stage of a connection does |
//! | `backpressure`, `delayed`, `release` | who waits, what waits, who goes on |
//! | `budget`, `handed` | what clients make the core keep; what was handed to other cores: in bytes |
//! | `outputs`, `flush` | what the queue wants; one send per touched connection |
//! | `topics`, `admin`, `pending`, `inbox` | creation and discovery; requests, those under way, and what comes in |
//! | `logs`, `log_events`, `records`, `restore`, `keys` | the shards' logs and what they report; their words and the queue's |
//! | `connections`, `timers`, `deadlines` | connections by slot; when to look at whom; what is due |
//! | `snapshot`, `report`, `client_report` | what `/stats` is told; log lines about topics and channels, about clients |
//! | `stop`, `phase` | the clean stop |

mod accept;
mod action;
mod admin;
mod backpressure;
mod budget;
#[cfg(feature = "sim")]
mod check;
mod client_report;
mod commands;
mod connections;
mod deadlines;
mod delayed;
mod engine;
mod flush;
mod forward;
mod handed;
mod inbox;
mod keys;
mod log_events;
mod logs;
mod moving;
#[cfg(feature = "sim")]
pub mod observe;
mod outputs;
mod pending;
mod phase;
mod publication;
mod publish;
mod receive;
mod records;
mod release;
mod report;
mod restore;
mod snapshot;
mod stages;
mod stop;
mod subscribe;
mod timers;
mod topics;
mod turn;

#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineParts};
pub use logs::OpenLog;
pub use turn::{Core, Next};
