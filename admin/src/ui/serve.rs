//! From a request to a page: what it is made from, and the headers that it has.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use nsq_http::reply::{HTML, TEXT, with_type};

use super::assets::Assets;
use super::context::{Context, May, Site};
use super::links::Links;
use super::shell::{self, Page};
use super::view::View;
use crate::api::visit::Visit;
use crate::app::App;
use crate::guard::headers;
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
    Help,
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
    ("/help", &["GET"], Address::Help),
    ("/static/{asset}", &["GET"], Address::Asset),
    ("/fonts/{asset}", &["GET"], Address::Asset),
];

/// What the pages keep for the life of the process.
pub struct Ui {
    /// What does not change between requests.
    pub site: Site,
    /// The files.
    pub assets: Assets,
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
        }
    }
}

/// Answers a request for a page or a file of one.
pub async fn answer(app: &Arc<App>, address: Address, visit: Visit) -> Response {
    let mut response =
        if address == Address::Asset { asset(app, &visit) } else { page(app, address, &visit) };
    headers::of_page(response.headers_mut(), &app.page_policy);
    response
}

fn page(app: &App, address: Address, visit: &Visit) -> Response {
    let (snapshot, verdict, history) = (app.snapshot(), app.watch.verdict(), app.watch.history());
    let view = View::parse(visit.query());
    let context = Context {
        site: &app.ui.site,
        snapshot: &snapshot,
        history: &history,
        verdict: &verdict,
        policy: app.watch.policy(),
        view: &view,
        now_ms: now_ms(),
        may: may(app, visit),
    };
    let name = |segment: &str| visit.params.get(segment).to_owned();
    let page: Page = match address {
        Address::Overview => super::overview::page(&context),
        Address::Topics => super::topics::page(&context),
        Address::Topic => super::topic::page(&context, &name("topic"), None, None),
        Address::Channels => super::channels::page(&context),
        Address::Channel => super::channel::page(&context, &name("topic"), &name("channel"), None),
        Address::Nodes => super::nodes::page(&context),
        Address::Node => super::node::page(&context, &name("node")),
        Address::Lookup => super::lookup::page(&context),
        Address::Counter => super::counter::page(&context),
        Address::Search => super::search::page(&context),
        Address::Help | Address::Asset => super::help::page(&context),
    };
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::OK);
    let markup = if is_fragment(&visit.headers) {
        shell::main(&context, &page)
    } else {
        shell::document(&context, &page, &app.ui.assets)
    };
    with_type(status, HTML, markup.into_string()).map(Body::from)
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
