//! Commands of connections: from the session's events to queue and log.

use nsq_protocol::error::cause;
use nsq_protocol::frame::{FRAME_HEADER_SIZE, encode_response};
use nsq_protocol::{Command, IdentifyReply, Messages, WireError, frame};
use nsq_queue::{Cause, ConsumerId, Input};

use crate::client::connection::Connection;
use crate::client::replies::{Answer, PublishVerb};
use crate::client::settings::Delivery;
use crate::core::client_report;
use crate::core::engine::Engine;
use crate::core::publication::Publish;
use crate::transport::Slot;

impl Engine {
    pub(super) fn command(&mut self, slot: Slot, connection: &mut Connection, command: Command<'_>) {
        let consumer = ConsumerId(slot.to_u64());
        match command {
            Command::Pub { topic, body } => {
                let publish = Publish {
                    topic,
                    verb: PublishVerb::Pub,
                    defer_ms: 0,
                    count: 1,
                    body_bytes: body.len() as u64,
                };
                self.publish_for(slot, connection, publish, std::iter::once(body));
            }
            Command::Fin { id } => {
                if let Err(why) = self.queue.finish(self.now, consumer, id) {
                    answer_failed(connection, &WireError::fin_failed(id, cause_text(why)));
                }
            }
            Command::Rdy { count } => {
                self.queue.credit(consumer, count.min(u64::from(u32::MAX)) as u32);
            }
            Command::Mpub { topic, messages } => {
                let publish = Publish {
                    topic: topic.as_str(),
                    verb: PublishVerb::Mpub,
                    defer_ms: 0,
                    count: Messages::count(&messages),
                    body_bytes: messages.body_bytes(),
                };
                self.publish_for(slot, connection, publish, messages);
            }
            Command::MpubTopic { topic } => self.mpub_topic(slot, connection, topic),
            Command::Req { id, delay_ns } => {
                if let Err(why) = self.queue.requeue(self.now, consumer, id, delay_ns) {
                    answer_failed(connection, &WireError::req_failed(id, cause_text(why)));
                }
            }
            Command::Touch { id } => {
                if let Err(why) = self.queue.touch(self.now, consumer, id) {
                    answer_failed(connection, &WireError::touch_failed(id, cause_text(why)));
                }
            }
            Command::Dpub { topic, delay_ns, body } => {
                let publish = Publish {
                    topic,
                    verb: PublishVerb::Dpub,
                    defer_ms: u32::try_from(delay_ns / 1_000_000)
                        .expect("invariant: at most --max-req-timeout, which is checked at start"),
                    count: 1,
                    body_bytes: body.len() as u64,
                };
                self.publish_for(slot, connection, publish, std::iter::once(body));
            }
            Command::Sub { topic, channel } => self.subscribe(slot, connection, topic, channel),
            Command::Cls => {
                self.queue.handle(self.now, Input::Closing { consumer });
                connection.answer(Answer::Frame(frame::CLOSE_WAIT_FRAME.as_slice().into()));
            }
            Command::Identify(reply) => self.identified(slot, connection, &reply),
            // Only handed out where an auth server is configured, which this version refuses at start.
            Command::Auth { .. } => self.fatal(slot, connection, &WireError::auth_failed()),
        }
    }

    /// The settings are in the session already; the first IDENTIFY also fixes those of delivery.
    fn identified(&mut self, slot: Slot, connection: &mut Connection, reply: &IdentifyReply) {
        if reply.first {
            let identity = connection.session.identity();
            let heartbeat_ns = identity.heartbeat_interval_ms.map_or(u64::MAX, |ms| ms * 1_000_000);
            connection.delivery = Delivery {
                heartbeat_ns: Some(heartbeat_ns),
                message_timeout_ns: Some(identity.message_timeout_ns),
                sample_rate: Some(identity.sample_rate),
            };
            connection.schedule_heartbeat(self.now.mono_ns);
        }
        client_report::identified(connection);
        self.set_timer(slot, connection);
        let mut frame = Vec::with_capacity(reply.payload.len() + FRAME_HEADER_SIZE);
        encode_response(&mut frame, &reply.payload);
        connection.answer(Answer::Frame(frame.into()));
    }
}

/// The error of a FIN, REQ or TOUCH, which is not fatal, in its place among the answers.
fn answer_failed(connection: &mut Connection, error: &WireError) {
    client_report::refused(connection, error);
    connection.answer(Answer::frame(error));
}

fn cause_text(why: Cause) -> &'static str {
    match why {
        Cause::NotOwner => cause::NOT_OWNER,
        _ => cause::NOT_IN_FLIGHT,
    }
}
