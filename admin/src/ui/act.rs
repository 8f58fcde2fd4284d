//! Forms: the plan of what was chosen, and doing it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, LOCATION};
use axum::response::Response;
use nsq_http::reply::{TEXT, with_type};
use tokio::time::{Instant, sleep};

use super::links::pairs;
use super::{confirm, serve};
use crate::action::actor::Source;
use crate::action::execute::{Outcome, execute};
use crate::action::plan::{Plan, plan};
use crate::action::{Action, Verb};
use crate::api::visit::Visit;
use crate::app::App;
use crate::limits::ACTION_OBJECTS_MAX;
use crate::poll::clock::now_ms;
use crate::upstream::gather;

/// Objects that are acted on at the same time.
const PARALLEL: usize = 4;
/// How long a form waits for a tick that shows what it did, milliseconds.
const SHOWN_MS_MAX: u64 = 3_000;
/// How often it looks.
const LOOK_MS: u64 = 20;

/// A posted form.
struct Form {
    verb: Verb,
    objects: Vec<Action>,
    back: String,
    loss: u64,
    typed: String,
}

/// Reads a form.
///
/// # Errors
///
/// What is wrong with it, for a reader.
fn read(app: &App, visit: &Visit) -> Result<Form, String> {
    let posted = String::from_utf8_lossy(&visit.body);
    let all = if visit.body.is_empty() { visit.query() } else { &posted };
    let links = &app.ui.site.links;
    let (mut verb, mut objects, mut back) = (None, Vec::new(), links.overview());
    let (mut loss, mut typed, mut topic, mut channel) = (0, String::new(), String::new(), String::new());
    for (key, value) in pairs(all) {
        match key.as_str() {
            "action" => verb = Verb::from_word(&value),
            "object" => objects.push(value),
            "back" if links.is_own(&value) => back = value,
            "loss" => loss = value.parse().unwrap_or(0),
            "typed" => typed = value,
            "topic" => topic = value,
            "channel" => channel = value,
            _ => {}
        }
    }
    let verb = verb.ok_or("There is no such action.")?;
    if verb == Verb::Create {
        let (topic, channel) = (topic.trim(), channel.trim());
        objects = vec![if channel.is_empty() { topic.to_owned() } else { format!("{topic}/{channel}") }];
    }
    if objects.len() > ACTION_OBJECTS_MAX {
        return Err(format!("At most {ACTION_OBJECTS_MAX} objects at once; {} were chosen.", objects.len()));
    }
    let objects: Vec<Action> = objects
        .iter()
        .map(|object| {
            confirm::parse(verb, object).ok_or_else(|| format!("{object} is no name of a topic or channel."))
        })
        .collect::<Result<_, _>>()?;
    Ok(Form { verb, objects, back, loss, typed })
}

fn plans(app: &App, form: &Form) -> Vec<Plan> {
    let snapshot = app.snapshot();
    form.objects.iter().map(|action| plan(&snapshot, action.clone())).collect()
}

fn refused(status: StatusCode, text: &str) -> Response {
    with_type(status, TEXT, text.to_owned()).map(Body::from)
}

/// The plan.
pub(super) fn ask(app: &App, visit: &Visit) -> Response {
    match read(app, visit) {
        Ok(form) => {
            let plans = plans(app, &form);
            serve::still(app, visit, |context| confirm::page(context, form.verb, &plans, &form.back, None))
        }
        Err(text) => refused(StatusCode::BAD_REQUEST, &text),
    }
}

/// Does it, and leads back to where it was asked for, with what came of it.
pub(super) async fn act(app: &Arc<App>, visit: &Visit) -> Response {
    if !visit.is_admin {
        return refused(StatusCode::FORBIDDEN, "FORBIDDEN");
    }
    let form = match read(app, visit) {
        Ok(form) => form,
        Err(text) => return refused(StatusCode::BAD_REQUEST, &text),
    };
    let plans = plans(app, &form);
    if let Some(why) = confirm::refusal(form.verb, &plans, form.loss, &form.typed) {
        return serve::still(app, visit, |context| {
            confirm::page(context, form.verb, &plans, &form.back, Some(&why))
        });
    }
    let actor = visit.actor(Source::Page);
    let mut outcomes: Vec<(Action, Outcome)> = Vec::new();
    for chunk in form.objects.chunks(PARALLEL) {
        let (app, actor) = (Arc::clone(app), actor.clone());
        let done = gather(chunk.to_vec(), move |action| {
            let (app, actor) = (Arc::clone(&app), actor.clone());
            async move {
                let outcome = execute(&app, &actor, action.clone()).await;
                (action, outcome)
            }
        });
        outcomes.extend(done.await);
    }
    let id = app.ui.results().push(form.verb, &outcomes);
    wait_until_shown(app, now_ms()).await;
    let back = if form.verb == Verb::Delete { after_delete(app, &form) } else { form.back };
    let (page, fragment) = back.split_once('#').unwrap_or((&back, ""));
    let and = if page.contains('?') { '&' } else { '?' };
    let hash = if fragment.is_empty() { "" } else { "#" };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::from_str(&format!("{page}{and}done={id}{hash}{fragment}"));
    let overview =
        || HeaderValue::from_str(&app.ui.site.links.overview()).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location.unwrap_or_else(|_| overview()));
    response
}

/// The page of what is deleted is no place to return to.
fn after_delete(app: &App, form: &Form) -> String {
    let links = &app.ui.site.links;
    let [one] = form.objects.as_slice() else { return form.back.clone() };
    match &one.channel {
        Some(channel) if form.back.starts_with(&links.channel(&one.topic, channel)) => {
            links.topic(&one.topic)
        }
        None if form.back.starts_with(&links.topic(&one.topic)) => links.page("topics"),
        _ => form.back.clone(),
    }
}

/// Waits a moment for a poll that began after the action, so that the page shows what was done.
async fn wait_until_shown(app: &App, done_at_ms: i64) {
    let deadline = Instant::now() + Duration::from_millis(SHOWN_MS_MAX);
    while app.snapshot().at_ms < done_at_ms && Instant::now() < deadline {
        sleep(Duration::from_millis(LOOK_MS)).await;
    }
}
