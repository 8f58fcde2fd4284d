//! `/api/counter`.

use std::collections::BTreeMap;

use nsq_http::Reply;
use serde::Serialize;

use super::answer::{upstream_failure, with_message};
use crate::app::App;
use crate::upstream::CounterEntry;

pub(super) async fn show(app: &App) -> Reply {
    #[derive(Serialize)]
    struct Counter {
        stats: BTreeMap<String, CounterEntry>,
    }
    match app.cluster().counter().await {
        Ok(stats) => with_message(&Counter { stats: stats.value }, &stats.warnings),
        Err(failure) => upstream_failure(&failure),
    }
}
