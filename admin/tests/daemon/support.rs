//! Stand-ins, and the daemon in this process or in its own.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use nsqadmin::app::App;
use nsqadmin::config::Config;
use tokio::net::TcpListener;

/// How long a condition is waited for.
const WAIT: Duration = Duration::from_secs(30);

/// What a stand-in answers.
pub(crate) type Answer = (StatusCode, Vec<u8>);

/// An HTTP server of ours that remembers what it was asked.
#[derive(Clone)]
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Web {
    /// A server with these answers.
    pub(crate) async fn start(
        answer: impl Fn(&Method, &Uri) -> Answer + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::with_headers(move |method, uri| (answer(method, uri), Vec::new())).await
    }

    /// The same with headers.
    pub(crate) async fn with_headers(
        answer: impl Fn(&Method, &Uri) -> (Answer, Vec<(&'static str, String)>) + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&seen);
        let router = Router::new().fallback(move |request: Request| {
            let (answer, kept) = (answer.clone(), Arc::clone(&kept));
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let body = String::from_utf8_lossy(&body).into_owned();
                kept.lock().unwrap().push(format!("{} {} {body}", head.method, head.uri));
                let ((status, body), headers) = answer(&head.method, &head.uri);
                let mut response = Response::new(Body::from(body));
                *response.status_mut() = status;
                for (name, value) in headers {
                    response.headers_mut().insert(name, value.parse().unwrap());
                }
                response
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    /// What it was asked, as `POST /path?query body`.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// What it was asked to change.
    pub(crate) fn posts(&self) -> Vec<String> {
        self.seen()
            .into_iter()
            .filter(|line| line.starts_with("POST "))
            .map(|line| line.trim().to_owned())
            .collect()
    }
}

/// A body that is answered with 200.
pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Answer {
    (StatusCode::OK, body.into())
}

/// An nsqd with topic `t` and channel `c`.
pub(crate) async fn nsqd() -> Web {
    nsqd_with(|| {
        r#"{"version":"1.3.0","health":"OK","start_time":1,"topics":[{"topic_name":"t","depth":3,"message_count":9,
            "channels":[{"channel_name":"c","depth":5,"message_count":9,"client_count":0}]}],"producers":[]}"#
            .to_owned()
    })
    .await
}

/// An nsqd with these figures. It names itself by the port that it has.
pub(crate) async fn nsqd_with(stats: impl Fn() -> String + Clone + Send + Sync + 'static) -> Web {
    let port = Arc::new(std::sync::OnceLock::new());
    let known: Arc<std::sync::OnceLock<u16>> = Arc::clone(&port);
    let web = Web::start(move |method, uri| match (method.as_str(), uri.path()) {
        ("GET", "/stats") => ok(stats()),
        ("GET", "/info") => ok(format!(
            r#"{{"version":"1.3.0","broadcast_address":"127.0.0.1","hostname":"h","http_port":{},"tcp_port":1}}"#,
            known.get().copied().unwrap_or_default()
        )),
        ("POST", _) => ok(""),
        _ => (StatusCode::NOT_FOUND, br#"{"message":"NOT_FOUND"}"#.to_vec()),
    })
    .await;
    port.set(web.address.port()).unwrap();
    web
}

/// An nsqlookupd that lists these nodes for topic `t`.
pub(crate) async fn lookupd(nodes: &[SocketAddr]) -> Web {
    let producers: Vec<String> = nodes
        .iter()
        .map(|node| {
            format!(
                r#"{{"remote_address":"127.0.0.1:9","hostname":"h{port}","broadcast_address":"127.0.0.1","tcp_port":{port},
                    "http_port":{port},"version":"1.3.0","topics":["t"],"tombstones":[false]}}"#,
                port = node.port()
            )
        })
        .collect();
    let producers = format!("[{}]", producers.join(","));
    Web::start(move |method, uri| match (method.as_str(), uri.path()) {
        ("GET", "/nodes") => ok(format!(r#"{{"producers":{producers}}}"#)),
        ("GET", "/lookup") => ok(format!(r#"{{"channels":["c"],"producers":{producers}}}"#)),
        ("GET", "/topics") => ok(r#"{"topics":["t"]}"#),
        ("GET", "/channels") => ok(r#"{"channels":["c"]}"#),
        ("GET", "/info") => ok(r#"{"version":"1.3.0"}"#),
        ("POST", _) => ok(""),
        _ => (StatusCode::NOT_FOUND, Vec::new()),
    })
    .await
}

/// The daemon in this process.
pub(crate) struct Admin {
    pub(crate) address: SocketAddr,
    pub(crate) app: Arc<App>,
}

/// Starts the daemon in this process, with a poll if the arguments ask for one.
pub(crate) async fn admin(arguments: &[String]) -> Admin {
    admin_with_answer_bytes_max(arguments, nsqadmin::limits::ANSWER_BYTES_MAX).await
}

/// The same with another bound for the answers of upstreams.
pub(crate) async fn admin_with_answer_bytes_max(arguments: &[String], bytes: usize) -> Admin {
    let mut all = vec!["--http-address=127.0.0.1:0".to_owned(), "--log-level=fatal".to_owned()];
    all.extend_from_slice(arguments);
    let (config, client) = Config::start(all.into_iter().map(Into::into)).unwrap();
    let app = Arc::new(App::new(config, client.with_answer_bytes_max(bytes)).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(nsqadmin::http::serve(listener, 64, Arc::clone(&app)));
    tokio::spawn(nsqadmin::poll::run(Arc::clone(&app)));
    Admin { address, app }
}

impl Admin {
    /// Sends a request; status and body.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        ask(self.address, method, path, headers, body).await
    }

    /// Waits until the last tick fulfils a condition.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&nsqadmin::poll::Snapshot) -> bool) {
        let deadline = Instant::now() + WAIT;
        while !condition(&self.app.snapshot()) {
            assert!(Instant::now() < deadline, "not in time: {what}; {:?}", self.app.snapshot().nodes);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Sends a request to any address.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    // Written by hand: a test chooses its own Host, or none.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let host = if headers.iter().any(|(name, _)| *name == "Host") {
        String::new()
    } else {
        format!("Host: {address}\r\n")
    };
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}{more}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        unchunk(body)
    } else {
        body.to_owned()
    };
    (status, body)
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// The daemon as a process, killed at the end of the test.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts it and waits until it says where it listens.
    pub(crate) async fn start(arguments: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_nsqadmin"))
            .arg("--http-address=127.0.0.1:0")
            .args(arguments)
            .stderr(Stdio::from(std::fs::File::create(&log).unwrap()))
            .spawn()
            .unwrap();
        let mut process = Self { child, address: "127.0.0.1:0".parse().unwrap() };
        let deadline = Instant::now() + WAIT;
        loop {
            let text = std::fs::read_to_string(&log).unwrap();
            if let Some((_, rest)) = text.split_once("HTTP: listening on ") {
                process.address = rest.lines().next().unwrap().parse().unwrap();
                return process;
            }
            assert!(Instant::now() < deadline, "not in time: {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Memory that it has in use, in bytes: now, and at most.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let kib = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (kib("VmRSS:") * 1024, kib("VmHWM:") * 1024)
    }

    /// Waits for a tick of the poll, and returns the answer of `/api/attention` then.
    pub(crate) async fn until_tick(&self, tick: u64) -> serde_json::Value {
        let deadline = Instant::now() + 4 * WAIT;
        loop {
            let (status, body) = ask(self.address, "GET", "/api/attention", &[], "").await;
            assert_eq!(status, 200, "{body}");
            let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
            if answer["tick"].as_u64().unwrap() >= tick {
                return answer;
            }
            assert!(Instant::now() < deadline, "not in time: tick {tick}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
