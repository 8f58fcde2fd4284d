//! Addresses and headers of the pages.

use super::support::{Admin, admin, lookupd, nsqd};

async fn below(base: &str) -> Admin {
    let node = nsqd().await;
    let directory = lookupd(&[node.address]).await;
    admin(&[format!("--lookupd-http-address={}", directory.address), format!("--base-path={base}")]).await
}

#[tokio::test]
async fn every_page_lives_below_the_base_path_and_has_its_headers() {
    let admin = below("/a/b").await;
    for page in [
        "",
        "/topics",
        "/topics/t",
        "/topics/t/c",
        "/channels",
        "/nodes",
        "/lookup",
        "/counter",
        "/search?q=t",
        "/audit",
        "/help",
    ] {
        let answer =
            reqwest::Client::new().get(format!("http://{}/a/b{page}", admin.address)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{page}");
        let headers = answer.headers().clone();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{page}: {policy}");
        assert_eq!(headers["referrer-policy"], "same-origin", "{page}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{page}");
        assert_eq!(headers["cache-control"], "no-store", "{page}");
        let text = answer.text().await.unwrap();
        for attribute in ["href=\"/", "src=\"/", "action=\"/"] {
            for part in text.split(attribute).skip(1) {
                assert!(part.starts_with("a/b"), "{page}: {attribute}{}", &part[..part.len().min(40)]);
            }
        }
        let (outside, _) = admin.ask("GET", if page.is_empty() { "/" } else { page }, &[], "").await;
        assert_eq!(outside, 404, "{page}");
    }
}

#[tokio::test]
async fn without_a_poll_a_page_has_figures_all_the_same() {
    let node = nsqd().await;
    let admin =
        admin(&[format!("--nsqd-http-address={}", node.address), "--poll-interval=0".to_owned()]).await;
    for tick in 1..=2 {
        let (status, page) = admin.ask("GET", "/topics", &[], "").await;
        assert_eq!(status, 200);
        assert!(page.contains("/topics/t\""), "{page}");
        assert_eq!(admin.app.snapshot().tick, tick);
    }
}

#[tokio::test]
async fn attention_and_history_are_there_for_programs() {
    let admin = below("/").await;
    admin.until("a tick", |snapshot| snapshot.tick > 0).await;
    let (status, body) = admin.ask("GET", "/api/attention?min=critical", &[], "").await;
    assert_eq!(status, 200);
    let attention: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((attention["nodes"].as_u64(), attention["nodes_answering"].as_u64()), (Some(1), Some(1)));
    assert_eq!(attention["findings"].as_array().map(Vec::len), Some(0));
    assert_eq!(admin.ask("GET", "/api/attention?min=loud", &[], "").await.0, 400);
    let (status, body) = admin.ask("GET", "/api/history?topic=t&channel=c", &[], "").await;
    assert_eq!(status, 200);
    let history: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(history["step_ms"].as_u64(), Some(10_000));
    assert_eq!(history["series"]["depth"].as_array().unwrap().last().unwrap().as_f64(), Some(5.0));
    assert_eq!(admin.ask("GET", "/api/history?topic=never", &[], "").await.0, 404);
    let (status, body) = admin.ask("GET", "/metrics", &[], "").await;
    assert_eq!(status, 200);
    for line in ["nsqadmin_nodes{state=\"answering\"} 1\n", "nsqadmin_history_series{kind=\"channel\"} 1\n"] {
        assert!(body.contains(line), "{line} is not in {body}");
    }
}
