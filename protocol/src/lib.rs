//! NSQ on the wire, and nothing else: no sockets, no clock, no runtime.
//!
//! Bytes go in, events come out. [`Session`] is the state of one client connection: it finds the next
//! command in the bytes received so far, says whether that command is legal now, and produces the exact error
//! text when it is not. The broker does the rest: it owns the buffer, the timers and the topics.
//!
//! ```text
//!   socket bytes ──► Session::next ──► Step::Command(Pub, Sub, Fin, …) ──► broker
//!                          │
//!                          └──────► Step::Fatal(WireError) ──► frame::encode_error ──► socket
//! ```
//!
//! Three rules hold throughout:
//!
//! - Nothing a peer sends can panic or allocate beyond a bound of [`Limits`] or a `_MAX` constant; a length is
//!   compared before anything is collected.
//! - How the bytes are cut into reads never changes what comes out.
//! - Every text a client can see is written in one module, [`error`], because client libraries match them
//!   byte for byte.
//!
//! Where to look: `command` splits lines and holds the commands, `session` decides legality, `parse` takes lines
//! and bodies from bytes that may not all be there yet, `mpub` walks batches, `identify` negotiates, `frame` and
//! `message` are the way out, `lookup` is the dialect that nsqd speaks to nsqlookupd.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::cast_possible_truncation))]

pub mod command;
pub mod error;
pub mod frame;
pub mod identify;
pub mod json;
pub mod limits;
pub mod lookup;
pub mod message;
mod mpub;
pub mod names;
mod parse;
pub mod session;
mod verb;

pub use command::{Command, Messages};
pub use error::{ErrorCode, WireError};
pub use identify::{Compression, IdentifyReply, Identity};
pub use limits::Limits;
pub use message::MessageId;
pub use names::{ChannelName, TopicName};
pub use session::{Session, State, Step};
pub use verb::Verb;
