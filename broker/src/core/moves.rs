//! Subscriptions, and connections that move to the core of what they work with.
//!
//! A connection is accepted anywhere. It moves at SUB to its channel's core and at its first publish to its
//! topic's core, once; the command that made it move goes with it and runs there. A producer of topics of several
//! cores then stays where it is and forwards the others'.

use std::os::fd::OwnedFd;

use nsq_protocol::{WireError, error::cause};
use nsq_queue::{ChannelKey, ConsumerId, Input, SubscribeError};

use crate::client::connection::{Connection, Hold, Suspended};
use crate::client::replies::Answer;
use crate::clock;
use crate::core::asks::Asker;
use crate::core::engine::Engine;
use crate::mesh::message::{Mail, Moving};
use crate::mesh::request::Request;
use crate::transport::Slot;

impl Engine {
    /// Whether the connection's home is still open: it owes no answer that only this core knows of.
    pub(super) fn may_move(&self, connection: &Connection) -> bool {
        !connection.settled && connection.channel.is_none() && connection.replies.is_empty()
    }

    /// Takes the socket out of this core's ring. What it still sends meanwhile comes along.
    pub(super) fn begin_move(&mut self, slot: Slot, connection: &mut Connection, to: u16) {
        connection.hold = Hold::Moving { to };
        self.touch(slot, connection);
    }

    /// The socket is out: off it goes.
    pub fn on_detached(&mut self, slot: Slot, socket: OwnedFd, pending: &[u8]) {
        let Some(mut connection) = self.connections.remove(slot) else { return };
        let Hold::Moving { to } = connection.hold else { return };
        self.clear_timer(slot, &mut connection);
        connection.input.extend_from_slice(pending);
        connection.settled = true;
        connection.input_paused = false;
        self.mesh.send(usize::from(to), Mail::Move(Box::new(Moving { socket, connection })));
    }

    /// A connection from another core has its slot here: the command that brought it goes on.
    pub fn on_adopted(&mut self, slot: Slot, mut connection: Box<Connection>) {
        // Its bytes may have come in after this turn began.
        self.now = clock::now();
        connection.dirty = false;
        connection.detaching = false;
        connection.end_of_input = false; // If it was, the new ring says so again.
        self.set_timer(slot, &mut connection);
        self.go_on(slot, &mut connection);
        self.touch(slot, &mut connection);
        self.connections.insert(slot, connection);
        // The turn has settled already; what was begun here is for the next one.
        self.turn_again = true;
    }

    /// SUB: topic and channel are made where they live, then the connection goes to the channel.
    pub(super) fn subscribe(&mut self, slot: Slot, connection: &mut Connection, topic: &str, channel: &str) {
        self.subscribe_to(slot, connection, topic.to_owned(), channel.to_owned(), false);
    }

    pub(super) fn subscribe_to(
        &mut self,
        slot: Slot,
        connection: &mut Connection,
        topic: String,
        channel: String,
        again: bool,
    ) {
        let core = self.placement.core_of_channel(&topic, &channel);
        if core != self.id {
            connection.suspended = Some(Suspended::Subscribe { topic, channel, again });
            return self.begin_move(slot, connection, core);
        }
        let home = self.placement.core_of_topic(&topic);
        let request = Request::Ensure { topic: topic.clone(), channel: channel.clone() };
        connection.suspended = Some(Suspended::Subscribe { topic, channel, again });
        connection.hold = Hold::Asked;
        self.ask(home, Asker::Connection(slot), request);
    }
}

impl Engine {
    /// The channel of a SUB exists.
    pub(super) fn on_ensured(&mut self, slot: Slot, connection: &mut Connection, channel: ChannelKey) {
        let identity = connection.session.identity();
        let input = Input::Subscribe {
            channel,
            consumer: ConsumerId(slot.to_u64()),
            message_timeout_ns: connection.delivery.message_timeout_ns.unwrap_or(identity.message_timeout_ns),
            sample_rate: connection.delivery.sample_rate.unwrap_or(identity.sample_rate),
            room_bytes: u64::MAX,
        };
        connection.channel = Some(channel);
        self.queue.handle(self.now, input);
    }

    /// The queue has taken the consumer in, or not.
    pub(super) fn on_subscribed(
        &mut self,
        slot: Slot,
        connection: &mut Connection,
        result: Result<(), SubscribeError>,
    ) {
        let suspended = connection.suspended.take();
        match result {
            Ok(()) => {
                connection.settled = true;
                connection.session.on_subscribed();
                connection.replies.push(Answer::Ok, &mut connection.output);
                self.resume(slot, connection);
            }
            Err(error) => {
                connection.channel = None;
                match (suspended, error) {
                    (
                        Some(Suspended::Subscribe { topic, channel, again: false }),
                        SubscribeError::NoSuchChannel,
                    ) => {
                        self.subscribe_to(slot, connection, topic, channel, true);
                    }
                    (Some(Suspended::Subscribe { topic, channel, .. }), SubscribeError::TooManyConsumers) => {
                        let max = self.shared.config.consumers_per_channel_max as u64;
                        let error = WireError::sub_consumers_exceeded(&topic, &channel, max);
                        self.fatal(slot, connection, &error);
                    }
                    _ => self.fatal(slot, connection, &WireError::sub_failed(cause::VANISHED)),
                }
            }
        }
    }

    /// The connection is no consumer any more. What it has in flight stays so until its deadline.
    pub(super) fn leave_channel(&mut self, slot: Slot, connection: &mut Connection) {
        if connection.channel.take().is_some() {
            self.queue.handle(self.now, Input::Leave { consumer: ConsumerId(slot.to_u64()) });
        }
    }
}
