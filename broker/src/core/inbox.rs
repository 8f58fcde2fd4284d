//! What comes in besides bytes: messages of other cores, requests of this executor's tasks.

use nsq_queue::Input;

use crate::core::action::Action;
use crate::core::engine::Engine;
use crate::core::handed;
use crate::core::pending::Requester;
use crate::mesh::handle::QueuedRequest;
use crate::mesh::message::{CoreMessage, LookupNotice};

impl Engine {
    /// Takes at most `messages_max` messages of other cores out of the rings. They are acted on once the turn has its
    /// time: whatever was sent before is in the past then.
    pub(super) fn take_messages(&mut self, messages_max: usize) {
        for _ in 0..messages_max {
            let Some(message) = self.mesh.poll() else { return };
            self.incoming.push_back(message);
        }
        self.turn_again = true;
    }

    /// Acts on the messages that were taken.
    pub(super) fn run_messages(&mut self) {
        while let Some((from, message)) = self.incoming.pop_front() {
            self.on_message(from as u16, message);
        }
    }

    fn on_message(&mut self, from: u16, message: CoreMessage) {
        match message {
            CoreMessage::Queue(message) => {
                self.took(from, handed::weight(&message));
                self.queue.handle(self.now, Input::Peer { from, message });
            }
            CoreMessage::Forward(forward) => self.on_forward(from, forward),
            CoreMessage::Replies(replies) => replies.into_iter().for_each(|reply| self.on_replies(reply)),
            CoreMessage::Request { number, request } => {
                self.on_request(Requester::Core { core: from, number }, *request)
            }
            CoreMessage::Response { number, response } => {
                if let Some((requester, _)) = self.pending.take(number) {
                    self.answer(requester, *response);
                }
            }
            CoreMessage::Taken { bytes } => self.on_handed_taken(from, bytes),
            // It owes nothing: a core that stops drops it.
            CoreMessage::Move(_) if self.is_stopping() => {}
            CoreMessage::Move(moving) => self.actions.push_back(Action::Adopt(moving)),
            CoreMessage::Registration(change) => self.tell_lookup(LookupNotice::Changed(change)),
            CoreMessage::Discover { topic } => self.tell_lookup(LookupNotice::Discover(topic)),
            CoreMessage::Discovered { topic, channels } => self.on_discovered(&topic, &channels),
        }
    }

    /// A task of this executor wants something.
    pub(super) fn on_queued_request(&mut self, queued: QueuedRequest) {
        self.request(queued.core, Requester::Task(queued.pending), queued.request);
    }

    /// nsqlookupd knows these channels of a new topic.
    pub(super) fn on_lookup_answer(&mut self, topic: String, channels: Vec<String>) {
        let home = self.placement.core_of_topic(&topic);
        if home == self.id {
            self.on_discovered(&topic, &channels);
        } else {
            self.mesh.send(usize::from(home), CoreMessage::Discovered { topic, channels });
        }
    }

    /// Only on core 0, where the conversations with nsqlookupd are.
    pub(super) fn tell_lookup(&mut self, notice: LookupNotice) {
        self.actions.push_back(Action::Lookup(notice));
    }
}
