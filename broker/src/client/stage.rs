//! Where a connection stands, and what each event means there. One table, one function, no exceptions elsewhere.
//!
//! *run*: parse and carry out. *keep*: into the input, unseen. *free*: the bytes leave the count. *release*: its hold is
//! over. *last words*: the error for a command cut short, if there is one. –: late or without meaning, nothing is done.
//! ✗: cannot be. A cell with an arrow enters another stage; what entering does is done once, by the engine.
//!
//! | event | Magic | Open | Held | Moving | Detaching | Ending | Closing |
//! |---|---|---|---|---|---|---|---|
//! | bytes | run | run | keep | keep | ✗ | drop | drop |
//! | magic read | → Open | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ |
//! | end of input | → Closing, flush | → Ending, last words | note | – | – | – | – |
//! | taken | ✗ | free | free | free | ✗ | free | – |
//! | taken, few answers left | ✗ | free | free; Output: release | free | ✗ | free | – |
//! | failed | → Closing, abort | → Closing, abort | → Closing, abort | → Closing, abort | → Closing, abort | → Closing, abort | – |
//! | closed | ✗ | ✗ | ✗ | ✗ | ✗ | ✗ | gone |
//! | detached | ✗ | ✗ | ✗ | ✗ | hand over | ✗ | gone |
//! | released, its reason | – | – | → Open, resume | – | – | – | – |
//! | released, another reason | – | – | – | – | – | – | – |
//! | answer of a publish | ✗ | write | write | write | ✗ | write | – |
//! | answer, few unanswered | ✗ | write | write; Window: release | write | ✗ | write | – |
//! | delivery | ✗ | write | write | ✗ | ✗ | drop | drop |
//! | channel deleted | ✗ | → Closing, flush | → Closing, flush | ✗ | ✗ | – | – |
//! | last command | → Ending | → Ending | → Ending | → Ending | ✗ | ✗ | ✗ |
//! | must wait | ✗ | → Held | ✗ | ✗ | ✗ | ✗ | ✗ |
//! | must move | ✗ | → Moving | ✗ | ✗ | ✗ | ✗ | ✗ |
//! | all sent | – | – | – | → Detaching, detach | – | → Closing, flush | – |
//! | no magic in time | → Closing, flush | – | – | – | – | – | – |
//! | heartbeat due | – | heartbeat | heartbeat | – | – | – | – |
//! | silent for too long | – | → Ending, last words | – | – | – | – | – |
//! | takes no bytes | – | → Closing, abort | → Closing, abort | → Closing, abort | – | → Closing, abort | – |
//! | move overdue | – | – | – | → Closing, abort | → Closing, abort | – | – |
//! | stop | → Closing, flush | → Ending | → Ending | → Ending | – | – | – |
//! | stop overdue | → Closing, abort | → Closing, abort | → Closing, abort | → Closing, abort | → Closing, abort | → Closing, abort | abort |
//!
//! - Moving: a SUB moves behind publishes that are unanswered yet; one that is refused ends the connection.
//! - Moving, Detaching: an end of input is not noted, because the next core's kernel says it again. A stop lets what is
//!   detaching arrive at a core that stops too, and drops it: it owes nothing.
//! - Ending: a delivery is dropped, and stays in flight until its deadline, as in NSQ.
//! - Closing: a socket that is detached all the same is dropped with its connection.

/// Why commands wait. One reason at a time: what is released asks for the others by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The log has too much to write.
    Log,
    /// Too much of what it published, or of what its core has handed to the topic's core, is unanswered.
    Window,
    /// The client does not read its answers.
    Output,
    /// It has had its share of this turn.
    Turn,
    /// Another core was asked, or the queue of this one.
    Core,
    /// nsqlookupd was asked.
    Discovery,
}

/// Why a connection ends; for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The client has closed its side.
    EndOfInput,
    /// A command that ends the connection: an error, or a line that is too long.
    LastCommand,
    /// The socket is broken.
    Failed,
    /// Its channel was deleted.
    ChannelDeleted,
    /// Nothing was sent that opens a connection.
    NoMagic,
    /// No command for two heartbeats.
    Silent,
    /// Not a byte was taken for a heartbeat.
    TakesNothing,
    /// Its socket did not get to another core in time.
    NotMoved,
    /// The process stops.
    Stop,
}

impl Reason {
    /// For the log.
    pub fn text(self) -> &'static str {
        match self {
            Reason::EndOfInput => "the client has closed",
            Reason::LastCommand => "a fatal error was answered",
            Reason::Failed => "the connection is broken",
            Reason::ChannelDeleted => "its channel was deleted",
            Reason::NoMagic => "no magic was received in time",
            Reason::Silent => "no command for two heartbeats",
            Reason::TakesNothing => "it reads nothing",
            Reason::NotMoved => "its socket could not be moved in time",
            Reason::Stop => "nsqd stops",
        }
    }
}

/// How the transport is to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// What is under way is sent first.
    Flush,
    /// At once.
    Abort,
}

/// Where a connection stands; exactly one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Connected; four bytes are awaited.
    Magic,
    /// Commands are carried out as they come.
    Open,
    /// Commands wait.
    Held(Why),
    /// Bound for another core; what is unsent leaves first.
    Moving {
        /// That core.
        to: u16,
    },
    /// The transport was asked for the socket.
    Detaching {
        /// The core it is for.
        to: u16,
    },
    /// No further command; what is owed is sent.
    Ending(Reason),
    /// The transport was told to close; nothing but the slot and the permit is left.
    Closing(Reason),
}

/// Something happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes came in.
    Bytes,
    /// The session has had its magic.
    MagicRead,
    /// The peer has sent its last byte.
    EndOfInput,
    /// The kernel has taken bytes; `low`: few answers are left.
    Taken {
        /// Fewer than [`crate::limits::ANSWER_BYTES_LOW`] bytes of answers are left.
        low: bool,
    },
    /// The socket is broken.
    Failed,
    /// The transport has closed it.
    Closed,
    /// The transport has let go of the socket.
    Detached,
    /// What it waited for is there.
    Released(Why),
    /// A publish is answered; `low`: few are unanswered.
    Answered {
        /// Less than half of [`crate::limits::UNANSWERED_BYTES_MAX`] is left.
        low: bool,
    },
    /// A message for the client.
    Delivery,
    /// Its channel is gone.
    ChannelDeleted,
    /// A command was the last one.
    LastCommand,
    /// A command has to wait.
    MustWait(Why),
    /// A command belongs to another core.
    MustMove {
        /// That core.
        to: u16,
    },
    /// Nothing is owed, unsent, or under way.
    AllSent,
    /// No magic in time.
    NoMagic,
    /// A heartbeat is due.
    HeartbeatDue,
    /// No command in time.
    Silent,
    /// No byte taken in time, or for the longest of all while memory is short.
    TakesNothing,
    /// The move takes too long.
    MoveOverdue,
    /// The process stops.
    Stop,
    /// It has waited long enough.
    StopOverdue,
}

/// What is to be done. An act that enters a stage is given once, when the stage is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    None,
    /// Parse the bytes and carry out what they say.
    Run,
    /// Keep the bytes for later.
    Keep,
    /// Forget the bytes, or the message.
    Drop,
    /// Remember that the input has ended.
    Note,
    /// Count the bytes as taken.
    Free,
    /// As `Free`, and the hold is over.
    FreeAndRelease,
    /// Write what came.
    Write,
    /// As `Write`, and the hold is over.
    WriteAndRelease,
    /// Write a heartbeat.
    Heartbeat,
    /// Opened: the stage says it all.
    Opened,
    /// Run the command that waits, then the input.
    Resume,
    /// Wait: put it where its reason is looked at.
    Hold,
    /// Send what is unsent, then take the socket out.
    Move,
    /// Take the socket out.
    Detach,
    /// Hand it over to its core.
    HandOver,
    /// Answer what is owed, then close.
    End,
    /// As `End`, with the error for a command cut short, if there is one, before it.
    EndWithLastWords,
    /// Close: output and replies are forgotten.
    Close(How),
    /// Close harder than before.
    AbortNow,
    /// The slot is free.
    Gone,
    /// This cannot be.
    Impossible,
}

/// Moves the stage on and says what is to be done. See the table above; nothing else decides what may happen next.
pub fn step(stage: &mut Stage, event: Event) -> Act {
    use Stage::*;
    let (next, act) = match (event, *stage) {
        (Event::Bytes, Magic | Open) => (*stage, Act::Run),
        (Event::Bytes, Held(_) | Moving { .. }) => (*stage, Act::Keep),
        (Event::Bytes, Ending(_) | Closing(_)) => (*stage, Act::Drop),

        (Event::MagicRead, Magic) => (Open, Act::Opened),

        (Event::EndOfInput, Magic) => (Closing(Reason::EndOfInput), Act::Close(How::Flush)),
        (Event::EndOfInput, Open) => (Ending(Reason::EndOfInput), Act::EndWithLastWords),
        (Event::EndOfInput, Held(_)) => (*stage, Act::Note),
        (Event::EndOfInput, _) => (*stage, Act::None),

        (Event::Taken { low: true }, Held(Why::Output)) => (*stage, Act::FreeAndRelease),
        (Event::Taken { .. }, Open | Held(_) | Moving { .. } | Ending(_)) => (*stage, Act::Free),
        (Event::Taken { .. }, Closing(_)) => (*stage, Act::None),

        (Event::Failed, Closing(_)) => (*stage, Act::None),
        (Event::Failed, _) => (Closing(Reason::Failed), Act::Close(How::Abort)),

        (Event::Closed, Closing(_)) => (*stage, Act::Gone),
        (Event::Detached, Detaching { .. }) => (*stage, Act::HandOver),
        (Event::Detached, Closing(_)) => (*stage, Act::Gone),

        (Event::Released(over), Held(why)) if over == why => (Open, Act::Resume),
        (Event::Released(_), _) => (*stage, Act::None),

        (Event::Answered { low: true }, Held(Why::Window)) => (*stage, Act::WriteAndRelease),
        (Event::Answered { .. }, Open | Held(_) | Moving { .. } | Ending(_)) => (*stage, Act::Write),
        (Event::Answered { .. }, Closing(_)) => (*stage, Act::None),

        (Event::Delivery, Open | Held(_)) => (*stage, Act::Write),
        (Event::Delivery, Ending(_) | Closing(_)) => (*stage, Act::Drop),

        (Event::ChannelDeleted, Open | Held(_)) => (Closing(Reason::ChannelDeleted), Act::Close(How::Flush)),
        (Event::ChannelDeleted, Ending(_) | Closing(_)) => (*stage, Act::None),

        (Event::LastCommand, Magic | Open | Held(_) | Moving { .. }) => {
            (Ending(Reason::LastCommand), Act::End)
        }
        (Event::MustWait(why), Open) => (Held(why), Act::Hold),
        (Event::MustMove { to }, Open) => (Moving { to }, Act::Move),

        (Event::AllSent, Moving { to }) => (Detaching { to }, Act::Detach),
        (Event::AllSent, Ending(reason)) => (Closing(reason), Act::Close(How::Flush)),
        (Event::AllSent, _) => (*stage, Act::None),

        (Event::NoMagic, Magic) => (Closing(Reason::NoMagic), Act::Close(How::Flush)),
        (Event::NoMagic, _) => (*stage, Act::None),
        (Event::HeartbeatDue, Open | Held(_)) => (*stage, Act::Heartbeat),
        (Event::HeartbeatDue, _) => (*stage, Act::None),
        (Event::Silent, Open) => (Ending(Reason::Silent), Act::EndWithLastWords),
        (Event::Silent, _) => (*stage, Act::None),
        (Event::TakesNothing, Open | Held(_) | Moving { .. } | Ending(_)) => {
            (Closing(Reason::TakesNothing), Act::Close(How::Abort))
        }
        (Event::TakesNothing, _) => (*stage, Act::None),
        (Event::MoveOverdue, Moving { .. } | Detaching { .. }) => {
            (Closing(Reason::NotMoved), Act::Close(How::Abort))
        }
        (Event::MoveOverdue, _) => (*stage, Act::None),

        (Event::Stop, Magic) => (Closing(Reason::Stop), Act::Close(How::Flush)),
        (Event::Stop, Open | Held(_) | Moving { .. }) => (Ending(Reason::Stop), Act::End),
        (Event::Stop, Detaching { .. } | Ending(_) | Closing(_)) => (*stage, Act::None),
        (Event::StopOverdue, Closing(_)) => (*stage, Act::AbortNow),
        (Event::StopOverdue, _) => (Closing(Reason::Stop), Act::Close(How::Abort)),

        (Event::Bytes, Detaching { .. })
        | (Event::MagicRead, _)
        | (Event::Taken { .. }, Magic | Detaching { .. })
        | (Event::Closed | Event::Detached, _)
        | (Event::Answered { .. }, Magic | Detaching { .. })
        | (Event::Delivery | Event::ChannelDeleted, Magic | Moving { .. } | Detaching { .. })
        | (Event::LastCommand | Event::MustWait(_) | Event::MustMove { .. }, _) => (*stage, Act::Impossible),
    };
    *stage = next;
    act
}

#[cfg(test)]
mod tests;
