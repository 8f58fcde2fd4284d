//! What HTTP handlers and the nsqlookupd conversation ask of the cores, and how the answers come back.
//!
//! Handlers run as glommio tasks beside a core's loop and never touch its state. They leave a request in the
//! core's inbox and await the answer; the loop carries the request to the core that owns the topic, by the same
//! mesh that publishes use.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use nsq_queue::{ChannelKey, ChannelStats, TopicStats};

use crate::mesh::placement::Placement;
use crate::stats::latency::Summary;
use crate::stats::snapshot::ConnectionStats;
use crate::transport::{LocalWaker, WorkOutside};

/// Something to be done by the core that owns a topic. Names were validated before.
#[derive(Debug)]
pub enum Request {
    /// Publish `bodies` to `topic`, creating it if it is missing; answered after the commit.
    Publish {
        /// Topic name.
        topic: String,
        /// Delay in milliseconds, 0 for none. Only with a single body.
        defer_ms: u32,
        /// Message bodies, none of them empty. An empty list only creates the topic.
        bodies: Vec<Bytes>,
    },
    /// Create `topic` if it is missing.
    CreateTopic {
        /// Topic name.
        topic: String,
    },
    /// Delete `topic`, its channels and their messages.
    DeleteTopic {
        /// Topic name.
        topic: String,
    },
    /// Drop what `topic` holds for future channels.
    EmptyTopic {
        /// Topic name.
        topic: String,
    },
    /// Pause or unpause `topic`.
    PauseTopic {
        /// Topic name.
        topic: String,
        /// True to pause.
        paused: bool,
    },
    /// Create `channel` of an existing `topic`.
    CreateChannel {
        /// Topic name.
        topic: String,
        /// Channel name.
        channel: String,
    },
    /// Delete `channel`, disconnecting its consumers.
    DeleteChannel {
        /// Topic name.
        topic: String,
        /// Channel name.
        channel: String,
    },
    /// Drop all messages of `channel`.
    EmptyChannel {
        /// Topic name.
        topic: String,
        /// Channel name.
        channel: String,
    },
    /// Pause or unpause `channel`.
    PauseChannel {
        /// Topic name.
        topic: String,
        /// Channel name.
        channel: String,
        /// True to pause.
        paused: bool,
    },
    /// Create what is missing of topic and channel, for a subscription.
    Ensure {
        /// Topic name.
        topic: String,
        /// Channel name.
        channel: String,
    },
    /// The addresses of nsqlookupd were changed. Only to core 0.
    LookupdChanged,
    /// What the core knows of its topics, channels and connections.
    Stats(StatsFilter),
}

/// Which part of the statistics is wanted.
#[derive(Clone, Debug, Default)]
pub struct StatsFilter {
    /// Only this topic.
    pub topic: Option<String>,
    /// Only this channel.
    pub channel: Option<String>,
    /// Whether clients and producers are wanted.
    pub include_clients: bool,
}

/// The answer to a [`Request`].
#[derive(Debug)]
pub enum Response {
    /// Done.
    Done,
    /// The topic does not exist.
    TopicNotFound,
    /// The channel does not exist.
    ChannelNotFound,
    /// The publish was not taken: topic going away, log full or failed.
    Refused,
    /// The channel of an `Ensure` exists, on this core.
    Ensured {
        /// The channel.
        channel: ChannelKey,
        /// Its home core.
        core: u16,
    },
    /// Statistics of one core.
    Stats(Box<CoreStats>),
}

/// One core's part of `/stats`.
#[derive(Debug, Default)]
pub struct CoreStats {
    /// Topics whose home is this core.
    pub topics: Vec<TopicStats>,
    /// Channels whose home is this core.
    pub channels: Vec<ChannelStats>,
    /// Connections on this core.
    pub connections: Vec<ConnectionStats>,
    /// Latencies of those channels that have any.
    pub latencies: HashMap<ChannelKey, Summary>,
}

/// Where a request's answer goes.
#[derive(Debug, Clone)]
pub struct Pending(Rc<RefCell<PendingState>>);

#[derive(Debug, Default)]
struct PendingState {
    response: Option<Response>,
    waker: Option<Waker>,
}

impl Pending {
    /// Hands over the answer. The asker may be gone: then nobody looks at it.
    pub fn complete(&self, response: Response) {
        let mut state = self.0.borrow_mut();
        state.response = Some(response);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

impl Future for Pending {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let mut state = self.0.borrow_mut();
        match state.response.take() {
            Some(response) => Poll::Ready(response),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A request on its way into the core's loop.
#[derive(Debug)]
pub struct Asked {
    /// The core that is to answer.
    pub core: u16,
    /// What is asked.
    pub request: Request,
    /// Where the answer goes.
    pub pending: Pending,
}

/// Requests that tasks of this executor have left for the core's loop. Never crosses a thread.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Requests, oldest first. Bounded by the number of HTTP connections: each has one request under way.
    pub asked: VecDeque<Asked>,
    /// Completions of blocking file work, oldest first.
    pub cold: VecDeque<crate::core::ColdDone>,
    /// Topics whose channels nsqlookupd was asked for, with the answer.
    pub discovered: VecDeque<(String, Vec<String>)>,
}

/// A task's way to the cores. Cheap to clone; stays on its executor.
#[derive(Clone)]
pub struct CoreHandle {
    inbox: Rc<RefCell<Inbox>>,
    waker: Rc<LocalWaker>,
    placement: Placement,
}

impl CoreHandle {
    /// A handle to the loop that reads `inbox` and is woken by `waker`.
    pub fn new(inbox: Rc<RefCell<Inbox>>, waker: Rc<LocalWaker>, placement: Placement) -> Self {
        Self { inbox, waker, placement }
    }

    /// Asks one core.
    pub fn ask(&self, core: u16, request: Request) -> Pending {
        let pending = Pending(Rc::default());
        self.inbox.borrow_mut().asked.push_back(Asked { core, request, pending: pending.clone() });
        self.waker.wake();
        pending
    }

    /// Asks the home core of `topic`.
    pub fn ask_topic(&self, topic: &str, request: Request) -> Pending {
        self.ask(self.placement.core_of_topic(topic), request)
    }

    /// Asks every core for its statistics.
    pub async fn stats(&self, filter: &StatsFilter) -> Vec<CoreStats> {
        let asked: Vec<Pending> =
            (0..self.placement.cores()).map(|core| self.ask(core, Request::Stats(filter.clone()))).collect();
        let mut all = Vec::with_capacity(asked.len());
        for pending in asked {
            if let Response::Stats(stats) = pending.await {
                all.push(*stats);
            }
        }
        all
    }

    /// Reports the channels that nsqlookupd knows of a new topic.
    pub fn discovered(&self, topic: String, channels: Vec<String>) {
        self.inbox.borrow_mut().discovered.push_back((topic, channels));
        self.waker.wake();
    }

    /// The loop has made tasks runnable: they get their turn before the core waits.
    pub fn let_tasks_run(&self) {
        self.waker.let_tasks_run();
    }

    /// While the guard lives, a task is doing something that the loop should hear of promptly.
    pub fn work_outside(&self) -> WorkOutside {
        self.waker.work_outside()
    }

    /// The addresses of nsqlookupd were changed.
    pub fn lookupd_changed(&self) {
        drop(self.ask(0, Request::LookupdChanged));
    }

    /// Hands over the result of blocking file work.
    pub fn cold_done(&self, done: crate::core::ColdDone) {
        self.inbox.borrow_mut().cold.push_back(done);
        self.waker.wake();
    }
}
