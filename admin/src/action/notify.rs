//! Telling every action to an endpoint of the operator.
//!
//! An action does not wait for it, and nothing is repeated: the endpoint sees attempts, at most once each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nsq_exposition::Counter;
use nsq_flags::warn;
use reqwest::Url;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::actor::Actor;
use super::execute::Outcome;
use super::verb::{Action, Verb};
use crate::app::App;
use crate::limits::{NOTIFICATIONS_MAX, NOTIFICATIONS_PARALLEL_MAX};
use crate::upstream::client::causes;

/// What is told, field by field in NSQ's order; ours only with `--notification-details`.
#[derive(Debug, Serialize)]
pub struct Notification {
    action: &'static str,
    topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    remote_ip: String,
    user_agent: String,
    url: String,
    via: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acl_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
}

impl Notification {
    /// What NSQ tells of an action: attempts of pausing and emptying, of the rest only what did not fail wholly. A
    /// new channel is told together with its topic.
    pub(super) fn of(app: &App, actor: &Actor, action: &Action, outcome: &Outcome, at_ms: i64) -> Vec<Self> {
        let is_attempt = matches!(action.verb, Verb::Pause | Verb::Unpause | Verb::Empty);
        if outcome.failure.is_some() && !is_attempt {
            return Vec::new();
        }
        let mut actions = Vec::new();
        if action.verb == Verb::Create && action.channel.is_some() {
            actions.push(Action::topic(Verb::Create, &action.topic));
        }
        actions.push(action.clone());
        actions.into_iter().map(|action| Self::new(app, actor, action, outcome, at_ms)).collect()
    }

    fn new(app: &App, actor: &Actor, action: Action, outcome: &Outcome, at_ms: i64) -> Self {
        let details = app.config.notification_details;
        let cluster = Some(app.config.cluster_name.clone()).filter(|name| !name.is_empty());
        Self {
            action: action.word(),
            topic: action.topic,
            channel: action.channel,
            node: action.node,
            timestamp: at_ms / 1_000,
            user: actor.basic_user.clone().filter(|user| !user.is_empty()),
            remote_ip: actor.remote.to_string(),
            user_agent: actor.user_agent.clone(),
            url: actor.url.clone(),
            via: app.config.hostname.clone(),
            outcome: details.then(|| outcome.word()),
            acl_user: actor.user.clone().filter(|_| details),
            cluster: cluster.filter(|_| details),
        }
    }
}

/// How telling can end.
const OUTCOMES: [&str; 3] = ["sent", "failed", "dropped"];

/// Tells notifications, if there is an endpoint.
#[derive(Debug)]
pub struct Notifier {
    queue: Option<mpsc::Sender<Vec<u8>>>,
    counts: Arc<[Counter; OUTCOMES.len()]>,
    /// Failures that somebody has been told of.
    failures_told: AtomicU64,
}

impl Notifier {
    /// Starts telling. Must be called within the runtime.
    pub fn start(endpoint: Option<Url>, client: reqwest::Client) -> Self {
        let counts: Arc<[Counter; OUTCOMES.len()]> = Arc::default();
        let queue = endpoint.map(|endpoint| {
            let (sender, receiver) = mpsc::channel(NOTIFICATIONS_MAX);
            tokio::spawn(send_all(receiver, client, endpoint, Arc::clone(&counts)));
            sender
        });
        Self { queue, counts, failures_told: AtomicU64::new(0) }
    }

    /// Puts a notification into the queue; if that is full it is lost, and the log says so.
    pub fn tell(&self, notification: &Notification) {
        let Some(queue) = &self.queue else { return };
        if queue.try_send(nsq_http::json::to_json(notification)).is_err() {
            self.counts[2].add_one();
            warn!(
                "notification of {} {} dropped: {NOTIFICATIONS_MAX} others wait for the endpoint",
                notification.action, notification.topic
            );
        }
    }

    /// Failures since the last call, lost ones among them.
    pub fn take_failures(&self) -> u64 {
        let now = self.counts[1].get() + self.counts[2].get();
        now.saturating_sub(self.failures_told.swap(now, Ordering::Relaxed))
    }

    /// How many ended in each way.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        OUTCOMES.iter().copied().zip(self.counts.iter().map(Counter::get))
    }
}

async fn send_all(
    mut queue: mpsc::Receiver<Vec<u8>>,
    client: reqwest::Client,
    endpoint: Url,
    counts: Arc<[Counter; OUTCOMES.len()]>,
) {
    let mut running = JoinSet::new();
    while let Some(body) = queue.recv().await {
        if running.len() == NOTIFICATIONS_PARALLEL_MAX {
            running.join_next().await;
        }
        let request = client.post(endpoint.clone()).header("Content-Type", "application/json").body(body);
        let counts = Arc::clone(&counts);
        running.spawn(async move {
            // Whatever the endpoint answers is its own affair, as with NSQ.
            match request.send().await {
                Ok(_) => counts[0].add_one(),
                Err(error) => {
                    counts[1].add_one();
                    warn!("failed to POST notification - {}", causes(&error));
                }
            }
        });
        while running.try_join_next().is_some() {}
    }
}
