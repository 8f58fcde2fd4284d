//! What comes in besides bytes: mail of other cores, requests of this executor's tasks, new connections.

use nsq_queue::Input;

use crate::clock;
use crate::core::action::Action;
use crate::core::engine::Engine;
use crate::core::pending::Asker;
use crate::mesh::message::Mail;

impl Engine {
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
