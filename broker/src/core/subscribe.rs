//! SUB and the end of a subscription.

use nsq_protocol::WireError;
use nsq_protocol::error::cause;
use nsq_queue::{ChannelKey, ConsumerId, Input, SubscribeError};

use crate::client::connection::Connection;
use crate::client::replies::Answer;
use crate::client::stage::{Act, Event, Stage, Why};
use crate::client::suspended::Suspended;
use crate::core::engine::Engine;
use crate::core::pending::Requester;
use crate::mesh::request::Request;
use crate::transport::Slot;

impl Engine {
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
        self.hold(slot, connection, Why::Core);
        self.request(home, Requester::Connection(slot), request);
    }

    /// The channel of a SUB exists.
    pub(super) fn on_ensured(&mut self, slot: Slot, connection: &mut Connection, channel: ChannelKey) {
        let identity = connection.session.identity();
        let input = Input::Subscribe {
            channel,
            consumer: ConsumerId(slot.to_u64()),
            message_timeout_ns: connection.delivery.message_timeout_ns.unwrap_or(identity.message_timeout_ns),
            sample_rate: connection.delivery.sample_rate.unwrap_or(identity.sample_rate),
            room_bytes: connection.output.begin(self.budget.room_max()),
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
        if connection.stage != Stage::Held(Why::Core) {
            return; // It has left already.
        }
        let suspended = connection.suspended.take();
        match result {
            Ok(()) => {
                connection.settled = true;
                connection.session.on_subscribed();
                connection.answer(Answer::Ok);
                self.go_on(slot, connection, Why::Core);
            }
            Err(error) => {
                connection.channel = None;
                if self.happen(slot, connection, Event::Released(Why::Core)) != Act::Resume {
                    return;
                }
                match (suspended, error) {
                    (
                        Some(Suspended::Subscribe { topic, channel, again: false }),
                        SubscribeError::NoSuchChannel,
                    ) => {
                        self.subscribe_to(slot, connection, topic, channel, true);
                    }
                    (Some(Suspended::Subscribe { topic, channel, .. }), SubscribeError::TooManyConsumers) => {
                        let max = self.process.config.consumers_per_channel_max as u64;
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
