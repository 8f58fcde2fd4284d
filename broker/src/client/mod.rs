//! One connection, bytes in, bytes out. Knows no queue, no log, no other connection.
//!
//! | file | what |
//! |---|---|
//! | `connection` | what is known of a connection |
//! | `replies` | answers in the order of the commands |

pub mod connection;
pub mod replies;

pub use connection::Connection;
