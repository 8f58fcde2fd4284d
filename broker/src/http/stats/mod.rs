//! `/stats`: snapshots of all cores, put together and shown as JSON or as text.

mod text;
mod view;

use std::borrow::Cow;

use nsq_protocol::limits::NSQ_VERSION;

use super::request::Request;
use super::{HttpContext, info};
use crate::config::PROGRAM;
use crate::mesh::request::StatsFilter;
use crate::transport::clock;
use nsq_http::Query;
use nsq_http::json::to_json;
use nsq_http::reply::{self, ApiError, Reply};
use view::{Memory, StatsView};

/// What the arguments ask for.
struct Wanted {
    json: bool,
    memory: bool,
    filter: StatsFilter,
}

impl Wanted {
    fn new(query: &Query<'_>) -> Self {
        Self {
            json: query.get("format") == Some(b"json"),
            memory: flag(query, "include_mem"),
            filter: StatsFilter {
                topic: name(query, "topic"),
                channel: name(query, "channel"),
                include_clients: flag(query, "include_clients"),
            },
        }
    }
}

/// True unless it is denied in one of the two words for it.
fn flag(query: &Query<'_>, key: &str) -> bool {
    !matches!(query.get(key), Some(b"false" | b"0"))
}

/// An empty name filters nothing.
fn name(query: &Query<'_>, key: &str) -> Option<String> {
    Some(query.text(key)).filter(|name| !name.is_empty()).map(Cow::into_owned)
}

pub(super) async fn stats(request: &Request<'_>) -> Result<Reply, ApiError> {
    let wanted = Wanted::new(&request.query()?);
    let context = request.context;
    // Never closed; if it were, nothing would have to be counted either.
    let _turn = context.stats_turns.acquire_permit(1).await;
    let cores = context.core.stats(&wanted.filter).await;
    let mut view = StatsView::new(&cores, &wanted.filter, &context.process.config.latency_quantiles);
    view.version = NSQ_VERSION;
    view.health = info::health(context);
    view.start_time = context.process.started_at;
    view.memory = wanted.memory.then(Memory::of_this_process);
    Ok(if wanted.json {
        reply::json(to_json(&view))
    } else {
        reply::text(text::render(&view, &head(context)))
    })
}

fn head(context: &HttpContext) -> text::Head {
    text::Head {
        version_line: PROGRAM.version_line,
        started_at: context.process.started_at,
        now_ns: clock::now().wall_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Wanted {
        Wanted::new(&Query::parse(query.as_bytes()).unwrap())
    }

    #[test]
    fn only_the_exact_word_gives_json() {
        assert!(wanted("format=json").json);
        for query in
            ["", "format=", "format=JSON", "format=json%20", "format=text&format=json", "Format=json"]
        {
            assert!(!wanted(query).json, "{query}");
        }
    }

    #[test]
    fn only_false_and_0_leave_something_out() {
        for (value, included) in [("false", false), ("0", false), ("true", true), ("", true), ("False", true)]
        {
            let wanted = wanted(&format!("include_mem={value}&include_clients={value}"));
            assert_eq!((wanted.memory, wanted.filter.include_clients), (included, included), "{value}");
        }
    }

    #[test]
    fn an_empty_name_filters_nothing() {
        let wanted = wanted("topic=&channel=c");
        assert_eq!(wanted.filter.topic, None);
        assert_eq!(wanted.filter.channel.as_deref(), Some("c"));
    }
}
