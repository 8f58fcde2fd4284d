//! What the world knows by itself: what clients sent and got, what the queue was told and wanted, what the logs wrote.
//!
//! Each book is kept by code that shares nothing with what it audits, and fails a check by name at the moment at which
//! something is wrong. To add a check: find the book whose callback sees the event, keep there what the check needs,
//! and say [`crate::fail!`] with the check's name from the table of invariants. Checks over the whole, at a restart or
//! in the end, are functions in `audit/`, called by `world.rs`.

pub mod log;
pub mod queue;
pub mod wire;

use std::cell::RefCell;
use std::rc::Rc;

use nsq_queue::{
    Cause, ChannelId, Command, ConsumerId, Input, Now, Output, PublishError, RawMessageId, RestoredChannel,
    Shard, TopicKey,
};
use nsqd::core::observe::Observer;

use self::log::LogBook;
use self::queue::QueueBook;
use self::wire::WireBook;
use crate::clock::Clock;
use crate::mix::Mix;
use crate::transport::SendAudit;

/// What may have made a refusal right in this life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Excuses {
    /// A log was full or failed, or the disk was out of something.
    pub disk: bool,
    /// The process was told to stop.
    pub stopping: bool,
    /// A topic was deleted.
    pub deleted: bool,
}

/// All books.
pub struct Book {
    /// The seed's features.
    pub mix: Mix,
    /// The clock.
    pub clock: Rc<Clock>,
    /// What the logs wrote.
    pub log: LogBook,
    /// What clients sent and got.
    pub wire: WireBook,
    /// What the queue was told and wanted.
    pub queue: QueueBook,
    /// Number of the life, from 1.
    pub life: u32,
    /// Why something may be refused.
    pub excuses: Excuses,
}

impl Book {
    /// Empty books.
    pub fn new(mix: Mix, clock: Rc<Clock>) -> Rc<RefCell<Book>> {
        Rc::new(RefCell::new(Book {
            mix,
            clock,
            log: LogBook::default(),
            wire: WireBook::default(),
            queue: QueueBook::default(),
            life: 0,
            excuses: Excuses::default(),
        }))
    }
}

impl SendAudit for Book {
    fn on_attach(&mut self, core: u16, slot: u64, pipe: u64) {
        self.wire.slots.insert((core, slot), pipe);
    }

    fn on_send(&mut self, _core: u16, pipe: u64, bytes: &[u8]) {
        let Book { mix, clock, log, wire, life, excuses, .. } = self;
        wire.on_send(pipe, bytes, clock.ns(), *life, mix, log, *excuses);
    }
}

impl Observer for Book {
    fn input(&mut self, core: u16, now: Now, input: &Input) {
        if matches!(input, Input::Admin { action: nsq_queue::Admin::DeleteTopic, .. }) {
            self.excuses.deleted = true;
        }
        self.queue.on_input(core, now, input);
    }

    fn channel_opened(
        &mut self,
        core: u16,
        topic: TopicKey,
        name: &str,
        restored: Option<&RestoredChannel>,
        found: Option<(ChannelId, u16)>,
    ) {
        if let Some((channel, home)) = found {
            self.queue.on_channel(core, topic, channel, home, name, restored.is_some(), self.clock.ns());
        }
    }

    fn published(&mut self, _core: u16, _topic: TopicKey, _count: u32, _result: Result<u64, PublishError>) {}

    fn command(
        &mut self,
        core: u16,
        now: Now,
        consumer: ConsumerId,
        command: Command,
        id: &RawMessageId,
        delay_ns: u64,
        result: Result<(), Cause>,
    ) {
        self.queue.on_command(core, now, consumer, command, id, delay_ns, result);
    }

    fn credit(&mut self, core: u16, consumer: ConsumerId, credit: u32) {
        self.queue.on_credit(core, consumer, credit);
    }

    fn timeout(&mut self, core: u16, now: Now) {
        self.queue.on_timeout(core, now);
    }

    fn turn_ended(&mut self, _core: u16, _now: Now, _shard: &Shard) {}

    fn output(&mut self, core: u16, now: Now, output: &Output) {
        if matches!(output, Output::Unregistered { channel: None, .. }) {
            self.excuses.deleted = true;
        }
        let Book { queue, wire, log, life, .. } = self;
        queue.on_output(core, now, output, wire, log, *life);
    }
}
