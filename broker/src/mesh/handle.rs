//! The way of HTTP handlers and of the nsqlookupd conversation to the cores, and how the answers come back.
//!
//! Handlers run as glommio tasks beside a core's loop and never touch its state. They leave a request in the
//! core's inbox and await the answer; the loop carries the request to the core that owns the topic, by the same
//! mesh that publishes use.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::mesh::placement::Placement;
use crate::mesh::request::{Request, Response, StatsFilter};
use crate::stats::snapshot::CoreStats;
use crate::transport::{LocalWaker, WorkOutside};

/// Where a request's answer goes.
#[derive(Debug, Clone)]
pub struct Pending(Rc<RefCell<PendingState>>);

#[derive(Debug, Default)]
struct PendingState {
    response: Option<Response>,
    waker: Option<Waker>,
}

impl Pending {
    /// Hands over the answer. The requester may be gone: then nobody looks at it.
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
pub struct QueuedRequest {
    /// The core that is to answer.
    pub core: u16,
    /// What is wanted.
    pub request: Request,
    /// Where the answer goes.
    pub pending: Pending,
}

impl Inbox {
    /// Whether nothing waits for the loop.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.discovered.is_empty()
    }
}

/// Requests that tasks of this executor have left for the core's loop. Never crosses a thread.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Requests, oldest first. Bounded by the number of HTTP connections: each has one request under way.
    pub requests: VecDeque<QueuedRequest>,
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

    /// PendingRequests one core.
    pub fn request(&self, core: u16, request: Request) -> Pending {
        let pending = Pending(Rc::default());
        self.inbox.borrow_mut().requests.push_back(QueuedRequest { core, request, pending: pending.clone() });
        self.waker.wake();
        pending
    }

    /// PendingRequests the home core of `topic`.
    pub fn request_topic(&self, topic: &str, request: Request) -> Pending {
        self.request(self.placement.core_of_topic(topic), request)
    }

    /// PendingRequests every core for its statistics.
    pub async fn stats(&self, filter: &StatsFilter) -> Vec<CoreStats> {
        let pending: Vec<Pending> = (0..self.placement.cores())
            .map(|core| self.request(core, Request::Stats(filter.clone())))
            .collect();
        let mut all = Vec::with_capacity(pending.len());
        for pending in pending {
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
        drop(self.request(0, Request::LookupdChanged));
    }
}
