//! What must hold of a core between two turns. For the simulation, which asks after every turn.

use std::collections::BTreeSet;

use crate::core::engine::Engine;
use crate::limits::{ANSWER_BYTES_MAX, DELIVERY_ROOM_BYTES};

/// What may stand in an output besides deliveries within their room and answers within their bound: the message that
/// used the room up, OKs of what was unanswered when the bound was reached, heartbeats.
const OUTPUT_SLACK_BYTES: u64 = 512 * 1024;

impl Engine {
    /// Walks what can be counted anew; says what does not agree.
    ///
    /// # Errors
    ///
    /// The name of the invariant, and what was seen.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let (mut receipt, mut untaken) = (0, 0);
        for (slot, connection) in self.connections.iter() {
            receipt += connection.charged.receipt;
            untaken += connection.charged.untaken as u64;
            let output_max = DELIVERY_ROOM_BYTES
                + ANSWER_BYTES_MAX as u64
                + OUTPUT_SLACK_BYTES
                + self.process.config.limits.message_size_max.unsigned_abs();
            let output = connection.output.untaken() as u64;
            if output > output_max {
                return Err(("bound1", format!("{slot:?} has {output} bytes that the kernel has not taken")));
            }
        }
        if (receipt, untaken) != (self.budget.receipt, self.budget.untaken) {
            let sums = format!("{receipt} in receipt, {untaken} untaken");
            let gauges = format!("{} and {}", self.budget.receipt, self.budget.untaken);
            return Err(("bound2", format!("connections have {sums}, and the core counts {gauges}")));
        }
        let channels = self.queue.channel_stats(None, None, true);
        let consumers =
            channels.iter().flat_map(|channel| &channel.consumers).map(|consumer| consumer.consumer.0);
        let connections: BTreeSet<u64> = self.connections.iter().map(|(slot, _)| slot.to_u64()).collect();
        match consumers.into_iter().find(|consumer| !connections.contains(consumer)) {
            Some(ghost) => Err(("life2", format!("consumer {ghost} has no connection"))),
            None => Ok(()),
        }
    }
}
