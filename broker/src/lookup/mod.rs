//! The broker's side of nsqlookupd: what exists here is registered there, and new topics learn their channels.
//!
//! ```text
//!   all cores ─messages─► Registrations ──► run ─┬─ Changes ──► peer ══ TCP ══ nsqlookupd
//!                       (table, work)          ├─ Changes ──► peer ══ TCP ══ nsqlookupd
//!                                              └─ discovery ─── HTTP /channels ──► all of them
//! ```
//!
//! Everything runs as tasks of core 0. The other cores send their changes as messages; none of them ever waits for
//! nsqlookupd, except a command that creates a topic. Every peer has a task and a queue of its own, so one that is
//! dead, slow or silent delays nobody but itself.
//!
//! | file | what |
//! |---|---|
//! | `registrations` | the table of what exists, and the work that waits |
//! | `peers` | the list of peers, following the configured addresses |
//! | `peer` | one peer: connect, replay, tell, ping |
//! | `changes` | what a peer has still to be told |
//! | `conversation` | one TCP connection: commands out, replies in |
//! | `discovery`, `query`, `http_reply` | channels of a new topic, over HTTP |
//! | `dial` | names to addresses to a connection |
//! | `latch`, `limits` | something that happens once; every bound |

mod changes;
mod conversation;
mod dial;
mod discovery;
mod http_reply;
mod latch;
mod limits;
mod peer;
mod peers;
mod query;
pub mod registrations;

#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;

pub use registrations::Registrations;

use crate::lookup::discovery::Discovery;
use crate::lookup::peers::Peers;
use crate::lookup::registrations::Work;
use crate::mesh::handle::CoreHandle;
use crate::mesh::process::Process;

/// Talks to every configured nsqlookupd until [`Registrations::stop`]. Spawned once, on core 0, also when none is
/// configured: addresses may come later.
///
/// Nothing is unregistered at the end; the connections just close, and nsqlookupd draws its conclusion. Once this
/// returns, no operation of it is under way in the executor. Dropping it instead does no harm either.
pub async fn run(registrations: Rc<Registrations>, process: Arc<Process>, handle: CoreHandle) {
    serve(registrations, process, Rc::new(move |topic, channels| handle.discovered(topic, channels))).await;
}

/// Takes a new topic and the channels found for it.
type Answer = Rc<dyn Fn(String, Vec<String>)>;

async fn serve(registrations: Rc<Registrations>, process: Arc<Process>, answer: Answer) {
    let mut peers = Peers::new(registrations.clone(), process.clone());
    let discovery = Discovery::new(&process.config, answer);
    peers.follow_addresses();
    loop {
        match registrations.work().await {
            Work::Tell(change) => peers.tell(change),
            Work::Discover(topic) => discovery.start(topic, peers.directory()),
            Work::AddressesChanged => peers.follow_addresses(),
            Work::Stop => break,
        }
    }
    discovery.stop().await;
    peers.stop().await;
}
