//! `/api/nodes` and `/api/nodes/:node`.

use std::sync::Arc;

use nsq_http::{ApiError, Reply};
use serde::{Deserialize, Serialize};

use super::answer::{FORBIDDEN, upstream_failure, with_message};
use super::topics::{carry_out, parse};
use super::visit::Visit;
use crate::action::{Action, Verb};
use crate::app::App;
use crate::cluster::TopicStats;

pub(super) async fn list(app: &App) -> Reply {
    #[derive(Serialize)]
    struct Nodes {
        nodes: Vec<crate::cluster::Node>,
    }
    match app.cluster().nodes().await {
        Ok(nodes) => with_message(&Nodes { nodes: nodes.value }, &nodes.warnings),
        Err(failure) => upstream_failure(&failure),
    }
}

pub(super) async fn show(app: &App, visit: &Visit) -> Reply {
    #[derive(Serialize)]
    struct Node<'a> {
        node: &'a str,
        topics: Vec<TopicStats>,
        total_messages: i64,
        total_clients: i64,
    }
    let address = visit.params.get("node");
    match app.cluster().node(address).await {
        Ok(found) => match found.value {
            Some(view) => {
                let node = Node {
                    node: address,
                    topics: view.topics,
                    total_messages: view.total_messages,
                    total_clients: view.total_clients,
                };
                with_message(&node, &found.warnings)
            }
            None => ApiError::not_found("NODE_NOT_FOUND").into(),
        },
        Err(failure) => upstream_failure(&failure),
    }
}

/// A tombstone. The topic stands in the body, although the method is DELETE.
pub(super) async fn tombstone(app: &Arc<App>, visit: &Visit) -> Reply {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Tombstone {
        topic: String,
    }
    if !visit.is_admin {
        return FORBIDDEN.into();
    }
    let Ok(body) = parse::<Tombstone>(&visit.body) else {
        return ApiError::bad_request("INVALID_BODY").into();
    };
    let action = Action::topic(Verb::Tombstone, body.topic).on_node(visit.params.get("node"));
    carry_out(app, visit, action).await
}
