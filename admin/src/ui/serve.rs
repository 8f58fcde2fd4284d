//! From a request to a page: what it is made from, and the headers that it has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::html;
use nsq_http::reply::{HTML, TEXT, with_type};

use super::assets::Assets;
use super::context::{Context, May, Site};
use super::links::Links;
use super::results::{self, Results};
use super::shell::{self, Page};
use super::view::View;
use super::{act, clients, live};
use crate::api::visit::Visit;
use crate::app::App;
use crate::guard::headers;
use crate::poll::Snapshot;
use crate::poll::clock::now_ms;

/// What a browser can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Address {
    Overview,
    Topics,
    Topic,
    Channels,
    Channel,
    Nodes,
    Node,
    Lookup,
    Counter,
    Search,
    Audit,
    Help,
    /// The plan of actions, from a form.
    Confirm,
    /// Actions, from a form.
    Act,
    /// A file of `/static` or `/fonts`, which are one folder.
    Asset,
}

/// Path, methods, and what is there.
pub const ROUTES: &[(&str, &[&str], Address)] = &[
    ("/", &["GET"], Address::Overview),
    ("/topics", &["GET"], Address::Topics),
    ("/topics/{topic}", &["GET"], Address::Topic),
    ("/topics/{topic}/{channel}", &["GET"], Address::Channel),
    ("/channels", &["GET"], Address::Channels),
    ("/nodes", &["GET"], Address::Nodes),
    ("/nodes/{node}", &["GET"], Address::Node),
    ("/lookup", &["GET"], Address::Lookup),
    ("/counter", &["GET"], Address::Counter),
    ("/search", &["GET"], Address::Search),
    ("/audit", &["GET"], Address::Audit),
    ("/help", &["GET"], Address::Help),
    ("/ui/confirm", &["GET", "POST"], Address::Confirm),
    ("/ui/act", &["POST"], Address::Act),
    ("/static/{asset}", &["GET"], Address::Asset),
    ("/fonts/{asset}", &["GET"], Address::Asset),
];

/// What the pages keep for the life of the process.
pub struct Ui {
    /// What does not change between requests.
    pub site: Site,
    /// The files.
    pub assets: Assets,
    results: Mutex<Results>,
}

impl Ui {
    /// For these options.
    pub fn new(config: &crate::config::Config) -> Self {
        Self {
            site: Site {
                links: Links::new(&config.base_path),
                cluster_name: config.cluster_name.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                peers: config.peer_links.clone(),
                direct: config.lookupds.is_empty(),
            },
            assets: Assets::new(config.dev_static_dir.as_deref()),
            results: Mutex::default(),
        }
    }

    /// What the last forms led to. Held for moments only.
    pub(super) fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a request for a page, a form or a file.
pub async fn answer(app: &Arc<App>, address: Address, visit: Visit) -> Response {
    let mut response = match address {
        Address::Asset => asset(app, &visit),
        Address::Confirm => act::ask(app, &visit),
        Address::Act => act::act(app, &visit).await,
        _ => page(app, address, &visit).await,
    };
    headers::of_page(response.headers_mut(), &app.page_policy);
    response
}

async fn page(app: &App, address: Address, visit: &Visit) -> Response {
    app.wait_for_figures().await;
    let snapshot = app.snapshot();
    let tag = tag(&snapshot, visit);
    if is_fragment(&visit.headers) && visit.headers.get(IF_NONE_MATCH).is_some_and(|known| *known == tag) {
        return not_modified(&tag);
    }
    let (topic, channel) = (visit.params.get("topic"), visit.params.get("channel"));
    let live = match address {
        Address::Topic => Some(live::ask(app, &snapshot, topic, None).await),
        Address::Channel => Some(live::ask(app, &snapshot, topic, Some(channel)).await),
        _ => None,
    };
    let mut response = render(app, &snapshot, visit, |context| match (address, live) {
        (Address::Topic, Some(live)) => {
            let (stats, producers) = live.topic(topic);
            let producers = clients::producers(context, topic, &producers);
            super::topic::page(context, topic, Some(&stats), Some(producers))
        }
        (Address::Channel, Some(live)) => {
            let stats = live.channel(topic, channel);
            super::channel::page(context, topic, channel, Some(stats.as_ref().map_err(String::as_str)))
        }
        (Address::Topics, _) => super::topics::page(context),
        (Address::Channels, _) => super::channels::page(context),
        (Address::Nodes, _) => super::nodes::page(context),
        (Address::Node, _) => super::node::page(context, visit.params.get("node")),
        (Address::Lookup, _) => super::lookup::page(context),
        (Address::Counter, _) => super::counter::page(context),
        (Address::Search, _) => super::search::page(context),
        (Address::Audit, _) => super::audit::page(context, &app.audit()),
        (Address::Help, _) => super::help::page(context),
        _ => super::overview::page(context),
    });
    response.headers_mut().insert(ETAG, tag);
    response
}

/// A page that is not asked for again: a plan.
pub(super) fn still(app: &App, visit: &Visit, make: impl FnOnce(&Context<'_>) -> Page) -> Response {
    render(app, &app.snapshot(), visit, make)
}

/// Makes a page of one tick. The history is held for as long as that takes.
fn render(
    app: &App,
    snapshot: &Snapshot,
    visit: &Visit,
    make: impl FnOnce(&Context<'_>) -> Page,
) -> Response {
    let (verdict, history) = (app.watch.verdict(), app.watch.history());
    let view = View::parse(visit.query());
    let context = Context {
        site: &app.ui.site,
        snapshot,
        history: &history,
        verdict: &verdict,
        policy: app.watch.policy(),
        view: &view,
        now_ms: now_ms(),
        may: may(app, visit),
    };
    let mut page = make(&context);
    if let Some(done) = view.done.and_then(|id| app.ui.results().find(id)) {
        let back = view.with(visit.uri.path(), |_| {});
        page.body = html! { (results::banner(&context, &done, &back)) (page.body) };
    }
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::OK);
    let markup = if is_fragment(&visit.headers) {
        shell::main(&context, &page)
    } else {
        shell::document(&context, &page, &app.ui.assets)
    };
    drop(history);
    let mut response = with_type(status, HTML, markup.into_string()).map(Body::from);
    response.headers_mut().insert(VARY, HeaderValue::from_static("X-Fragment"));
    response
}

/// Tells one rendering from another: tick, address, and who may act.
fn tag(snapshot: &Snapshot, visit: &Visit) -> HeaderValue {
    let address = visit.uri.path_and_query().map_or("", |both| both.as_str());
    let hash = crc32fast::hash(address.as_bytes());
    let tag = format!("W/\"{}-{}-{hash:08x}\"", snapshot.tick, u8::from(visit.is_admin));
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("W/\"0\""))
}

fn not_modified(tag: &HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(ETAG, tag.clone());
    response.headers_mut().insert(VARY, HeaderValue::from_static("X-Fragment"));
    response
}

fn is_fragment(headers: &HeaderMap) -> bool {
    headers.get("x-fragment").is_some_and(|value| value == "1")
}

fn may(app: &App, visit: &Visit) -> May {
    if visit.is_admin {
        May::Act
    } else if app.config.acl.read_only {
        May::Read("this nsqadmin is started with --read-only")
    } else {
        May::Read("only an --admin-user may change things")
    }
}

fn asset(app: &App, visit: &Visit) -> Response {
    let name = visit.params.get("asset");
    let Some(file) = app.ui.assets.get(name) else {
        return with_type(StatusCode::NOT_FOUND, TEXT, "NOT_FOUND").map(Body::from);
    };
    let mut response = Response::new(Body::from(file.text.into_owned()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
    if file.immutable {
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    }
    response
}
