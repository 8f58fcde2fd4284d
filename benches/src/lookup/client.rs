//! Where consumers ask: `GET /lookup` over keep-alive connections, one request at a time on each.
//!
//! A request has the time at which it was due. When no connection is free it waits here, and its latency counts from
//! when it was due all the same. Beside it stands the answer time, from the moment the generator came round to it: the
//! difference is what the generator itself was late, on a busy machine the larger part of the tail.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

use super::journal::Journal;
use super::plan::Plan;
use super::response::{self, Response};
use crate::clock;
use crate::error::BenchError;
use crate::latency::Latencies;
use crate::link::Link;

/// Requests waiting for a connection at which the run is given up: the server is slower than the rate.
const WAITING_MAX: usize = 100_000;

/// A request on its way.
#[derive(Clone, Copy, Debug)]
struct Inquiry {
    topic: usize,
    due_ns: u64,
    /// When the generator came round to it.
    asked_ns: u64,
    sent_ns: u64,
}

/// One HTTP connection.
#[derive(Debug)]
struct Caller {
    link: Link,
    inquiry: Option<Inquiry>,
}

/// All HTTP connections, and the requests that wait for one.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    plan: &'a Plan,
    /// For the Host header.
    address: SocketAddr,
    callers: Vec<Caller>,
    free: Vec<usize>,
    waiting: VecDeque<Inquiry>,
    /// Requests due in this span count, in ns.
    recorded_ns: Range<u64>,
    latency: Latencies,
    answer: Latencies,
    lateness: Latencies,
    verified: u64,
    answer_bytes: u64,
}

impl<'a> Client<'a> {
    /// Opens `connections` to `address`.
    ///
    /// # Errors
    /// No connection.
    pub(crate) fn open(plan: &'a Plan, address: SocketAddr, connections: usize) -> Result<Self, BenchError> {
        let callers: Result<Vec<Caller>, BenchError> =
            (0..connections).map(|_| Ok(Caller { link: Link::connect(address)?, inquiry: None })).collect();
        Ok(Self {
            plan,
            address,
            callers: callers?,
            free: (0..connections).collect(),
            waiting: VecDeque::new(),
            recorded_ns: 0..0,
            latency: Latencies::new(),
            answer: Latencies::new(),
            lateness: Latencies::new(),
            verified: 0,
            answer_bytes: 0,
        })
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = &Link> {
        self.callers.iter().map(|caller| &caller.link)
    }

    /// From now on latencies of requests due in this span count.
    pub(crate) fn record(&mut self, span_ns: Range<u64>) {
        self.recorded_ns = span_ns;
    }

    /// From the moment a request was due to its last byte.
    pub(crate) fn latency(&self) -> &Latencies {
        &self.latency
    }

    /// The same without the generator's own delay; waiting for a connection is still in it.
    pub(crate) fn answer(&self) -> &Latencies {
        &self.answer
    }

    /// The generator's own delay.
    pub(crate) fn lateness(&self) -> &Latencies {
        &self.lateness
    }

    /// Answers that were right; a wrong one ends the run.
    pub(crate) fn verified(&self) -> u64 {
        self.verified
    }

    /// Bytes of an answer, head included.
    pub(crate) fn answer_bytes_mean(&self) -> u64 {
        self.answer_bytes / self.verified.max(1)
    }

    /// Requests without an answer.
    pub(crate) fn outstanding(&self) -> usize {
        self.callers.len() - self.free.len()
    }

    /// Requests without a connection.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a request about `topic`; [`Self::dispatch`] sends it.
    ///
    /// # Errors
    /// Too many are waiting.
    pub(crate) fn ask(&mut self, topic: usize, due_ns: u64) -> Result<(), BenchError> {
        let asked_ns = clock::now_ns();
        if self.waiting.len() == WAITING_MAX {
            return Err(BenchError::Deadline("the server fell behind the rate of lookups".into()));
        }
        if self.recorded_ns.contains(&due_ns) {
            self.lateness.record(asked_ns.saturating_sub(due_ns), 1);
        }
        self.waiting.push_back(Inquiry { topic, due_ns, asked_ns, sent_ns: asked_ns });
        Ok(())
    }

    /// Sends as many of the waiting requests as there are free connections.
    ///
    /// # Errors
    /// A broken connection.
    pub(crate) fn dispatch(&mut self) -> Result<(), BenchError> {
        while let Some(&index) = self.free.last() {
            let Some(inquiry) = self.waiting.pop_front() else { break };
            self.free.pop();
            self.send(index, inquiry)?;
        }
        Ok(())
    }

    fn send(&mut self, index: usize, inquiry: Inquiry) -> Result<(), BenchError> {
        let request = format!(
            "GET /lookup?topic={} HTTP/1.1\r\nHost: {}\r\nUser-Agent: nsq-bench\r\nAccept: application/vnd.nsq; version=1.0\r\n\r\n",
            self.plan.topic_name(inquiry.topic),
            self.address,
        );
        let sent_ns = clock::now_ns();
        let caller = &mut self.callers[index];
        let written = caller.link.write(request.as_bytes()).map_err(BenchError::io("send a lookup"))?;
        if written < request.len() {
            return Err(BenchError::Protocol("the server does not read its request".into()));
        }
        caller.inquiry = Some(Inquiry { sent_ns, ..inquiry });
        Ok(())
    }

    /// Reads once on connection `index`, and checks the answer if it is complete. True when it was.
    ///
    /// # Errors
    /// A broken connection, or any answer but the right one.
    pub(crate) fn on_readable(
        &mut self,
        index: usize,
        scratch: &mut [u8],
        journal: &mut Journal<'_>,
    ) -> Result<bool, BenchError> {
        let caller = &mut self.callers[index];
        let Some(input) = caller.link.read(scratch).map_err(BenchError::io("read a lookup's answer"))? else {
            return Ok(false);
        };
        let now_ns = clock::now_ns();
        let Some(response) = response::parse(input)? else {
            caller.link.keep(input);
            return Ok(false);
        };
        let inquiry = caller.inquiry.take();
        let inquiry = inquiry.ok_or_else(|| BenchError::Protocol("an answer without a request".into()))?;
        if self.recorded_ns.contains(&inquiry.due_ns) {
            self.latency.record(now_ns.saturating_sub(inquiry.due_ns), 1);
            self.answer.record(now_ns.saturating_sub(inquiry.asked_ns), 1);
        }
        check_head(&response, input.len())?;
        journal.check(inquiry.topic, inquiry.sent_ns, &response.body)?;
        self.verified += 1;
        self.answer_bytes += response.bytes as u64;
        self.free.push(index);
        Ok(true)
    }
}

fn check_head(response: &Response<'_>, received_bytes: usize) -> Result<(), BenchError> {
    let text = match response {
        _ if response.bytes < received_bytes => "more than one answer to one request".into(),
        Response { status: 200, keeps_alive: true, is_nsq: true, .. } => return Ok(()),
        Response { status: 200, keeps_alive: false, .. } => "the connection is not kept".into(),
        Response { status: 200, .. } => "no X-NSQ-Content-Type".into(),
        Response { status, body, .. } => format!("status {status}: {}", String::from_utf8_lossy(body)),
    };
    Err(BenchError::Answer(format!("lookup: {text}")))
}
