//! What entering a stage does, each once and in one place. What may happen is decided by [`crate::client::stage::step`].

use nsq_protocol::WireError;

use crate::client::connection::Connection;
use crate::client::replies::Answer;
use crate::client::stage::{Act, Event, How, Stage, Why, step};
use crate::core::action::Action;
use crate::core::client_report;
use crate::core::engine::Engine;
use crate::transport::Slot;

impl Engine {
    /// Something happened to a connection: moves it on, and does what entering another stage means. What is left to the
    /// caller is said by the answer: to run, keep, write or drop what came.
    pub(super) fn happen(&mut self, slot: Slot, connection: &mut Connection, event: Event) -> Act {
        let act = step(&mut connection.stage, event);
        match act {
            Act::Hold => return self.enter_hold(slot, connection),
            Act::Opened => connection.schedule_heartbeat(self.now.mono_ns),
            Act::Move => self.touch(slot, connection),
            Act::Detach => self.actions.push_back(Action::Detach(slot)),
            Act::End => self.enter_ending(slot, connection),
            Act::EndWithLastWords => {
                let input = connection.input.take();
                if let Some(error) = connection.session.end(&self.limits, &input) {
                    client_report::refused(connection, &error);
                    connection.answer(Answer::last(&error));
                }
                self.enter_ending(slot, connection);
            }
            Act::Close(how) => return self.enter_closing(slot, connection, how),
            Act::AbortNow => {
                self.actions.push_back(Action::Abort(slot));
                return act;
            }
            Act::FreeAndRelease => self.ready.push_back((slot, Why::Output)),
            Act::WriteAndRelease => self.ready.push_back((slot, Why::Window)),
            Act::Impossible => {
                debug_assert!(false, "{event:?} at {:?}", connection.stage);
                nsq_flags::error!("TCP: client({}) - {event:?} cannot be", connection.remote_address);
                return self.happen(slot, connection, Event::Failed);
            }
            _ => return act,
        }
        if !matches!(act, Act::FreeAndRelease | Act::WriteAndRelease) {
            connection.stage_since = self.now.mono_ns;
            self.set_timer(slot, connection);
        }
        act
    }

    /// Commands wait from here on; who looks after them depends on why.
    fn enter_hold(&mut self, slot: Slot, connection: &Connection) -> Act {
        match connection.stage {
            Stage::Held(Why::Log) => self.waiting.push_back(slot),
            Stage::Held(Why::Turn) => self.next_turn.push(slot),
            // An answer, or bytes that leave, end the others.
            _ => {}
        }
        Act::Hold
    }

    /// What is owed is answered and sent; nothing else that was received matters.
    fn enter_ending(&mut self, slot: Slot, connection: &mut Connection) {
        connection.input.forget();
        connection.suspended = None;
        self.leave_channel(slot, connection);
        self.touch(slot, connection);
    }

    /// Nothing matters any more but the slot.
    fn enter_closing(&mut self, slot: Slot, connection: &mut Connection, how: How) -> Act {
        if let Stage::Closing(reason) = connection.stage {
            client_report::closed(connection, reason);
        }
        connection.input.forget();
        connection.suspended = None;
        connection.output.forget();
        connection.replies.forget();
        self.leave_channel(slot, connection);
        self.clear_timer(slot, connection);
        self.touch(slot, connection);
        self.actions.push_back(match how {
            How::Flush => Action::Close(slot),
            How::Abort => Action::Abort(slot),
        });
        Act::Close(how)
    }

    /// Answers with an error behind everything owed, then closes.
    pub(super) fn fatal(&mut self, slot: Slot, connection: &mut Connection, error: &WireError) {
        client_report::refused(connection, error);
        connection.answer(Answer::last(error));
        self.happen(slot, connection, Event::LastCommand);
    }

    /// The command that is being carried out has to wait.
    pub(super) fn hold(&mut self, slot: Slot, connection: &mut Connection, why: Why) {
        self.happen(slot, connection, Event::MustWait(why));
    }
}
