//! What comes in besides bytes: messages of other cores, requests of this executor's tasks, new connections.

use nsq_queue::Input;

use crate::clock;
use crate::core::action::Action;
use crate::core::engine::Engine;
use crate::core::pending::Requester;
use crate::mesh::message::CoreMessage;

impl Engine {
    /// Reads at most `messages_max` messages of other cores.
    pub fn read_messages(&mut self, messages_max: usize) {
        for _ in 0..messages_max {
            let Some((from, message)) = self.mesh.poll() else { return };
            self.on_message(from as u16, message);
        }
        self.turn_again = true;
    }

    fn on_message(&mut self, from: u16, message: CoreMessage) {
        match message {
            CoreMessage::Queue(message) => self.queue.handle(self.now, Input::Peer { from, message }),
            CoreMessage::Forward(forward) => {
                // It may have been sent after this turn began; a deferred message must not count from before.
                self.now = clock::now();
                self.on_forward(from, forward);
            }
            CoreMessage::Replies(replies) => replies.into_iter().for_each(|reply| self.on_replies(reply)),
            CoreMessage::Request { number, request } => {
                self.on_request(Requester::Core { core: from, number }, *request)
            }
            CoreMessage::Response { number, response } => {
                if let Some((requester, _)) = self.pending.take(number) {
                    self.answer(requester, *response);
                }
            }
            CoreMessage::Move(moving) => self.actions.push_back(Action::Adopt(moving)),
            CoreMessage::Registration(change) => {
                self.tasks_woken = true;
                self.registrations.push(change);
            }
            CoreMessage::Discover { topic } => {
                self.tasks_woken = true;
                self.registrations.discover(topic);
            }
            CoreMessage::Discovered { topic, channels } => self.on_discovered(&topic, &channels),
        }
    }

    /// What tasks of this executor have left.
    pub fn read_inbox(&mut self) {
        loop {
            let queued = self.inbox.borrow_mut().requests.pop_front();
            let Some(queued) = queued else { break };
            self.request(queued.core, Requester::Task(queued.pending), queued.request);
        }
        loop {
            let discovered = self.inbox.borrow_mut().discovered.pop_front();
            let Some((topic, channels)) = discovered else { break };
            let home = self.placement.core_of_topic(&topic);
            if home == self.id {
                self.on_discovered(&topic, &channels);
            } else {
                self.mesh.send(usize::from(home), CoreMessage::Discovered { topic, channels });
            }
        }
        loop {
            let done = self.inbox.borrow_mut().cold.pop_front();
            let Some(done) = done else { break };
            self.on_cold_done(done);
        }
    }
}
