//! Upstreams that misbehave.

use std::io::Write;
use std::net::SocketAddr;

use axum::http::StatusCode;
use tokio::net::TcpListener;

use super::support::{Web, admin, admin_with_answer_bytes_max, lookupd, nsqd, ok};

/// Takes connections and says nothing.
async fn hanging() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    address
}

/// Takes connections and resets them.
async fn resetting() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_zero_linger().unwrap();
        }
    });
    address
}

#[tokio::test]
async fn one_hanging_and_one_resetting_node_cost_nobody_else_the_figures() {
    let (good, hangs, resets) = (nsqd().await, hanging().await, resetting().await);
    let directory = lookupd(&[good.address, hangs, resets]).await;
    let admin = admin(&[
        format!("--lookupd-http-address={}", directory.address),
        "--http-client-request-timeout=300ms".to_owned(),
        "--poll-interval=100ms".to_owned(),
    ])
    .await;
    admin
        .until("the figures of the good node and the faults of the others", |snapshot| {
            let fault = |address: SocketAddr| {
                snapshot.node(&address.to_string()).and_then(|node| node.fault.as_ref())
            };
            snapshot.tick >= 4
                && snapshot.coverage() == (1, 3)
                && fault(hangs).is_some_and(|fault| fault.polls >= 3)
                && fault(resets).is_some()
        })
        .await;
    let snapshot = admin.app.snapshot();
    assert_eq!(snapshot.topic("t").unwrap().depth(), 8);
    assert_eq!(
        snapshot.node(&hangs.to_string()).unwrap().fault.as_ref().unwrap().text,
        "did not answer in time"
    );
    let (status, body) = admin.ask("GET", "/api/topics/t", &[], "").await;
    assert_eq!(status, 200);
    assert!(body.contains("WARNING: "), "{body}");
    let (_, page) = admin.ask("GET", "/", &[], "").await;
    assert!(page.contains("1 of 3 nodes"), "{page}");
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_a_failure_and_not_kept() {
    const BOUND: usize = 64 << 10;
    let zeros = vec![b' '; 4 * BOUND];
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&zeros).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < BOUND);
    let plain = Web::start(move |_, _| ok(zeros.clone())).await;
    let bomb =
        Web::with_headers(move |_, _| (ok(packed.clone()), vec![("content-encoding", "gzip".to_owned())]))
            .await;
    for web in [plain, bomb] {
        let arguments = [format!("--nsqd-http-address={}", web.address), "--poll-interval=0".to_owned()];
        let admin = admin_with_answer_bytes_max(&arguments, BOUND).await;
        let (status, body) = admin.ask("GET", "/api/topics", &[], "").await;
        assert_eq!(status, 502);
        assert!(body.contains("larger than 65536 bytes"), "{body}");
    }
}

#[tokio::test]
async fn a_redirect_leads_to_no_third_party() {
    let third = Web::start(|_, _| ok(r#"{"topics":["stolen"]}"#)).await;
    let location = format!("http://localhost:{}/topics", third.address.port());
    let directory = Web::with_headers(move |_, _| {
        ((StatusCode::FOUND, Vec::new()), vec![("location", location.clone())])
    })
    .await;
    let admin =
        admin(&[format!("--lookupd-http-address={}", directory.address), "--poll-interval=0".to_owned()])
            .await;
    let (status, body) = admin.ask("GET", "/api/topics", &[], "").await;
    assert_eq!(status, 502, "{body}");
    assert!(third.seen().is_empty());
}

#[tokio::test]
async fn graphite_gets_no_more_than_its_picture_needs() {
    let graphite = Web::with_headers(|_, uri| {
        let headers = vec![("set-cookie", "a=b".to_owned()), ("content-type", "text/html".to_owned())];
        match uri.query() {
            Some("target=away") => {
                ((StatusCode::FOUND, Vec::new()), vec![("location", "http://evil.example/".to_owned())])
            }
            _ => (ok("<script>alert(1)</script>"), headers),
        }
    })
    .await;
    let node = nsqd().await;
    let admin = admin(&[
        format!("--nsqd-http-address={}", node.address),
        format!("--graphite-url=http://{}/sub", graphite.address),
        "--proxy-graphite".to_owned(),
        "--base-path=/a/b".to_owned(),
        "--poll-interval=0".to_owned(),
    ])
    .await;
    let url = format!("http://{}/a/b/render?target=http://evil.example/x%26y", admin.address);
    let answer = reqwest::Client::new().get(&url).header("Cookie", "session=1").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().get("set-cookie").is_none());
    assert_eq!(answer.headers()["content-security-policy"], "default-src 'none'; sandbox");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(graphite.seen()[0].trim(), "GET /render?target=http://evil.example/x%26y");
    let (status, _) = admin.ask("GET", "/a/b/render?target=away", &[], "").await;
    assert_eq!(status, 502);
}
