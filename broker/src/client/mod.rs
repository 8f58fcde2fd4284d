//! One connection, bytes in, bytes out. Knows no queue, no log, no other connection.
//!
//! | file | what |
//! |---|---|
//! | `stage` | where it stands, and what each event means there: the table |
//! | `connection` | what is known of a connection |
//! | `deadlines` | what is due, and when |
//! | `input` | received and not carried out |
//! | `output` | to be sent, counted |
//! | `replies` | answers in the order of the commands |
//! | `settings` | what the first IDENTIFY has fixed |
//! | `suspended` | commands that wait |

pub mod connection;
pub mod deadlines;
pub mod input;
pub mod output;
pub mod replies;
pub mod settings;
pub mod stage;
pub mod suspended;

pub use connection::Connection;
