//! One nsqlookupd: connected lazily, told everything when it is new, told changes and pinged from then on.
//!
//! A connection that is lost is made again with the next change or the next PING, whichever comes first. A new
//! connection knows nothing of us, so it is told the whole table, and then also the change that brought it about:
//! twice does no harm, and an UNREGISTER has effects beyond the connection.

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;

use futures_lite::future::or;
use glommio::timer::Timer;
use nsq_flags::address::{join_host_port, parse_port, split_host_port};
use nsq_flags::{debug, error, info, warn};
use nsq_protocol::limits::NSQ_VERSION;
use nsq_protocol::lookup::{self, PeerInfo, Registrant};

use crate::config::Config;
use crate::lookup::changes::{Batch, Changes};
use crate::lookup::conversation::{Conversation, PeerError, quote};
use crate::lookup::dial::{HttpAddress, HttpAddressCell, Resolver};
use crate::lookup::latch::Latch;
use crate::lookup::limits::{BATCH_COUNT_MAX, CONNECT_TIMEOUT, PING_INTERVAL_NS};
use crate::lookup::registrations::Registrations;
use crate::mesh::message::Change;
use crate::mesh::process::Process;
use crate::transport::clock;

/// The payload of every reply to a command that was understood.
const OK: &[u8] = b"OK";

/// What the task of a peer shares with the others. Owned by core 0.
#[derive(Debug)]
pub(super) struct Peer {
    /// As configured; also its name in the log.
    pub(super) address: String,
    /// What it has still to be told.
    pub(super) changes: Changes,
    /// Where it can be asked for channels. Kept while it is away: HTTP may work where TCP does not yet.
    pub(super) http: HttpAddressCell,
    /// Opened when the first attempt to connect has ended, one way or the other.
    pub(super) tried: Latch,
}

impl Peer {
    /// A peer that was never connected.
    pub(super) fn new(address: String) -> Self {
        Self { address, changes: Changes::default(), http: HttpAddressCell::default(), tried: Latch::new() }
    }
}

/// Keeps the peer informed for ever. Dropping the future closes the connection.
pub(super) async fn keep_informed(peer: Rc<Peer>, registrations: Rc<Registrations>, process: Arc<Process>) {
    let resolver = Resolver::default();
    let info = PeerInfo::default();
    PeerTask { peer, registrations, process, resolver, info, introduced: false }.run().await;
}

struct PeerTask {
    peer: Rc<Peer>,
    registrations: Rc<Registrations>,
    process: Arc<Process>,
    resolver: Resolver,
    /// What the peer last told of itself.
    info: PeerInfo,
    /// Whether it was ever told the table.
    introduced: bool,
}

/// What ends a peer's rest.
enum Trigger {
    Changes,
    Ping,
    Lost(PeerError),
}

impl PeerTask {
    async fn run(&mut self) {
        let mut ping_at_ns = clock::now().mono_ns + PING_INTERVAL_NS;
        let mut conversation = self.open().await;
        loop {
            let batch = match self.next_trigger(ping_at_ns, conversation.as_mut()).await {
                Trigger::Lost(error) => {
                    warn!("LOOKUPD({}): {error}", self.peer.address);
                    conversation = None;
                    continue;
                }
                Trigger::Changes => self.peer.changes.take(),
                Trigger::Ping => {
                    ping_at_ns = next_beat(ping_at_ns, clock::now().mono_ns);
                    Batch::Changes(Vec::new())
                }
            };
            if batch == Batch::Overflowed {
                warn!("LOOKUPD({}): too many changes at once, registering anew", self.peer.address);
                conversation = None;
            }
            conversation = self.deliver(conversation, &batch).await;
        }
    }

    /// Says what is to be said, on a new connection if there is none. Returns the connection if it is still good.
    async fn deliver(
        &mut self,
        mut conversation: Option<Conversation>,
        batch: &Batch,
    ) -> Option<Conversation> {
        loop {
            let is_new = conversation.is_none();
            let open = match conversation.take() {
                Some(open) => Some(open),
                None => self.open().await,
            };
            let Some(mut open) = open else {
                // All of it is in the table, which is where the next connection starts.
                self.peer.changes.clear();
                return None;
            };
            match self.say(&mut open, batch).await {
                Ok(()) => return Some(open),
                // A peer that was started anew is often noticed only now, by what it never heard. Without a second
                // try, a change would wait for the next PING.
                Err(error) if error.is_loss() && !is_new => warn!("LOOKUPD({}): {error}", self.peer.address),
                Err(error) => {
                    error!("LOOKUPD({}): {error}", self.peer.address);
                    return None;
                }
            }
        }
    }

    async fn say(&self, conversation: &mut Conversation, batch: &Batch) -> Result<(), PeerError> {
        match batch {
            Batch::Changes(changes) if changes.is_empty() => self.ping(conversation).await,
            Batch::Changes(changes) => self.tell(conversation, changes).await,
            // The new connection has been told the table.
            Batch::Overflowed => Ok(()),
        }
    }

    async fn next_trigger(&self, ping_at_ns: u64, conversation: Option<&mut Conversation>) -> Trigger {
        let changed = async {
            self.peer.changes.ready().await;
            Trigger::Changes
        };
        let beat = async {
            sleep_until(ping_at_ns).await;
            Trigger::Ping
        };
        let lost = async {
            match conversation {
                Some(conversation) => Trigger::Lost(conversation.lost().await),
                None => pending().await,
            }
        };
        // A lost connection first: a change is to go to the next one, and not to be lost with this one.
        or(lost, or(changed, beat)).await
    }

    /// A connection that knows everything, or `None` until the next trigger.
    async fn open(&mut self) -> Option<Conversation> {
        info!("LOOKUPD({}): connecting", self.peer.address);
        let opened = self.connect_and_register().await;
        self.peer.tried.open();
        match opened {
            Ok(conversation) => Some(conversation),
            Err(error) => {
                error!("LOOKUPD({}): {error}", self.peer.address);
                None
            }
        }
    }

    async fn connect_and_register(&mut self) -> Result<Conversation, PeerError> {
        let (host, port) = split_host_port(&self.peer.address).map_err(PeerError::Address)?;
        let port = parse_port(port).map_err(PeerError::Address)?;
        let addresses =
            self.resolver.resolve(host, port, CONNECT_TIMEOUT).await.map_err(PeerError::Resolve)?;
        let config = &self.process.config;
        let mut conversation = Conversation::connect(&addresses, reply_size_max(config)).await?;
        let hostname = nsq_flags::hostname();
        self.info = conversation.identify(&registrant(config, &hostname)).await?;
        info!(
            "LOOKUPD({}): connected, its version is {}",
            self.peer.address,
            quote(self.info.version.as_bytes())
        );
        if announced_http(&self.info).is_none() {
            error!("LOOKUPD({}): no broadcast address, it cannot be asked for channels", self.peer.address);
        }
        self.learn_http_address().await;
        self.peer.tried.open();
        self.register_everything(&mut conversation).await?;
        Ok(conversation)
    }

    /// Looks up where the peer can be asked for channels.
    async fn learn_http_address(&self) {
        let Some((host, port)) = announced_http(&self.info) else { return self.peer.http.set(None) };
        match self.resolver.resolve(host, port, CONNECT_TIMEOUT).await {
            Ok(addresses) => {
                self.peer.http.set(Some(HttpAddress { authority: join_host_port(host, port), addresses }));
            }
            // What was known before may still be right.
            Err(failed) => {
                error!("LOOKUPD({}): failed to look up its broadcast address - {failed}", self.peer.address);
            }
        }
    }

    async fn register_everything(&mut self, conversation: &mut Conversation) -> Result<(), PeerError> {
        if !self.introduced {
            // The topics of an earlier run, mostly: the peer need not hear twice of what it hears for the first time.
            self.introduced = true;
            self.peer.changes.clear();
        }
        let table = flatten(self.registrations.table());
        if !table.is_empty() {
            info!("LOOKUPD({}): registering {} topics and channels", self.peer.address, table.len());
        }
        for batch in table.chunks(BATCH_COUNT_MAX) {
            self.converse(conversation, batch).await?;
        }
        Ok(())
    }

    async fn tell(&self, conversation: &mut Conversation, changes: &[Rc<Change>]) -> Result<(), PeerError> {
        for change in changes {
            info!("LOOKUPD({}): {}", self.peer.address, String::from_utf8_lossy(&encode(change)).trim_end());
        }
        self.converse(conversation, changes).await
    }

    async fn converse(
        &self,
        conversation: &mut Conversation,
        changes: &[Rc<Change>],
    ) -> Result<(), PeerError> {
        let commands: Vec<u8> = changes.iter().flat_map(|change| encode(change)).collect();
        conversation.send(&commands).await?;
        for change in changes {
            let reply = conversation.reply().await?;
            // NSQ does not look at it, so neither does it end the connection here.
            if reply != OK {
                warn!("LOOKUPD({}): {change:?} was answered with {}", self.peer.address, quote(&reply));
            }
        }
        Ok(())
    }

    /// The beat of the conversation. Also the moment to look up the peer's name again: it may have moved.
    async fn ping(&self, conversation: &mut Conversation) -> Result<(), PeerError> {
        debug!("LOOKUPD({}): sending heartbeat", self.peer.address);
        conversation.send(lookup::PING).await?;
        conversation.reply().await?;
        self.learn_http_address().await;
        Ok(())
    }
}

fn registrant<'a>(config: &'a Config, hostname: &'a str) -> Registrant<'a> {
    Registrant {
        broadcast_address: &config.broadcast_address,
        hostname,
        http_port: config.broadcast_http_port,
        tcp_port: config.broadcast_tcp_port,
        version: NSQ_VERSION,
        topology: config.limits.topology.as_ref(),
    }
}

/// Host and port of a peer's HTTP interface, if what it told can be one.
fn announced_http(info: &PeerInfo) -> Option<(&str, u16)> {
    let port = u16::try_from(info.http_port).ok().filter(|port| *port > 0)?;
    (!info.broadcast_address.is_empty()).then_some((info.broadcast_address.as_str(), port))
}

fn reply_size_max(config: &Config) -> u32 {
    u32::try_from(config.limits.body_size_max.max(0)).unwrap_or(u32::MAX)
}

fn encode(change: &Change) -> Vec<u8> {
    let mut out = Vec::new();
    let channel = change.channel.as_deref();
    if change.added {
        lookup::encode_register(&mut out, &change.topic, channel);
    } else {
        lookup::encode_unregister(&mut out, &change.topic, channel);
    }
    out
}

/// The table as commands. A channel brings its topic along, so a topic is named alone only without channels.
fn flatten(table: Vec<(String, Vec<String>)>) -> Vec<Rc<Change>> {
    let mut changes = Vec::with_capacity(table.len());
    for (topic, channels) in table {
        if channels.is_empty() {
            changes.push(Rc::new(Change::added(&topic, None)));
        }
        changes.extend(channels.iter().map(|channel| Rc::new(Change::added(&topic, Some(channel)))));
    }
    changes
}

/// The beat after `beat_ns`, in the same rhythm; beats that are over are left out.
fn next_beat(beat_ns: u64, now_ns: u64) -> u64 {
    let missed = now_ns.saturating_sub(beat_ns) / PING_INTERVAL_NS;
    beat_ns + (missed + 1) * PING_INTERVAL_NS
}

async fn sleep_until(at_ns: u64) {
    let left_ns = at_ns.saturating_sub(clock::now().mono_ns);
    Timer::new(std::time::Duration::from_nanos(left_ns)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_with_channels_is_not_named_alone() {
        let table = vec![
            ("bare".to_owned(), vec![]),
            ("full".to_owned(), vec!["c".to_owned(), "d#ephemeral".to_owned()]),
        ];
        let lines: Vec<u8> = flatten(table).iter().flat_map(|change| encode(change)).collect();
        assert_eq!(lines, b"REGISTER bare\nREGISTER full c\nREGISTER full d#ephemeral\n");
    }

    #[test]
    fn what_goes_is_unregistered() {
        assert_eq!(encode(&Change::removed("t", None)), b"UNREGISTER t\n");
        assert_eq!(encode(&Change::removed("t", Some("c"))), b"UNREGISTER t c\n");
    }

    #[test]
    fn a_peer_without_a_usable_http_address_has_none() {
        let info = |host: &str, http_port| PeerInfo {
            broadcast_address: host.into(),
            http_port,
            ..PeerInfo::default()
        };
        assert_eq!(announced_http(&info("h", 4161)), Some(("h", 4161)));
        for unusable in [info("", 4161), info("h", 0), info("h", -1), info("h", 65536)] {
            assert_eq!(announced_http(&unusable), None);
        }
    }

    #[test]
    fn pings_keep_their_rhythm_and_are_not_made_up_for() {
        assert_eq!(next_beat(100, 100), 100 + PING_INTERVAL_NS);
        assert_eq!(next_beat(100, 99 + PING_INTERVAL_NS), 100 + PING_INTERVAL_NS);
        assert_eq!(next_beat(100, 100 + 3 * PING_INTERVAL_NS), 100 + 4 * PING_INTERVAL_NS);
    }
}
