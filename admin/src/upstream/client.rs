//! One request to one upstream.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::header::{ACCEPT, HeaderMap, HeaderValue};
use bytes::Bytes;
use nsq_exposition::{Counter, Histogram};
use nsq_flags::{debug, info};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, Url};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fault::Fault;
use super::tls::{TlsError, TlsFiles};
use super::tls_retry::https_url;
use crate::limits::{
    ANSWER_BYTES_MAX, ANSWERS_BYTES_MAX, ERROR_BYTES_MAX, IDLE_MS_MAX, IDLE_PER_UPSTREAM_MAX, REDIRECTS_MAX,
};

/// Units of the budget of answers: a permit is one KiB.
const KIB: usize = 1024;

/// What an upstream is, for errors and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An nsqd.
    Nsqd,
    /// An nsqlookupd.
    Lookupd,
}

impl Kind {
    /// Its name in NSQ's error texts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nsqd => "nsqd",
            Self::Lookupd => "nsqlookupd",
        }
    }
}

/// Who asks, which decides how loud it is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A request of a visitor.
    Visitor,
    /// The background poll.
    Poll,
}

/// An answer's body, and the room that it takes in the budget.
#[derive(Debug)]
pub struct Answer {
    /// Unpacked.
    pub body: Bytes,
    /// Its headers.
    pub headers: HeaderMap,
    /// From the question to the last byte.
    pub took: Duration,
    _room: Vec<OwnedSemaphorePermit>,
}

/// Sends requests, over connections that it keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    room: Arc<Semaphore>,
    answer_bytes_max: usize,
    /// What was asked and how it went.
    pub counts: Arc<Counts>,
}

/// Requests to upstreams, by kind and outcome.
#[derive(Debug, Default)]
pub struct Counts {
    kinds: [OfKind; 2],
}

/// Those of one kind.
#[derive(Debug, Default)]
pub struct OfKind {
    outcomes: [Counter; OUTCOMES.len()],
    /// How long they took, failures too.
    pub seconds: Histogram,
}

/// How a request can end.
pub const OUTCOMES: [&str; 6] = ["ok", "refused", "timed_out", "unreachable", "unreadable", "too_large"];

impl Counts {
    /// Those of one kind.
    pub fn of(&self, kind: Kind) -> &OfKind {
        &self.kinds[kind as usize]
    }

    fn count(&self, kind: Kind, outcome: &str, took: Duration) {
        let of_kind = self.of(kind);
        if let Some(index) = OUTCOMES.iter().position(|known| *known == outcome) {
            of_kind.outcomes[index].add_one();
        }
        of_kind.seconds.observe(took);
    }
}

impl OfKind {
    /// How many ended in each way.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        OUTCOMES.iter().copied().zip(self.outcomes.iter().map(Counter::get))
    }
}

/// Time limits of a client; zero is none.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// From the question to the last byte.
    pub request: Duration,
}

impl Client {
    /// A client with these limits.
    ///
    /// # Errors
    ///
    /// Where a TLS file cannot be used.
    pub fn new(timeouts: Timeouts, tls: &TlsFiles) -> Result<Self, TlsError> {
        let builder = tls.apply(builder(timeouts))?;
        // What is left to go wrong is the pair of certificate and key, or the system's store.
        let http = builder
            .redirect(same_host())
            .build()
            .map_err(|error| TlsError::Content { path: tls.cert_file.clone(), text: causes(&error) })?;
        Ok(Self {
            http,
            room: Arc::new(Semaphore::new(ANSWERS_BYTES_MAX / KIB)),
            answer_bytes_max: ANSWER_BYTES_MAX,
            counts: Arc::default(),
        })
    }

    /// The same client with another bound for one answer.
    #[must_use]
    pub fn with_answer_bytes_max(mut self, bytes: usize) -> Self {
        self.answer_bytes_max = bytes;
        self
    }

    /// Asks, and reads the answer as JSON.
    ///
    /// # Errors
    ///
    /// Where there is no answer, or not such a one.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        kind: Kind,
        asker: Asker,
        url: &str,
    ) -> Result<T, Fault> {
        let answer = self.get(kind, asker, url).await?;
        self.parse(kind, url, &answer)
    }

    /// Reads an answer as JSON.
    ///
    /// # Errors
    ///
    /// Where it is not such a one.
    pub fn parse<'a, T: serde::Deserialize<'a>>(
        &self,
        kind: Kind,
        url: &str,
        answer: &'a Answer,
    ) -> Result<T, Fault> {
        crate::cluster::rows::parse(&answer.body).map_err(|error| {
            self.counts.count(kind, "unreadable", answer.took);
            Fault::Body { url: url.to_owned(), text: error.to_string() }
        })
    }

    /// Asks, and returns what is answered with 200.
    ///
    /// # Errors
    ///
    /// Where there is no such answer.
    pub async fn get(&self, kind: Kind, asker: Asker, url: &str) -> Result<Answer, Fault> {
        match asker {
            Asker::Visitor => info!("CI: querying {} {url}", kind.word()),
            Asker::Poll => debug!("poll: querying {} {url}", kind.word()),
        }
        self.counted(kind, Method::GET, url, self.answer_bytes_max).await
    }

    /// Tells an upstream to do something; all arguments are in the URL.
    ///
    /// # Errors
    ///
    /// Where it does not answer 200.
    pub async fn post(&self, kind: Kind, url: &str) -> Result<(), Fault> {
        info!("CI: posting to {} {url}", kind.word());
        self.counted(kind, Method::POST, url, ERROR_BYTES_MAX).await.map(drop)
    }

    async fn counted(
        &self,
        kind: Kind,
        method: Method,
        url: &str,
        bytes_max: usize,
    ) -> Result<Answer, Fault> {
        let started = Instant::now();
        let result = self.ask(method, url, bytes_max, started).await;
        let outcome = result.as_ref().map_or_else(Fault::word, |_| "ok");
        self.counts.count(kind, outcome, started.elapsed());
        result
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        bytes_max: usize,
        started: Instant,
    ) -> Result<Answer, Fault> {
        let parsed = Url::parse(url)
            .map_err(|error| Fault::Body { url: url.to_owned(), text: format!("parse - {error}") })?;
        let response = self.send(method.clone(), parsed.clone()).await?;
        let code = response.status().as_u16();
        if code == 200 {
            return self.read(url, response, bytes_max, started).await;
        }
        let body = read_beginning(response, ERROR_BYTES_MAX).await;
        let Some(secure) = https_url(&parsed, code, &body) else {
            return Err(refused(code, &body));
        };
        let response = self.send(method, secure.clone()).await?;
        let code = response.status().as_u16();
        if code == 200 {
            return self.read(secure.as_str(), response, bytes_max, started).await;
        }
        Err(refused(code, &read_beginning(response, ERROR_BYTES_MAX).await))
    }

    async fn send(&self, method: Method, url: Url) -> Result<Response, Fault> {
        let text = url.to_string();
        let request = self
            .http
            .request(method, url)
            .header(ACCEPT, HeaderValue::from_static("application/vnd.nsq; version=1.0"));
        request.send().await.map_err(|error| transport(&text, &error))
    }

    /// Reads a body. The room that it takes is taken from the budget before more is read.
    async fn read(
        &self,
        url: &str,
        mut response: Response,
        bytes_max: usize,
        started: Instant,
    ) -> Result<Answer, Fault> {
        let headers = response.headers().clone();
        let mut body = Vec::new();
        let mut room = Vec::new();
        let mut reserved = 0;
        loop {
            let chunk = response.chunk().await.map_err(|error| transport(url, &error))?;
            let Some(chunk) = chunk else { break };
            if body.len() + chunk.len() > bytes_max {
                return Err(Fault::TooLarge { url: url.to_owned(), bytes_max });
            }
            while body.len() + chunk.len() > reserved {
                // In steps, so that a small answer takes little and a large one few permits.
                let step = (reserved / KIB).clamp(64, 4096);
                let permits = u32::try_from(step).unwrap_or(u32::MAX);
                let permit = Arc::clone(&self.room).acquire_many_owned(permits).await;
                room.push(permit.expect("invariant: the budget is never closed"));
                reserved += step * KIB;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { body: body.into(), headers, took: started.elapsed(), _room: room })
    }
}

/// What all clients have in common: no proxy, no cookies, no `Referer`.
fn builder(timeouts: Timeouts) -> reqwest::ClientBuilder {
    // The one provider of cryptography of this process. That somebody was here before is no failure.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .http1_only()
        // Servers written by hand have been seen to look for `Accept` and not for `accept`.
        .http1_title_case_headers()
        .no_proxy()
        .referer(false)
        .gzip(true)
        .pool_max_idle_per_host(IDLE_PER_UPSTREAM_MAX)
        .pool_idle_timeout(Duration::from_millis(IDLE_MS_MAX))
        .tcp_keepalive(Duration::from_secs(30));
    if !timeouts.connect.is_zero() {
        builder = builder.connect_timeout(timeouts.connect);
    }
    if !timeouts.request.is_zero() {
        builder = builder.timeout(timeouts.request);
    }
    builder
}

/// A client for notifications and graphite: the same limits, the system's TLS roots, and redirects to nowhere.
///
/// # Errors
///
/// Where the system's store of certificates cannot be used.
pub fn plain_client(timeouts: Timeouts) -> Result<reqwest::Client, String> {
    builder(timeouts).redirect(Policy::none()).build().map_err(|error| causes(&error))
}

/// An upstream may send us elsewhere on its host, but not to a third party: its answer must not be able to make us
/// ask what it cannot reach itself.
fn same_host() -> Policy {
    Policy::custom(|attempt| {
        let same = attempt.previous().first().is_some_and(|first| first.host() == attempt.url().host());
        if attempt.previous().len() > REDIRECTS_MAX || !same { attempt.stop() } else { attempt.follow() }
    })
}

fn refused(code: u16, body: &[u8]) -> Fault {
    Fault::Status { code, body: String::from_utf8_lossy(body).into_owned() }
}

fn transport(url: &str, error: &reqwest::Error) -> Fault {
    if error.is_decode() && !error.is_timeout() {
        return Fault::Body { url: url.to_owned(), text: causes(error) };
    }
    let text = if error.is_timeout() {
        if error.is_connect() { "connect timed out".to_owned() } else { "no answer in time".to_owned() }
    } else {
        causes(error)
    };
    Fault::Transport { url: url.to_owned(), text, timed_out: error.is_timeout() }
}

/// The beginning of a body, whatever becomes of the rest.
async fn read_beginning(mut response: Response, bytes_max: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = bytes_max - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == bytes_max {
            break;
        }
    }
    body
}

/// The innermost cause, which says most.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
