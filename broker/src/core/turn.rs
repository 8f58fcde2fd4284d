//! One turn: events, messages, timers, outputs, flush.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::core::action::Action;
use crate::core::engine::Engine;
use crate::limits::{CHUNKS_PER_TURN_MAX, MESSAGES_PER_TURN_MAX, RECEIVE_NS_PER_TURN};
use crate::mesh::handle::{CoreHandle, Inbox};
use crate::mesh::message::LookupNotice;
use crate::transport::{Close, Event, Transport, Wait};

/// Buffers between two looks at the clock.
const CHUNKS_PER_LOOK: usize = 8;

/// A core: its engine, and what the engine needs of the world.
pub struct Core<T: Transport> {
    engine: Engine,
    transport: T,
    /// What tasks of this executor leave for the core.
    inbox: Rc<RefCell<Inbox>>,
    /// To let those tasks run.
    handle: CoreHandle,
    /// Hears what nsqlookupd is to know; on core 0.
    lookup: Box<dyn FnMut(LookupNotice)>,
}

/// What follows a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another turn, after a wait.
    Wait(Wait),
    /// Nothing: the core has stopped.
    Stopped,
}

impl<T: Transport> Core<T> {
    /// Puts a core together. `inbox` is the one that `handle` fills.
    pub fn new(
        engine: Engine,
        transport: T,
        inbox: Rc<RefCell<Inbox>>,
        handle: CoreHandle,
        lookup: Box<dyn FnMut(LookupNotice)>,
    ) -> Self {
        Self { engine, transport, inbox, handle, lookup }
    }

    /// Runs the core until it was told to stop and everything of it is closed; says where its logs end. `on_stop` is
    /// called when the stop begins.
    pub async fn run(mut self, listener: OwnedFd, on_stop: impl FnOnce()) -> Vec<(u16, u64)> {
        let mut on_stop = Some(on_stop);
        if let Err(error) = self.transport.listen(0, listener) {
            self.engine.fail("failed to listen", &error);
        }
        let mut wait = Wait::No;
        loop {
            if let Err(error) = self.transport.turn(wait).await {
                self.engine.fail("the core's ring has failed", &error);
                self.engine.abandon();
                break;
            }
            match self.turn() {
                Next::Wait(next) => wait = next,
                Next::Stopped => break,
            }
            if self.engine.is_stopping()
                && let Some(on_stop) = on_stop.take()
            {
                on_stop();
                self.handle.let_tasks_run();
            }
        }
        self.transport.shutdown().await;
        self.engine.last_frames()
    }

    /// The transport, for a world that drives it from the other side.
    #[cfg(feature = "sim")]
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
    }

    /// The engine, to be looked at.
    #[cfg(feature = "sim")]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Acts on everything that the transport's last turn has brought in.
    pub fn turn(&mut self) -> Next {
        self.engine.mesh.awake();
        self.engine.take_messages(MESSAGES_PER_TURN_MAX);
        let mut now = self.transport.now();
        if planted!(DeadlineByWallClock) {
            // The two begin together in a world, so only steps of the wall clock tell them apart.
            now.mono_ns = (now.wall_ns % 10_000_000_000_000_000) as u64;
        }
        self.engine.set_now(now);
        self.engine.release_last_turn();
        let more_events = self.take_events();
        self.engine.run_messages();
        self.read_inbox();
        self.engine.run_timers();
        self.engine.end_turn();
        self.carry_out();
        let again = more_events || self.engine.take_turn_again() || !self.inbox.borrow().is_empty();
        if self.engine.is_stopping() && self.engine.run_stop(!again) {
            self.transport.stop_listening();
        }
        if self.engine.is_stopped() {
            return Next::Stopped;
        }
        for core in self.engine.mesh.flush() {
            self.transport.ring_peer(core);
        }
        let wait = if again {
            Wait::No
        } else if self.engine.mesh.about_to_sleep() {
            Wait::Block
        } else if self.engine.mesh.overflow_count() > 0 {
            Wait::Brief // A ring is full; its reader makes room.
        } else {
            Wait::No
        };
        self.transport.set_deadline(self.engine.next_deadline());
        Next::Wait(wait)
    }

    /// Acts on what has happened, until there is nothing more, or clients have had their share of the turn: then the rest
    /// keeps its buffers, which holds the senders back. True if something is left.
    fn take_events(&mut self) -> bool {
        let begun_at = self.transport.now().mono_ns;
        let mut chunks = 0;
        while let Some(event) = self.transport.poll_event() {
            chunks += usize::from(matches!(event, Event::Received { .. }));
            on_event(&mut self.engine, &mut self.transport, event);
            // The clock is not asked for every buffer.
            let look = chunks > 0 && chunks.is_multiple_of(CHUNKS_PER_LOOK);
            if chunks >= CHUNKS_PER_TURN_MAX
                || look && self.transport.now().mono_ns >= begun_at + RECEIVE_NS_PER_TURN
            {
                return true;
            }
        }
        false
    }

    /// What tasks of this executor have left.
    fn read_inbox(&mut self) {
        loop {
            let queued = self.inbox.borrow_mut().requests.pop_front();
            let Some(queued) = queued else { break };
            self.engine.on_queued_request(queued);
        }
        loop {
            let discovered = self.inbox.borrow_mut().discovered.pop_front();
            let Some((topic, channels)) = discovered else { break };
            self.engine.on_lookup_answer(topic, channels);
        }
    }

    /// What the turn wants from the transport.
    fn carry_out(&mut self) {
        let Self { engine, transport, .. } = self;
        let mut tasks_woken = engine.take_tasks_woken();
        while let Some(action) = engine.poll_action() {
            match action {
                Action::Send(slot, bytes) => transport.send(slot, bytes),
                Action::Close(slot) => transport.close(slot, Close::Flush),
                Action::Abort(slot) => transport.close(slot, Close::Abort),
                Action::Pause(slot) => transport.pause(slot),
                Action::Resume(slot) => transport.resume(slot),
                Action::Detach(slot) => transport.detach(slot),
                Action::Adopt(moving) => {
                    let slot = transport.attach(moving.socket);
                    // Its bytes may have come in after this turn began.
                    engine.set_now(transport.now());
                    engine.on_adopted(slot, moving.connection);
                }
                Action::Lookup(notice) => {
                    (self.lookup)(notice);
                    tasks_woken = true;
                }
            }
        }
        engine.submit_log_io(transport);
        if tasks_woken || engine.take_tasks_woken() {
            self.handle.let_tasks_run();
        }
    }
}

#[cfg(test)]
impl<T: Transport> Core<T> {
    #[cfg(not(feature = "sim"))]
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }
}

impl Engine {
    /// Everything that this turn's events have led to, up to the sends.
    fn end_turn(&mut self) {
        self.run_outputs();
        self.run_delayed();
        self.release_waiting();
        self.send_gathered();
        self.flush();
        self.feed_starved();
        self.watch_untaken();
        self.turn_again |= !self.dirty.is_empty() || !self.next_turn.is_empty();
        self.turn += 1;
    }
}

fn on_event<T: Transport>(engine: &mut Engine, transport: &mut T, event: Event) {
    match event {
        Event::Received { slot, chunk } => {
            engine.on_received(slot, transport.chunk(&chunk));
            transport.release(chunk);
        }
        Event::Taken { slot, bytes } => engine.on_taken(slot, bytes),
        Event::Sent { slot, buffer } => engine.on_sent(slot, buffer),
        Event::Accepted { socket, .. } => {
            if let Some((socket, connection)) = engine.on_accepted(socket) {
                let slot = transport.attach(socket);
                engine.on_attached(slot, connection);
            }
        }
        Event::EndOfInput { slot } => engine.on_end_of_input(slot),
        Event::Failed { slot, errno } => engine.on_failed(slot, errno),
        Event::Closed { slot } => engine.on_closed(slot),
        Event::Detached { slot, socket, pending } => engine.on_detached(slot, socket, &pending),
        Event::Io { tag, result } => engine.on_io(tag, result),
        // The turn itself looks at messages and deadlines.
        Event::Doorbell | Event::Timer => {}
    }
}
