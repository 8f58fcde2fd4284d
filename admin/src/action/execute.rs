//! Carrying an action out: which upstreams are told, in which order.
//!
//! The order is NSQ's, and matters: producers are found before the nsqlookupds forget the topic, and a tombstone stands
//! before the topic is deleted on its node, or consumers would create it again.

use std::sync::Arc;
use std::time::Instant;

use nsq_flags::{info, warn};

use super::actor::Actor;
use super::audit::Entry;
use super::notify::Notification;
use super::verb::{Action, Verb};
use crate::app::App;
use crate::cluster::partial::UpstreamFailure;
use crate::poll::clock::now_ms;
use crate::upstream::{Cluster, Kind};

/// One request to one upstream, and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is.
    pub kind: Kind,
    /// `host:http_port`.
    pub target: String,
    /// What was asked, as `topic/pause`.
    pub path: String,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// How an action went.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// What did not work, a line each: of the search for producers, and of the steps.
    pub errors: Vec<String>,
    /// Set where the action stopped before its end: nobody could say where the topic is.
    pub failure: Option<UpstreamFailure>,
}

impl Outcome {
    /// `success`, `partial` or `failure`.
    pub fn word(&self) -> &'static str {
        crate::metrics::OUTCOMES[self.index()]
    }

    fn index(&self) -> usize {
        let failed = self.steps.iter().filter(|step| step.error.is_some()).count();
        if self.failure.is_some() || (failed > 0 && failed == self.steps.len()) {
            2
        } else {
            usize::from(!self.errors.is_empty())
        }
    }
}

/// Carries an action out, to its end even if whoever asked for it goes away, and remembers and tells it. Names must
/// have been checked, and the actor's rights too.
pub async fn execute(app: &Arc<App>, actor: &Actor, action: Action) -> Outcome {
    let (app, actor) = (Arc::clone(app), actor.clone());
    let running = tokio::spawn(async move {
        let started = Instant::now();
        let at_ms = now_ms();
        let outcome = run(&app.cluster(), &action).await;
        finish(&app, &actor, &action, &outcome, at_ms, started);
        outcome
    });
    match running.await {
        Ok(outcome) => outcome,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn finish(app: &App, actor: &Actor, action: &Action, outcome: &Outcome, at_ms: i64, started: Instant) {
    let entry = Entry::new(actor, action, outcome, at_ms, started.elapsed());
    info!("action: {entry}");
    for error in &outcome.errors {
        warn!("action: {} {}: {error}", action.word(), action.topic);
    }
    app.metrics.count_action(action.word(), outcome.index());
    app.audit().push(entry);
    for notification in Notification::of(app, actor, action, outcome, at_ms) {
        app.notifier.tell(&notification);
    }
    // What was done shows in the figures; nobody should wait a whole interval for it.
    app.poll_now.notify_one();
}

async fn run(cluster: &Cluster, action: &Action) -> Outcome {
    let mut outcome = Outcome::default();
    let result = match (action.verb, &action.node) {
        (Verb::Tombstone, Some(node)) => tombstone(cluster, action, node, &mut outcome).await,
        (_, Some(node)) => on_node(cluster, action, node, &mut outcome).await,
        (Verb::Create, None) => create(cluster, action, &mut outcome).await,
        (Verb::Delete, None) => delete(cluster, action, &mut outcome).await,
        (_, None) => on_producers(cluster, action, &mut outcome).await,
    };
    outcome.failure = result.err();
    outcome
}

async fn create(cluster: &Cluster, action: &Action, outcome: &mut Outcome) -> Result<(), UpstreamFailure> {
    let topic = Action::topic(Verb::Create, &action.topic);
    if cluster.is_direct {
        // NSQ says 200 and does nothing here. Without nsqlookupd only an nsqd can know a new topic.
        for node in &cluster.nsqds {
            post(cluster, Kind::Nsqd, node, &topic, outcome).await;
            if action.channel.is_some() {
                post(cluster, Kind::Nsqd, node, action, outcome).await;
            }
        }
        return Ok(());
    }
    on_lookupds(cluster, &topic, outcome).await;
    if action.channel.is_some() {
        on_lookupds(cluster, action, outcome).await;
        on_producers(cluster, action, outcome).await?;
    }
    Ok(())
}

async fn delete(cluster: &Cluster, action: &Action, outcome: &mut Outcome) -> Result<(), UpstreamFailure> {
    let producers = producers(cluster, action, outcome).await?;
    on_lookupds(cluster, action, outcome).await;
    for node in &producers {
        post(cluster, Kind::Nsqd, node, action, outcome).await;
    }
    Ok(())
}

async fn on_producers(
    cluster: &Cluster,
    action: &Action,
    outcome: &mut Outcome,
) -> Result<(), UpstreamFailure> {
    for node in &producers(cluster, action, outcome).await? {
        post(cluster, Kind::Nsqd, node, action, outcome).await;
    }
    Ok(())
}

async fn tombstone(
    cluster: &Cluster,
    action: &Action,
    node: &str,
    outcome: &mut Outcome,
) -> Result<(), UpstreamFailure> {
    must_be_known(cluster, node, outcome).await?;
    if !cluster.is_direct {
        for address in &cluster.lookupds {
            let arguments = [("topic", action.topic.as_str()), ("node", node)];
            let result = cluster.lookupd(address).post("topic/tombstone", &arguments).await;
            let error = result.err().map(|fault| fault.to_string());
            record(outcome, Kind::Lookupd, address, "topic/tombstone", error);
        }
    }
    // NSQ asks the node who it is before it deletes: one that is not there is a failure and not a warning.
    cluster
        .nsqd(node)
        .info()
        .await
        .map_err(|fault| UpstreamFailure { text: format!("failed to query any nsqd: {fault}") })?;
    let delete = Action::topic(Verb::Delete, &action.topic);
    post(cluster, Kind::Nsqd, node, &delete, outcome).await;
    Ok(())
}

async fn on_node(
    cluster: &Cluster,
    action: &Action,
    node: &str,
    outcome: &mut Outcome,
) -> Result<(), UpstreamFailure> {
    must_be_known(cluster, node, outcome).await?;
    post(cluster, Kind::Nsqd, node, action, outcome).await;
    Ok(())
}

/// A node comes from the request, so it must be one of ours: otherwise we could be made to ask any address in reach.
/// With every nsqlookupd down there is nobody to say so, and the tombstone's purpose is not to be missed: then what it
/// reaches must still answer like an nsqd.
async fn must_be_known(cluster: &Cluster, node: &str, outcome: &mut Outcome) -> Result<(), UpstreamFailure> {
    let unknown = || UpstreamFailure { text: format!("failed to query any nsqd: there is no node {node}") };
    match cluster.nodes().await {
        Ok(nodes) => {
            // A warning of this question is one of the same nsqlookupds that will be told below, and fail there.
            let is_known = nodes.value.iter().any(|known| known.address() == node);
            if !is_known && nodes.warnings.is_empty() {
                return Err(unknown());
            }
            if !is_known {
                outcome.errors.extend(nodes.warnings);
                return Err(unknown());
            }
            Ok(())
        }
        Err(failure) if cluster.is_direct => Err(failure),
        Err(_) if nsq_flags::address::split_host_port(node).is_ok() => Ok(()),
        Err(_) => Err(unknown()),
    }
}

async fn producers(
    cluster: &Cluster,
    action: &Action,
    outcome: &mut Outcome,
) -> Result<Vec<String>, UpstreamFailure> {
    let found = cluster.producers_of(&action.topic).await?.take(&mut outcome.errors);
    Ok(found.iter().map(crate::cluster::Producer::http_address).collect())
}

async fn on_lookupds(cluster: &Cluster, action: &Action, outcome: &mut Outcome) {
    if cluster.is_direct {
        return;
    }
    for address in &cluster.lookupds {
        post(cluster, Kind::Lookupd, address, action, outcome).await;
    }
}

async fn post(cluster: &Cluster, kind: Kind, address: &str, action: &Action, outcome: &mut Outcome) {
    let (path, arguments) = action.request();
    let result = match kind {
        Kind::Nsqd => cluster.nsqd(address).post(&path, &arguments).await,
        Kind::Lookupd => cluster.lookupd(address).post(&path, &arguments).await,
    };
    record(outcome, kind, address, &path, result.err().map(|fault| fault.to_string()));
}

fn record(outcome: &mut Outcome, kind: Kind, target: &str, path: &str, error: Option<String>) {
    outcome.errors.extend(error.clone());
    outcome.steps.push(Step { kind, target: target.to_owned(), path: path.to_owned(), error });
}
