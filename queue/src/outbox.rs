//! What leaves a shard: to the broker, or to the other side of the queue.

use crate::ids::{ConsumerId, RawMessageId, TopicKey};
use crate::output::{Cause, Command, Output};
use crate::peer::PeerMessage;
use crate::record::QueueRecord;
use std::collections::VecDeque;

/// Outputs in order. A message to the shard's own core does not leave it.
pub(crate) struct Outbox {
    core: u16,
    outputs: VecDeque<Output>,
    loopback: VecDeque<PeerMessage>,
}

impl Outbox {
    pub(crate) fn new(core: u16) -> Outbox {
        Outbox { core, outputs: VecDeque::new(), loopback: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Says what was wrong with a command that came as an input.
    pub(crate) fn failed(
        &mut self,
        consumer: ConsumerId,
        command: Command,
        id: &RawMessageId,
        result: Result<(), Cause>,
    ) {
        if let Err(cause) = result {
            self.push(Output::Failed { consumer, command, id: *id, cause });
        }
    }

    pub(crate) fn send(&mut self, core: u16, message: PeerMessage) {
        if core == self.core {
            self.loopback.push_back(message);
        } else {
            self.outputs.push_back(Output::Peer { core, message });
        }
    }

    /// Takes the records out, in order, and leaves everything else.
    pub(crate) fn take_records(&mut self) -> Vec<(TopicKey, QueueRecord)> {
        let mut records = Vec::new();
        let outputs = std::mem::take(&mut self.outputs);
        for output in outputs {
            match output {
                Output::Record { topic, record } => records.push((topic, record)),
                other => self.outputs.push_back(other),
            }
        }
        records
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn pop_loopback(&mut self) -> Option<PeerMessage> {
        self.loopback.pop_front()
    }

    pub(crate) fn core(&self) -> u16 {
        self.core
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.loopback.is_empty()
    }
}
