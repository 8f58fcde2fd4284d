//! What all requests and the poll share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::HeaderValue;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::action::audit::Audit;
use crate::action::notify::Notifier;
use crate::attention::facts::AdminFacts;
use crate::config::Config;
use crate::guard::headers::content_security_policy;
use crate::limits::{FIGURES_WAIT_MS_MAX, REQUESTS_MAX};
use crate::metrics::Metrics;
use crate::poll::{Snapshot, Watch};
use crate::ui::serve::Ui;
use crate::upstream::{Client, Cluster};

/// The daemon. One for the life of the process.
pub struct App {
    /// The options at start.
    pub config: Config,
    /// Towards nsqd and nsqlookupd.
    pub client: Client,
    /// Towards graphite: no credentials of the upstreams, no redirects.
    pub graphite_client: reqwest::Client,
    /// What is counted.
    pub metrics: Metrics,
    /// Tells the endpoint of `--notification-http-endpoint`.
    pub notifier: Notifier,
    /// The header of every page.
    pub page_policy: HeaderValue,
    /// Requests that ask upstreams; each may hold an answer of megabytes.
    pub live_requests: Semaphore,
    /// Rung when the poll should not wait for its next tick.
    pub poll_now: Notify,
    /// Rung at every tick.
    ticked: Notify,
    /// History, and what the rules say.
    pub watch: Watch,
    /// What the pages keep.
    pub ui: Ui,
    lookupds: ArcSwap<Vec<String>>,
    snapshot: ArcSwap<Snapshot>,
    audit: Mutex<Audit>,
}

impl App {
    /// The daemon with these options. Must be called within the runtime.
    ///
    /// # Errors
    ///
    /// Where the system's store of certificates cannot be used.
    pub fn new(config: Config, client: Client) -> Result<Self, String> {
        let graphite_client = crate::upstream::client::plain_client(config.timeouts)?;
        let graphite = config.graphite.as_ref().filter(|graphite| !graphite.is_proxied);
        let origin = graphite
            .and_then(|graphite| reqwest::Url::parse(&graphite.url).ok())
            .map(|url| url.origin().ascii_serialization());
        let interval_ms = u64::try_from(config.poll_interval.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            graphite_client: graphite_client.clone(),
            metrics: Metrics::default(),
            notifier: Notifier::start(config.notification.clone(), graphite_client),
            page_policy: content_security_policy(origin.as_deref()),
            live_requests: Semaphore::new(REQUESTS_MAX),
            poll_now: Notify::new(),
            ticked: Notify::new(),
            watch: Watch::new(config.history_bytes_max, config.attention.clone()),
            ui: Ui::new(&config),
            lookupds: ArcSwap::from_pointee(config.lookupds.clone()),
            snapshot: ArcSwap::from_pointee(Snapshot { interval_ms, ..Snapshot::default() }),
            audit: Mutex::new(Audit::default()),
            client,
            config,
        })
    }

    /// The nsqlookupds at this moment.
    pub fn lookupds(&self) -> Arc<Vec<String>> {
        self.lookupds.load_full()
    }

    /// Replaces the nsqlookupds, for later requests and the next poll.
    pub fn set_lookupds(&self, lookupds: Vec<String>) {
        self.lookupds.store(Arc::new(lookupds));
        self.poll_now.notify_one();
    }

    /// Everybody there is to ask at this moment.
    pub fn cluster(&self) -> Cluster {
        let lookupds = self.lookupds();
        Cluster::new(self.client.clone(), (*lookupds).clone(), self.config.nsqds.clone(), lookupds.is_empty())
    }

    /// The last tick of the poll.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Takes the next tick. Whatever is derived from snapshots (history, attention) is brought up to date here, before
    /// the pages see the snapshot.
    pub fn tick(&self, snapshot: Snapshot) {
        let admin = AdminFacts {
            poll_s: snapshot.took_ms as f32 / 1e3,
            hook_failures: self.notifier.take_failures(),
            ..AdminFacts::default()
        };
        self.watch.tick(&snapshot, admin);
        self.snapshot.store(Arc::new(snapshot));
        self.ticked.notify_waiters();
    }

    /// Waits for figures if there are none: before the first tick, and without a poll for a tick of its own. Not for
    /// long: a page that says what is missing is better than none.
    pub async fn wait_for_figures(&self) {
        let is_polled = !self.config.poll_interval.is_zero();
        if is_polled && self.snapshot().tick > 0 {
            return;
        }
        let mut ticked = std::pin::pin!(self.ticked.notified());
        ticked.as_mut().enable();
        if is_polled && self.snapshot().tick > 0 {
            return;
        }
        self.poll_now.notify_one();
        let _ = timeout(Duration::from_millis(FIGURES_WAIT_MS_MAX), ticked).await;
    }

    /// The actions of this run. Held for moments only.
    pub fn audit(&self) -> MutexGuard<'_, Audit> {
        // An entry is pushed whole or not at all, so a panic elsewhere leaves nothing half done.
        self.audit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
