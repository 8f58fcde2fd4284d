//! `/api/graphite`: a rate that graphite knows.

use nsq_http::{ApiError, Query, Reply};
use serde::{Deserialize, Serialize};

use super::answer::value;
use super::visit::Visit;
use crate::app::App;
use crate::limits::GRAPHITE_BYTES_MAX;
use crate::url::argument;

pub(super) async fn rate(app: &App, visit: &Visit) -> Reply {
    #[derive(Serialize)]
    struct Rate {
        rate: String,
    }
    let Ok(query) = Query::parse(visit.query().as_bytes()) else {
        return ApiError::bad_request("INVALID_REQUEST").into();
    };
    if query.get("metric") != Some(b"rate") {
        return ApiError::bad_request("INVALID_ARG_METRIC").into();
    }
    if query.get("target").is_none() {
        return ApiError::bad_request("INVALID_ARG_TARGET").into();
    }
    match ask(app, &query.text("target")).await {
        Ok(rate) => value(&Rate { rate }),
        Err(text) => {
            nsq_flags::error!("failed to get graphite's rate - {text}");
            ApiError::INTERNAL.into()
        }
    }
}

#[derive(Deserialize)]
struct Series {
    datapoints: Vec<(Option<f64>, f64)>,
}

/// The target is one argument of the question, whatever is in it; host and path are the operator's.
async fn ask(app: &App, target: &str) -> Result<String, String> {
    let graphite = app.config.graphite.as_ref().ok_or("there is no --graphite-url")?;
    let interval_s = app.config.statsd.interval.as_secs();
    let url = format!(
        "{}/render?format=json&from=-{}sec&until=-{interval_s}sec&target={}",
        graphite.url.trim_end_matches('/'),
        2 * interval_s,
        argument(target)
    );
    let response = app
        .graphite_client
        .get(&url)
        .send()
        .await
        .map_err(|error| crate::upstream::client::causes(&error))?;
    let status = response.status();
    if status != reqwest::StatusCode::OK {
        return Err(format!("answered {status}"));
    }
    let body = super::render::read(response, GRAPHITE_BYTES_MAX).await?;
    let series: Vec<Series> = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    let first = series.first().and_then(|series| series.datapoints.first());
    let value = first.and_then(|(value, _)| *value).ok_or("no data point")?;
    Ok(if value < 0.0 { "N/A".to_owned() } else { format!("{:.2}", value / interval_s.max(1) as f64) })
}
