//! NSQ's HTTP API, and what we add to it in JSON.

pub mod answer;
mod attention;
mod channel;
mod config;
mod counter;
mod graphite;
mod history;
mod nodes;
mod render;
pub mod routes;
mod topics;
pub mod visit;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;

use crate::app::App;
use crate::metrics;
use routes::Endpoint;
use visit::Visit;

/// Answers a request that leads to an endpoint.
pub async fn execute(app: &Arc<App>, endpoint: Endpoint, visit: Visit) -> Response {
    let reply = match endpoint {
        Endpoint::Ping => nsq_http::reply::plain_text(axum::http::StatusCode::OK, "OK"),
        Endpoint::Metrics => nsq_http::reply::with_type(
            axum::http::StatusCode::OK,
            axum::http::HeaderValue::from_static(nsq_exposition::CONTENT_TYPE),
            metrics::render(app),
        ),
        Endpoint::ConfigGet => config::get(app, &visit),
        Endpoint::ConfigPut => config::put(app, &visit),
        Endpoint::Attention => attention::show(app, &visit),
        Endpoint::History => history::show(app, &visit),
        Endpoint::Render => return render::relay(app, &visit).await,
        Endpoint::Page(page) => return crate::ui::serve::answer(app, page, visit).await,
        live => {
            // Each may hold an answer of megabytes.
            let _permit = app.live_requests.acquire().await;
            match live {
                Endpoint::Topics => topics::list(app, &visit).await,
                Endpoint::TopicCreate => topics::create(app, &visit).await,
                Endpoint::Topic => topics::show(app, &visit).await,
                Endpoint::TopicAct => topics::act(app, &visit).await,
                Endpoint::TopicDelete => topics::delete(app, &visit).await,
                Endpoint::Channel => channel::show(app, &visit).await,
                Endpoint::ChannelAct => channel::act(app, &visit).await,
                Endpoint::ChannelDelete => channel::delete(app, &visit).await,
                Endpoint::Nodes => nodes::list(app).await,
                Endpoint::Node => nodes::show(app, &visit).await,
                Endpoint::NodeTombstone => nodes::tombstone(app, &visit).await,
                Endpoint::Counter => counter::show(app).await,
                _ => graphite::rate(app, &visit).await,
            }
        }
    };
    reply.map(Body::from)
}
