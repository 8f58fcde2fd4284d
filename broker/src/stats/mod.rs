//! Figures.
//!
//! | file | what |
//! |---|---|
//! | `snapshot` | what a core tells |
//! | `latency` | end-to-end latencies |

pub mod latency;
pub mod snapshot;
