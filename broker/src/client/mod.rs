//! One connection, bytes in, bytes out. Knows no queue, no log, no other connection.
//!
//! | file | what |
//! |---|---|
//! | `connection` | what is known of a connection |
//! | `replies` | answers in the order of the commands |
//! | `settings` | what the first IDENTIFY has fixed |
//! | `suspended` | commands that wait |

pub mod connection;
pub mod replies;
pub mod settings;
pub mod suspended;

pub use connection::Connection;
