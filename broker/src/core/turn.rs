//! One turn: events, messages, timers, outputs, flush.

use std::os::fd::OwnedFd;

use crate::clock;
use crate::core::action::Action;
use crate::core::engine::Engine;
use crate::mesh::handle::CoreHandle;
use crate::transport::{Close, Event, Transport, Wait};

/// Messages of other cores that one turn reads before it looks after its own connections again.
const MESSAGES_PER_TURN_MAX: usize = 4096;

/// Runs a core until it was told to stop and everything of it is closed.
pub async fn run<T: Transport>(
    mut engine: Engine,
    mut transport: T,
    listener: OwnedFd,
    handle: CoreHandle,
) -> Vec<(u16, u64)> {
    if let Err(error) = transport.listen(0, listener) {
        engine.fail("failed to listen", &error);
    }
    let mut wait = Wait::No;
    loop {
        if let Err(error) = transport.turn(wait).await {
            engine.fail("the core's ring has failed", &error);
            break;
        }
        engine.mesh.awake();
        engine.set_now(clock::now());
        while let Some(event) = transport.poll_event() {
            on_event(&mut engine, &mut transport, event);
        }
        engine.read_messages(MESSAGES_PER_TURN_MAX);
        engine.read_inbox();
        engine.run_timers();
        engine.end_turn();
        carry_out(&mut engine, &mut transport, &handle);
        if engine.is_stopping() && engine.run_stop() {
            transport.stop_listening();
        }
        if engine.is_stopped() {
            break;
        }
        for core in engine.mesh.flush() {
            transport.ring_peer(core);
        }
        wait = if engine.has_more_to_do() {
            Wait::No
        } else if engine.mesh.about_to_sleep() {
            Wait::Block
        } else if engine.mesh.overflow_count() > 0 {
            Wait::Brief // A ring is full; its reader makes room.
        } else {
            Wait::No
        };
        transport.set_deadline(engine.next_deadline());
    }
    transport.shutdown().await;
    engine.last_frames()
}

impl Engine {
    /// Everything that this turn's events have led to, up to the sends.
    fn end_turn(&mut self) {
        self.run_outputs();
        self.run_delayed();
        self.release_backlogged();
        self.send_gathered();
        self.flush();
    }
}

fn on_event<T: Transport>(engine: &mut Engine, transport: &mut T, event: Event) {
    match event {
        Event::Received { slot, chunk } => {
            engine.on_received(slot, transport.chunk(&chunk));
            transport.release(chunk);
        }
        Event::Taken { slot, .. } => engine.on_taken(slot),
        Event::Sent { slot, buffer } => engine.on_sent(slot, buffer),
        Event::Accepted { socket, .. } => {
            if let Some((socket, connection)) = engine.on_accepted(socket) {
                let slot = transport.attach(socket);
                engine.on_attached(slot, connection);
            }
        }
        Event::EndOfInput { slot } => engine.on_end_of_input(slot),
        Event::Failed { slot, .. } => engine.on_failed(slot),
        Event::Closed { slot } => engine.on_closed(slot),
        Event::Detached { slot, socket, pending } => engine.on_detached(slot, socket, &pending),
        Event::FileDone { tag, result, buf } => engine.on_file_done(tag, result, buf),
        // The turn itself looks at messages and deadlines.
        Event::Doorbell | Event::Timer => {}
    }
}

/// What the turn wants from the transport.
fn carry_out<T: Transport>(engine: &mut Engine, transport: &mut T, handle: &CoreHandle) {
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
                engine.on_adopted(slot, moving.connection);
            }
        }
    }
    engine.submit_log_io(transport, handle);
    if engine.take_tasks_woken() {
        handle.let_tasks_run();
    }
}
