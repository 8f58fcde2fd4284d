//! What comes in besides bytes: mail of other cores, requests of this executor's tasks, new connections.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nsq_queue::{Input, Now};
use socket2::{SockAddr, SockRef};

use crate::client::connection::Connection;
use crate::clock;
use crate::core::asks::Asker;
use crate::core::engine::{Action, Engine};
use crate::mesh::message::Mail;
use crate::transport::Slot;

const NS_PER_S: i64 = 1_000_000_000;

impl Engine {
    /// The time of this turn. Everything within a turn happens at one moment.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
    }

    /// A client has connected. `None` turns it away.
    pub fn on_accepted(&mut self, socket: OwnedFd) -> Option<(OwnedFd, Box<Connection>)> {
        if self.is_stopping() || self.connections.len() >= self.connections_max {
            return None;
        }
        let peer = SockRef::from(&socket).peer_addr().ok().as_ref().and_then(SockAddr::as_socket);
        let (ip, address) = describe(peer);
        let seconds = self.now.wall_ns / NS_PER_S;
        let mut connection = Connection::new(ip, address, seconds, self.now.mono_ns, &self.limits);
        connection.heartbeat_at = self.now.mono_ns + self.heartbeat_default_ns();
        nsq_flags::info!("TCP: new client({})", connection.remote_address);
        Some((socket, Box::new(connection)))
    }

    /// Its socket has a slot.
    pub fn on_attached(&mut self, slot: Slot, mut connection: Box<Connection>) {
        self.set_timer(slot, &mut connection);
        self.connections.insert(slot, connection);
    }

    /// Reads at most `letters_max` letters of other cores.
    pub fn read_mail(&mut self, letters_max: usize) {
        for _ in 0..letters_max {
            let Some((from, mail)) = self.mesh.poll() else { return };
            self.on_mail(from as u16, mail);
        }
        self.turn_again = true;
    }

    fn on_mail(&mut self, from: u16, mail: Mail) {
        match mail {
            Mail::Queue(message) => self.queue.handle(self.now, Input::Peer { from, message }),
            Mail::Forward(forward) => {
                // It may have been sent after this turn began; a deferred message must not count from before.
                self.now = clock::now();
                self.on_forward(from, forward);
            }
            Mail::Replies(replies) => replies.into_iter().for_each(|reply| self.on_replies(reply)),
            Mail::Ask { number, request } => self.on_request(Asker::Core { core: from, number }, *request),
            Mail::Answer { number, response } => {
                if let Some((asker, _)) = self.asks.take(number) {
                    self.answer(asker, *response);
                }
            }
            Mail::Move(moving) => self.actions.push_back(Action::Adopt(moving)),
            Mail::Registration(change) => {
                self.tasks_woken = true;
                self.registrations.push(change);
            }
            Mail::Discover { topic } => {
                self.tasks_woken = true;
                self.registrations.discover(topic);
            }
            Mail::Discovered { topic, channels } => self.on_discovered(&topic, &channels),
        }
    }

    /// What tasks of this executor have left.
    pub fn read_inbox(&mut self) {
        loop {
            let asked = self.inbox.borrow_mut().asked.pop_front();
            let Some(asked) = asked else { break };
            self.ask(asked.core, Asker::Task(asked.pending), asked.request);
        }
        loop {
            let discovered = self.inbox.borrow_mut().discovered.pop_front();
            let Some((topic, channels)) = discovered else { break };
            let home = self.placement.core_of_topic(&topic);
            if home == self.id {
                self.on_discovered(&topic, &channels);
            } else {
                self.mesh.send(usize::from(home), Mail::Discovered { topic, channels });
            }
        }
        loop {
            let done = self.inbox.borrow_mut().cold.pop_front();
            let Some(done) = done else { break };
            self.on_cold_done(done);
        }
    }
}

/// The peer's IP for the session, and how logs and statistics name it.
fn describe(peer: Option<SocketAddr>) -> (String, Arc<str>) {
    match peer {
        None => (String::new(), "@".into()),
        Some(peer) => {
            // An IPv4 client of a dual-stack listener is shown as what it is.
            let ip = match peer.ip() {
                IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
                ip => ip,
            };
            (ip.to_string(), SocketAddr::new(ip, peer.port()).to_string().into())
        }
    }
}
