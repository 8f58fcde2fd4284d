//! `/api/history`: the memory of this process, for whoever wants to draw it elsewhere.
//!
//! `?topic=&channel=&node=` name what it is about, nothing the whole cluster; `range` is `10m` (a value per tick) or `1h`.

use std::collections::BTreeMap;

use nsq_http::{ApiError, Query, Reply};
use serde::Serialize;

use super::answer::value;
use super::visit::Visit;
use crate::app::App;
use crate::history::{Key, Metric, POINTS, Range};

const METRICS: [(&str, Metric); 8] = [
    ("depth", Metric::Depth),
    ("in", Metric::In),
    ("out", Metric::Out),
    ("redo", Metric::Redo),
    ("in_flight", Metric::InFlight),
    ("deferred", Metric::Deferred),
    ("consumers", Metric::Consumers),
    ("producers", Metric::Producers),
];

#[derive(Serialize)]
struct Answer {
    /// Unix milliseconds of the last value.
    end_ms: i64,
    /// Milliseconds between two values.
    step_ms: u64,
    /// The oldest first; null is a gap. Rates are per second.
    series: BTreeMap<&'static str, Vec<Option<f32>>>,
}

pub(super) fn show(app: &App, visit: &Visit) -> Reply {
    let Ok(query) = Query::parse(visit.query().as_bytes()) else {
        return ApiError::bad_request("INVALID_REQUEST").into();
    };
    let range = match &*query.text("range") {
        "" | "10m" => Range::Short,
        "1h" => Range::Long,
        _ => return ApiError::bad_request("INVALID_ARG_RANGE").into(),
    };
    let (topic, channel, node) = (query.text("topic"), query.text("channel"), query.text("node"));
    let (snapshot, history) = (app.snapshot(), app.watch.history());
    let key = match (&*node, &*topic, &*channel) {
        ("", "", "") => Some(Key::Cluster),
        (_, "", "") => history.node_key(&node),
        ("", _, "") => history.topic_key(&topic),
        ("", _, _) => history.channel_key(&topic, &channel),
        (_, _, "") => history.node_topic_key(&node, &topic),
        (..) => history.node_channel_key(&node, &topic, &channel),
    };
    let Some(key) = key else { return ApiError::not_found("NOT_FOUND").into() };
    let values = |metric| {
        let values = history.values(key, metric, range, POINTS);
        values.into_iter().map(|value| Some(value).filter(|value| value.is_finite())).collect::<Vec<_>>()
    };
    value(&Answer {
        end_ms: snapshot.at_ms,
        step_ms: snapshot.interval_ms.saturating_mul(range.ticks()),
        series: METRICS
            .into_iter()
            .map(|(name, metric)| (name, values(metric)))
            .filter(|(_, values)| !values.is_empty())
            .collect(),
    })
}
