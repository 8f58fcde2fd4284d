//! What becomes of one connection: a pure table, used by both drivers.
//!
//! ```text
//!         ┌─ detach ──────► Detaching ──► HandedOver ──► gone, when the caller took the event
//!   Open ─┼─ close(Flush) ─► Flushing ──► Draining ──┐
//!         └─ close(Abort), or a deadline ────────────┴─► Ending ──► gone
//! ```
//!
//! A driver reports what happened in the fields, and asks [`Lifecycle::step`] until it answers `Nothing`.
//! `Flushing` lets the send under way end. `Draining` has said goodbye (`SHUT_WR`) and reads until the peer does
//! the same: closing a socket with unread input makes the kernel send a reset, which destroys what the peer has
//! not read yet, and that may be the very error frame that explains the end. `Ending` waits until the kernel has
//! let go of the buffers.

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Detaching,
    /// The event with the socket waits for the caller.
    HandedOver,
    Flushing,
    Draining,
    Ending,
}

/// The state of receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receive {
    /// Nothing is under way.
    Idle,
    /// The kernel was asked to receive.
    Armed,
    /// It was asked to stop, and has not answered.
    Cancelling,
    /// It stopped for want of buffers; goes on when some are back.
    Starved,
}

/// What the driver is to do. The lifecycle takes it as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Ask the kernel to receive.
    Arm,
    /// Ask it to stop.
    Cancel,
    /// Tell the peer that no more will come, and set the deadline of draining.
    SayGoodbye,
    /// Make everything that is under way end now.
    Break,
    /// Close the descriptor and report `Closed`.
    Finish,
    /// Queue the report of `Detached`, with the descriptor.
    HandOver,
}

#[derive(Clone, Debug)]
pub(super) struct Lifecycle {
    pub(super) phase: Phase,
    pub(super) receive: Receive,
    /// The caller wants no input for now.
    pub(super) paused: bool,
    /// The peer sends no more.
    pub(super) input_over: bool,
    /// A send is under way.
    pub(super) sending: bool,
    /// An error was met. Nothing works any more, and it was reported.
    pub(super) broken: bool,
    /// `Step::Break` was given.
    ending: bool,
}

impl Lifecycle {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Open,
            receive: Receive::Idle,
            paused: false,
            input_over: false,
            sending: false,
            broken: false,
            ending: false,
        }
    }

    /// Events of this connection still interest the caller.
    pub(super) fn reports(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Detaching | Phase::HandedOver)
    }

    pub(super) fn step(&mut self) -> Step {
        match self.phase {
            Phase::Open => self.receive_if(!self.paused && !self.input_over && !self.broken),
            Phase::Detaching => match self.receive_if(false) {
                // A broken connection stays until it is closed: nobody elsewhere would ever hear that it is broken.
                Step::Nothing if self.receive == Receive::Idle && !self.sending && !self.broken => {
                    self.phase = Phase::HandedOver;
                    Step::HandOver
                }
                step => step,
            },
            Phase::HandedOver => Step::Nothing,
            Phase::Flushing if self.broken || (self.input_over && !self.sending) => self.end(),
            Phase::Flushing if !self.sending => {
                self.phase = Phase::Draining;
                Step::SayGoodbye
            }
            Phase::Flushing => self.receive_if(!self.input_over),
            Phase::Draining if self.broken || self.input_over => self.end(),
            Phase::Draining => self.receive_if(true),
            Phase::Ending => self.end(),
        }
    }

    fn receive_if(&mut self, wanted: bool) -> Step {
        match (self.receive, wanted) {
            (Receive::Idle, true) => {
                self.receive = Receive::Armed;
                Step::Arm
            }
            (Receive::Armed, false) => {
                self.receive = Receive::Cancelling;
                Step::Cancel
            }
            (Receive::Starved, false) => {
                self.receive = Receive::Idle;
                Step::Nothing
            }
            _ => Step::Nothing,
        }
    }

    fn end(&mut self) -> Step {
        self.phase = Phase::Ending;
        let receiving = matches!(self.receive, Receive::Armed | Receive::Cancelling);
        if !receiving && !self.sending {
            Step::Finish
        } else if !self.ending {
            self.ending = true;
            Step::Break
        } else {
            Step::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Lifecycle)) -> Lifecycle {
        let mut life = Lifecycle::new();
        change(&mut life);
        life
    }

    #[test]
    fn an_open_connection_receives_unless_paused_over_or_broken() {
        assert_eq!(Lifecycle::new().step(), Step::Arm);
        assert_eq!(with(|l| l.paused = true).step(), Step::Nothing);
        assert_eq!(with(|l| l.input_over = true).step(), Step::Nothing);
        assert_eq!(with(|l| l.broken = true).step(), Step::Nothing);
    }

    #[test]
    fn a_pause_cancels_once_and_a_resume_waits_for_the_answer() {
        let mut life = Lifecycle::new();
        assert_eq!(life.step(), Step::Arm);
        life.paused = true;
        assert_eq!(life.step(), Step::Cancel);
        assert_eq!(life.step(), Step::Nothing);
        life.paused = false;
        assert_eq!(life.step(), Step::Nothing);
        life.receive = Receive::Idle;
        assert_eq!(life.step(), Step::Arm);
    }

    #[test]
    fn a_flush_waits_for_the_send_and_then_drains_until_the_peer_closes() {
        let mut life = with(|l| {
            l.receive = Receive::Armed;
            l.sending = true;
            l.phase = Phase::Flushing;
        });
        assert_eq!(life.step(), Step::Nothing);
        life.sending = false;
        assert_eq!(life.step(), Step::SayGoodbye);
        assert_eq!(life.step(), Step::Nothing);
        life.receive = Receive::Idle;
        assert_eq!(life.step(), Step::Arm);
        life.receive = Receive::Idle;
        life.input_over = true;
        assert_eq!(life.step(), Step::Finish);
    }

    #[test]
    fn an_abort_breaks_what_is_under_way_once_and_waits_for_it() {
        let mut life = with(|l| {
            l.receive = Receive::Armed;
            l.sending = true;
            l.phase = Phase::Ending;
        });
        assert_eq!(life.step(), Step::Break);
        assert_eq!(life.step(), Step::Nothing);
        life.receive = Receive::Idle;
        assert_eq!(life.step(), Step::Nothing);
        life.sending = false;
        assert_eq!(life.step(), Step::Finish);
    }

    #[test]
    fn a_connection_is_handed_over_when_the_kernel_has_let_go() {
        let mut life = with(|l| {
            l.receive = Receive::Armed;
            l.sending = true;
            l.phase = Phase::Detaching;
        });
        assert_eq!(life.step(), Step::Cancel);
        life.receive = Receive::Idle;
        assert_eq!(life.step(), Step::Nothing);
        life.sending = false;
        assert_eq!(life.step(), Step::HandOver);
        assert_eq!(life.step(), Step::Nothing);
        life.phase = Phase::Ending;
        assert_eq!(life.step(), Step::Finish);
    }

    #[test]
    fn a_connection_that_breaks_while_it_is_leaving_is_closed_and_not_handed_over() {
        let mut life = with(|l| {
            l.receive = Receive::Armed;
            l.phase = Phase::Detaching;
        });
        assert_eq!(life.step(), Step::Cancel);
        life.receive = Receive::Idle;
        life.broken = true;
        assert_eq!(life.step(), Step::Nothing);
        life.phase = Phase::Ending;
        assert_eq!(life.step(), Step::Finish);
    }

    /// Every state of every phase: whatever is under way, its end lets the connection end too, and nothing is ever
    /// armed twice.
    #[test]
    fn every_closing_state_ends_when_the_kernel_answers() {
        let phases = [Phase::Detaching, Phase::Flushing, Phase::Draining, Phase::Ending];
        let receives = [Receive::Idle, Receive::Armed, Receive::Cancelling, Receive::Starved];
        let flags = [false, true];
        for phase in phases {
            for receive in receives {
                for sending in flags {
                    for input_over in flags {
                        for broken in flags {
                            for paused in flags {
                                let life = Lifecycle {
                                    phase,
                                    receive,
                                    paused,
                                    input_over,
                                    sending,
                                    broken,
                                    ending: false,
                                };
                                run_to_the_end(life);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Plays a kernel that answers whatever was asked, and a peer that closes at last.
    fn run_to_the_end(mut life: Lifecycle) {
        let start = format!("{life:?}");
        for _ in 0..20 {
            match life.step() {
                Step::Finish | Step::HandOver => {
                    assert!(!life.sending, "{start}");
                    assert!(!matches!(life.receive, Receive::Armed | Receive::Cancelling), "{start}");
                    return;
                }
                Step::Arm => assert!(!life.paused || life.phase != Phase::Open, "{start}"),
                Step::SayGoodbye | Step::Cancel => {}
                Step::Break => {
                    life.sending = false;
                    life.receive = Receive::Idle;
                }
                Step::Nothing if life.sending => life.sending = false,
                Step::Nothing
                    if life.broken && life.phase == Phase::Detaching && life.receive == Receive::Idle =>
                {
                    life.phase = Phase::Ending; // The caller was told that it is broken, and closes it.
                }
                Step::Nothing => {
                    life.input_over |= life.receive == Receive::Armed;
                    life.receive = Receive::Idle;
                }
            }
        }
        panic!("no end from {start}: {life:?}");
    }
}
