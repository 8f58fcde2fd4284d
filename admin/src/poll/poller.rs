//! The poll: asks the nsqlookupds who is there and every nsqd for its figures, and hands a snapshot over.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::DATE;
use nsq_flags::{debug, warn};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::clock::{monotonic_ms, now_ms};
use super::figures;
use super::memory::{Memory, Moment};
use super::snapshot::{Name, Snapshot};
use crate::app::App;
use crate::limits::{FIRST_POLL_MS, LOOKUP_NODES_MS, LOOKUP_TOPICS_MS, POLL_PARALLEL_MAX, POLL_PAUSE_MS_MIN};
use crate::upstream::client::{Answer, Asker, Kind};
use crate::upstream::lookupd::Lookupd;
use crate::upstream::nsqd::{Info, Nsqd};
use crate::upstream::{Fault, gather};

/// How long a node may take if the options set no limit.
const ANSWER_MS_MAX: u64 = 30_000;

/// What is asked. Consumers are fetched when somebody looks; `include_mem` spares a stock nsqd a pause of all its work.
const STATS: &str = "/stats?format=json&include_clients=false&include_mem=false";

/// Polls for the life of the process. Nothing is asked at start; the first tick comes a second later.
pub async fn run(app: Arc<App>) -> Infallible {
    let interval = app.config.poll_interval;
    let mut poller = Poller::new(Arc::clone(&app));
    sleep(Duration::from_millis(FIRST_POLL_MS)).await;
    if interval.is_zero() {
        loop {
            app.poll_now.notified().await;
            poller.tick(true).await;
            sleep(Duration::from_millis(POLL_PAUSE_MS_MIN)).await;
        }
    }
    poller.tick(true).await;
    loop {
        let asked = tokio::select! {
            () = sleep(until_next_slot(interval)) => false,
            // Somebody changed something and wants to see it.
            () = app.poll_now.notified() => {
                sleep(Duration::from_millis(POLL_PAUSE_MS_MIN)).await;
                true
            }
        };
        poller.tick(asked).await;
    }
}

/// Ticks stand at multiples of the interval, so that the rings of several nsqadmins agree.
fn until_next_slot(interval: Duration) -> Duration {
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let left = interval_ms - now_ms().rem_euclid(interval_ms);
    Duration::from_millis(left.unsigned_abs())
}

struct Poller {
    app: Arc<App>,
    memory: Memory,
    tick: u64,
    /// On the monotonic clock; `None` is never.
    nodes_asked_ms: Option<u64>,
    topics_asked_ms: Option<u64>,
}

impl Poller {
    fn new(app: Arc<App>) -> Self {
        Self { app, memory: Memory::default(), tick: 0, nodes_asked_ms: None, topics_asked_ms: None }
    }

    /// One tick; `all` asks everybody, whether it is their time or not.
    async fn tick(&mut self, all: bool) {
        let started = Instant::now();
        let now = Moment { unix_ms: now_ms(), monotonic_ms: monotonic_ms() };
        let lookupds = self.app.lookupds();
        let is_direct = lookupds.is_empty();
        if is_direct {
            self.memory.set_nsqds(&self.app.config.nsqds);
        } else {
            self.ask_lookupds(&lookupds, all, now).await;
        }
        self.ask_nodes(is_direct, all, now).await;
        self.tick += 1;
        let mut snapshot = self.memory.snapshot(self.tick, now, self.interval_ms());
        let took = started.elapsed();
        snapshot.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.finish(snapshot, took);
    }

    fn interval_ms(&self) -> u64 {
        u64::try_from(self.app.config.poll_interval.as_millis()).unwrap_or(u64::MAX)
    }

    fn finish(&self, snapshot: Snapshot, took: Duration) {
        let (answering, all) = snapshot.coverage();
        let message =
            format!("poll: tick {}, {answering} of {all} nodes, {} ms", self.tick, took.as_millis());
        self.app.metrics.poll_seconds.observe(took);
        if !self.app.config.poll_interval.is_zero() && took > self.app.config.poll_interval {
            self.app.metrics.polls_late.add_one();
            warn!("{message}, which is longer than --poll-interval");
        } else {
            debug!("{message}");
        }
        self.app.tick(snapshot);
    }

    async fn ask_lookupds(&mut self, lookupds: &[String], all: bool, now: Moment) {
        let is_new = self.memory.lookupds.len() != lookupds.len()
            || self
                .memory
                .lookupds
                .iter()
                .zip(lookupds)
                .any(|(known, address)| known.state.address != *address);
        if is_new {
            self.memory.set_lookupds(lookupds);
        }
        let is_due = |last: Option<u64>, period: u64| {
            all || is_new || last.is_none_or(|last| now.monotonic_ms.saturating_sub(last) >= period)
        };
        // Those that failed are asked at every tick, until they answer.
        let failing = self.memory.lookupds.iter().any(|lookupd| lookupd.state.fault.is_some());
        let (nodes, topics) = (
            failing || is_due(self.nodes_asked_ms, LOOKUP_NODES_MS),
            is_due(self.topics_asked_ms, LOOKUP_TOPICS_MS),
        );
        if nodes {
            self.nodes_asked_ms = Some(now.monotonic_ms);
            self.ask_for_nodes(lookupds, now).await;
        }
        if topics {
            self.topics_asked_ms = Some(now.monotonic_ms);
            self.ask_for_topics(lookupds).await;
        }
    }

    async fn ask_for_nodes(&mut self, lookupds: &[String], now: Moment) {
        let client = self.app.client.clone();
        let answers = gather(lookupds.to_vec(), move |address| {
            let lookupd = Lookupd::new(client.clone(), Asker::Poll, address);
            async move {
                let started = Instant::now();
                let answer = limited(lookupd.nodes()).await.map_err(|fault| fault.short());
                (lookupd.address, answer, started.elapsed())
            }
        })
        .await;
        for (address, answer, took) in answers {
            self.memory.lookupd_answered(&address, answer, took, now);
        }
        self.memory.see_listed(now);
    }

    async fn ask_for_topics(&mut self, lookupds: &[String]) {
        let client = self.app.client.clone();
        let answers = gather(lookupds.to_vec(), move |address| {
            let lookupd = Lookupd::new(client.clone(), Asker::Poll, address);
            async move {
                let topics = limited(lookupd.topics()).await;
                let version = limited(lookupd.version()).await.ok();
                (lookupd.address, topics, version)
            }
        })
        .await;
        for (address, topics, version) in answers {
            if let Ok(topics) = topics {
                self.memory.lookupd_has_topics(&address, &topics, version);
            }
        }
    }

    /// Asks every node that is due, some at a time, and folds each answer in before the next is looked at.
    async fn ask_nodes(&mut self, is_direct: bool, all: bool, now: Moment) {
        let mut waiting = self.memory.due(now, all).into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < POLL_PARALLEL_MAX
                && let Some((name, address)) = waiting.next()
            {
                let introduce = !self.memory.nodes.get(&name).is_some_and(|node| node.is_introduced);
                let nsqd = Nsqd::new(self.app.client.clone(), Asker::Poll, address);
                running.spawn(ask(nsqd, name, introduce));
            }
            let Some(joined) = running.join_next().await else { return };
            let (name, info, answer, took) = match joined {
                Ok(answered) => answered,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            let read = answer.map_err(|fault| fault.short()).and_then(|answer| {
                let figures = figures::read(&answer.body, &mut self.memory.names)
                    .map_err(|text| format!("unreadable answer: {text}"))?;
                Ok((figures, skew_ms(&answer.headers)))
            });
            self.memory.node_answered(&name, read, took, now);
            if let Some(info) = info {
                self.memory.node_introduced(&name, info, is_direct);
            }
        }
    }
}

async fn ask(
    nsqd: Nsqd,
    name: Name,
    introduce: bool,
) -> (Name, Option<Info>, Result<Answer, Fault>, Duration) {
    let info = if introduce { limited(nsqd.info()).await.ok() } else { None };
    let started = Instant::now();
    let answer = limited(nsqd.raw(STATS)).await;
    (name, info, answer, started.elapsed())
}

/// The client's own limit can be switched off; the poll always has one.
async fn limited<T>(asking: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match timeout(Duration::from_millis(ANSWER_MS_MAX), asking).await {
        Ok(answer) => answer,
        Err(_) => Err(Fault::Transport {
            url: Kind::Nsqd.word().to_owned(),
            text: "no answer in time".to_owned(),
            timed_out: true,
        }),
    }
}

/// The other's clock minus ours, by the header that every answer has. It has whole seconds only.
fn skew_ms(headers: &HeaderMap) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let theirs = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let theirs_ms = i64::try_from(theirs.as_millis()).ok()?;
    // The fraction is unknown; half a second is its mean.
    let skew = theirs_ms + 500 - now_ms();
    Some(if skew.abs() <= 1_000 { 0 } else { skew })
}
