//! The workloads: each connects, drives one or two runs, checks the account and reports.

pub(crate) mod drain;
pub(crate) mod flow;
pub(crate) mod idle;
pub(crate) mod latency;
pub(crate) mod publish;

use std::time::Duration;

use crate::commands::Shape;
use crate::consumer::Consumer;
use crate::error::BenchError;
use crate::lane::Role;
use crate::link::{Identity, Link};
use crate::publisher::Publisher;
use crate::server::Server;

/// The channel consumed from; with several, a number follows.
const CHANNEL: &str = "bench";

/// What all workloads have in common.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) server: Server,
    pub(crate) threads: usize,
    pub(crate) body_bytes: usize,
    pub(crate) output_buffer_timeout_ms: u64,
    pub(crate) credit: u32,
    pub(crate) deadline: Duration,
}

/// The publishing side of a workload.
#[derive(Clone, Debug)]
pub(crate) struct Publishing {
    pub(crate) connections: usize,
    /// Commands without an answer, per connection.
    pub(crate) window: u64,
    /// Messages per MPUB; `None` for PUB.
    pub(crate) batch: Option<usize>,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) warmup: Duration,
    pub(crate) measured: Duration,
    pub(crate) messages_max: u64,
}

impl Common {
    fn identity(&self) -> Identity {
        Identity { output_buffer_timeout_ms: self.output_buffer_timeout_ms }
    }

    fn shape(&self, batch: Option<usize>) -> Shape {
        Shape { topic: self.server.topic.clone(), body_bytes: self.body_bytes, batch }
    }

    /// Publishers that may send `commands` in all, dealt out evenly; `u64::MAX` for as many as time allows.
    fn publishers(&self, publishing: &Publishing, commands: u64) -> Result<Vec<Role>, BenchError> {
        let shape = self.shape(publishing.batch);
        let count = publishing.connections as u64;
        (0..count)
            .map(|index| {
                let share = commands / count + u64::from(index < commands % count);
                let budget = if commands == u64::MAX { commands } else { share };
                let link = Link::open(self.server.tcp, self.identity(), &[])?;
                let publisher = Publisher::new(link, &shape, index as usize, publishing.window, budget);
                Ok(Role::Publisher(Box::new(publisher)))
            })
            .collect()
    }

    /// `per_channel` consumers on each of `channels` channels.
    fn consumers(&self, channels: usize, per_channel: usize) -> Result<Vec<Role>, BenchError> {
        let mut roles = Vec::new();
        for channel_index in 0..channels {
            for _ in 0..per_channel {
                let subscribe = format!("SUB {} {}", self.server.topic, channel_name(channel_index));
                let link = Link::open(self.server.tcp, self.identity(), &[subscribe])?;
                let consumer = Consumer::new(link, channel_index, self.body_bytes, self.credit);
                roles.push(Role::Consumer(Box::new(consumer)));
            }
        }
        Ok(roles)
    }
}

fn channel_name(index: usize) -> String {
    if index == 0 { CHANNEL.into() } else { format!("{CHANNEL}{index}") }
}
