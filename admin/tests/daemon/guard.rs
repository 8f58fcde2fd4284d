//! Who is refused before anything is done.

use super::support::{admin, lookupd, nsqd};

const ACTION: &str = r#"{"action":"pause"}"#;

#[tokio::test]
async fn a_page_of_a_stranger_changes_nothing_and_scripts_go_on_working() {
    let node = nsqd().await;
    let directory = lookupd(&[node.address]).await;
    let admin = admin(&[
        format!("--lookupd-http-address={}", directory.address),
        "--trusted-origin=https://proxy.example".to_owned(),
        "--poll-interval=0".to_owned(),
    ])
    .await;
    let own = format!("http://{}", admin.address);
    let host = admin.address.to_string();
    let mut done = 0;
    for (name, headers, passes) in [
        ("curl", vec![], true),
        ("our page over https", vec![("Sec-Fetch-Site", "same-origin")], true),
        ("typed by hand", vec![("Sec-Fetch-Site", "none")], true),
        ("another site", vec![("Sec-Fetch-Site", "cross-site")], false),
        ("another host of our site", vec![("Sec-Fetch-Site", "same-site")], false),
        ("our page over plain http", vec![("Origin", own.as_str()), ("Host", &host)], true),
        ("another origin over plain http", vec![("Origin", "http://evil.example"), ("Host", &host)], false),
        ("another port", vec![("Origin", "http://127.0.0.1:1"), ("Host", &host)], false),
        ("a sandboxed page", vec![("Origin", "null"), ("Host", &host)], false),
        ("a lying Origin of another site", vec![("Sec-Fetch-Site", "cross-site"), ("Origin", &own)], false),
        ("the trusted proxy", vec![("Origin", "https://proxy.example"), ("Host", "inner")], true),
        ("no proxy of ours", vec![("Origin", "https://proxy.example.evil"), ("Host", "inner")], false),
    ] {
        for (method, path, body) in [
            ("POST", "/api/topics/t", ACTION),
            ("DELETE", "/api/topics/t/c", ""),
            ("PUT", "/config/log_level", "fatal"),
        ] {
            let (status, answer) = admin.ask(method, path, &headers, body).await;
            let expected = if passes { 200 } else { 403 };
            assert_eq!(status, expected, "{name}: {method} {path}: {answer}");
            assert_eq!(answer.contains("CROSS_ORIGIN"), !passes, "{name}: {method} {path}: {answer}");
        }
        done += 2 * usize::from(passes);
        assert_eq!(node.posts().len(), done, "{name}");
        // Whoever may not change things may still look.
        assert_eq!(admin.ask("GET", "/api/topics", &headers, "").await.0, 200, "{name}");
    }
}

#[tokio::test]
async fn only_allowed_host_names_are_answered() {
    let node = nsqd().await;
    let direct = format!("--nsqd-http-address={}", node.address);
    let admin =
        admin(&[direct, "--allowed-host=nsq.example".to_owned(), "--poll-interval=0".to_owned()]).await;
    for (host, status) in
        [("nsq.example", 200), ("nsq.example:4171", 200), ("rebound.example", 403), ("127.0.0.1", 403)]
    {
        for path in ["/ping", "/", "/api/topics"] {
            assert_eq!(admin.ask("GET", path, &[("Host", host)], "").await.0, status, "{host} {path}");
        }
    }
    // A rebound page has an Origin that fits its Host.
    let headers = [("Host", "rebound.example"), ("Origin", "http://rebound.example")];
    assert_eq!(admin.ask("POST", "/api/topics/t", &headers, ACTION).await.0, 403);
    assert!(node.posts().is_empty());
}

#[tokio::test]
async fn read_only_is_read_only() {
    let node = nsqd().await;
    let direct = format!("--nsqd-http-address={}", node.address);
    let admin = admin(&[direct, "--read-only".to_owned(), "--poll-interval=0".to_owned()]).await;
    for (method, path, body) in [
        ("POST", "/api/topics", r#"{"topic":"x"}"#),
        ("POST", "/api/topics/t", ACTION),
        ("POST", "/api/topics/t/c", ACTION),
        ("DELETE", "/api/topics/t", ""),
        ("DELETE", "/api/topics/t/c", ""),
        ("DELETE", "/api/nodes/127.0.0.1:1", r#"{"topic":"t"}"#),
        ("POST", "/ui/act", "action=pause&object=t"),
    ] {
        assert_eq!(admin.ask(method, path, &[], body).await.0, 403, "{method} {path}");
    }
    assert!(node.posts().is_empty());
    assert_eq!(admin.ask("GET", "/api/topics/t", &[], "").await.0, 200);
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused() {
    let node = nsqd().await;
    let admin =
        admin(&[format!("--nsqd-http-address={}", node.address), "--poll-interval=0".to_owned()]).await;
    let large = format!(r#"{{"action":"pause","x":"{}"}}"#, "x".repeat(nsqadmin::limits::BODY_BYTES_MAX));
    assert_eq!(admin.ask("POST", "/api/topics/t", &[], &large).await.0, 413);
    assert!(node.posts().is_empty());
}
