//! The queue as the simulation sees it: everything that goes in and out is shown to an observer first.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use nsq_queue::{
    Cause, ChannelId, Command, Config, ConsumerId, Input, Now, Output, PublishError, QueueRecord,
    RawMessageId, RestoredChannel, Shard, Token, TopicKey, Waiter,
};

/// Sees what each core's queue is told and what it wants, in the order in which it happens.
#[allow(unused_variables, reason = "an observer looks at what it likes")]
pub trait Observer {
    /// Something is about to happen.
    fn input(&mut self, core: u16, now: Now, input: &Input) {}

    /// A channel was made or found.
    fn channel_opened(
        &mut self,
        core: u16,
        topic: TopicKey,
        name: &str,
        restored: Option<&RestoredChannel>,
        found: Option<(ChannelId, u16)>,
    ) {
    }

    /// Numbers were given to `count` messages.
    fn published(&mut self, core: u16, topic: TopicKey, count: u32, result: Result<u64, PublishError>) {}

    /// A FIN, REQ or TOUCH was carried out, or not.
    #[allow(clippy::too_many_arguments, reason = "what there is to know of a command")]
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
    }

    /// RDY.
    fn credit(&mut self, core: u16, consumer: ConsumerId, credit: u32) {}

    /// Deadlines up to now are over.
    fn timeout(&mut self, core: u16, now: Now) {}

    /// Deliveries are dealt; `shard` is as it is now.
    fn turn_ended(&mut self, core: u16, now: Now, shard: &Shard) {}

    /// Something is to be done.
    fn output(&mut self, core: u16, now: Now, output: &Output) {}
}

thread_local! {
    static OBSERVER: RefCell<Option<Rc<RefCell<dyn Observer>>>> = const { RefCell::new(None) };
}

/// Sets or clears this thread's observer.
pub fn observe(observer: Option<Rc<RefCell<dyn Observer>>>) {
    OBSERVER.set(observer);
}

fn show(act: impl FnOnce(&mut dyn Observer)) {
    let observer = OBSERVER.with_borrow(Clone::clone);
    if let Some(observer) = observer {
        act(&mut *observer.borrow_mut());
    }
}

/// A shard of the queue that shows what goes in and out.
pub struct ObservedQueue {
    core: u16,
    now: Now,
    shard: Shard,
    /// What was dealt and is not asked for yet: it was shown when it was dealt.
    shown: VecDeque<Output>,
}

impl Deref for ObservedQueue {
    type Target = Shard;

    fn deref(&self) -> &Shard {
        &self.shard
    }
}

#[allow(missing_docs, reason = "as those of the shard")]
impl ObservedQueue {
    pub fn new(config: Config, now: Now) -> Self {
        Self { core: config.core, now, shard: Shard::new(config, now), shown: VecDeque::new() }
    }

    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        show(|observer| observer.input(self.core, now, &input));
        self.shard.handle(now, input);
    }

    pub fn channel_open(
        &mut self,
        now: Now,
        topic: TopicKey,
        name: Arc<str>,
        core: u16,
        restored: Option<RestoredChannel>,
        token: Option<Token>,
    ) -> Option<(ChannelId, u16)> {
        self.now = now;
        let found = self.shard.channel_open(now, topic, name.clone(), core, restored.clone(), token);
        show(|observer| observer.channel_opened(self.core, topic, &name, restored.as_ref(), found));
        found
    }

    pub fn publish(&mut self, topic: TopicKey, count: u32, waiter: Waiter) -> Result<u64, PublishError> {
        let result = self.shard.publish(topic, count, waiter);
        show(|observer| observer.published(self.core, topic, count, result));
        result
    }

    pub fn finish(&mut self, now: Now, consumer: ConsumerId, id: &RawMessageId) -> Result<(), Cause> {
        let result = self.shard.finish(now, consumer, id);
        show(|observer| observer.command(self.core, now, consumer, Command::Finish, id, 0, result));
        result
    }

    pub fn requeue(
        &mut self,
        now: Now,
        consumer: ConsumerId,
        id: &RawMessageId,
        delay_ns: u64,
    ) -> Result<(), Cause> {
        let result = self.shard.requeue(now, consumer, id, delay_ns);
        show(|observer| observer.command(self.core, now, consumer, Command::Requeue, id, delay_ns, result));
        result
    }

    pub fn touch(&mut self, now: Now, consumer: ConsumerId, id: &RawMessageId) -> Result<(), Cause> {
        let result = self.shard.touch(now, consumer, id);
        show(|observer| observer.command(self.core, now, consumer, Command::Touch, id, 0, result));
        result
    }

    pub fn credit(&mut self, consumer: ConsumerId, credit: u32) {
        show(|observer| observer.credit(self.core, consumer, credit));
        self.shard.credit(consumer, credit);
    }

    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        self.shard.handle_timeout(now);
        show(|observer| observer.timeout(self.core, now));
    }

    pub fn end_turn(&mut self, now: Now, bytes_max: u64) -> u64 {
        self.now = now;
        let dealt = self.shard.end_turn(now, bytes_max);
        while let Some(output) = self.shard.poll_output() {
            show(|observer| observer.output(self.core, now, &output));
            self.shown.push_back(output);
        }
        show(|observer| observer.turn_ended(self.core, now, &self.shard));
        dealt
    }

    pub fn take_records(&mut self) -> Vec<(TopicKey, QueueRecord)> {
        let (mut records, mut others) = (Vec::new(), VecDeque::new());
        for output in std::mem::take(&mut self.shown) {
            match output {
                Output::Record { topic, record } => records.push((topic, record)),
                other => others.push_back(other),
            }
        }
        self.shown = others;
        records.extend(self.shard.take_records());
        records
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.shown.pop_front() {
            return Some(output);
        }
        let output = self.shard.poll_output()?;
        show(|observer| observer.output(self.core, self.now, &output));
        Some(output)
    }
}
