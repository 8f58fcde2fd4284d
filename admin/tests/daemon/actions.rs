//! What is told to whom, in which order.

use std::time::{Duration, Instant};

use super::support::{Web, admin, lookupd, nsqd, ok};

#[tokio::test]
async fn a_wildcard_deletes_nothing() {
    let node = nsqd().await;
    let directory = lookupd(&[node.address]).await;
    let admin =
        admin(&[format!("--lookupd-http-address={}", directory.address), "--poll-interval=0".to_owned()])
            .await;
    for path in ["/api/topics/*", "/api/topics/t/*", "/api/topics/a%20b"] {
        let (status, body) = admin.ask("DELETE", path, &[], "").await;
        assert_eq!(status, 400, "{path}: {body}");
    }
    assert!(directory.posts().is_empty() && node.posts().is_empty());
}

#[tokio::test]
async fn a_node_that_nobody_lists_is_not_asked_for_anything() {
    let (node, stranger) = (nsqd().await, nsqd().await);
    let directory = lookupd(&[node.address]).await;
    let admin =
        admin(&[format!("--lookupd-http-address={}", directory.address), "--poll-interval=0".to_owned()])
            .await;
    for address in [stranger.address.to_string(), format!("{}@127.0.0.1", stranger.address), "x".to_owned()] {
        let (status, body) =
            admin.ask("DELETE", &format!("/api/nodes/{address}"), &[], r#"{"topic":"t"}"#).await;
        assert_eq!(status, 502, "{address}: {body}");
        assert_eq!(admin.ask("GET", &format!("/api/nodes/{address}"), &[], "").await.0, 404, "{address}");
    }
    assert!(stranger.seen().is_empty());
    assert!(directory.posts().is_empty());
}

#[tokio::test]
async fn a_tombstone_stands_before_the_topic_is_deleted() {
    let node = nsqd().await;
    let directory = lookupd(&[node.address]).await;
    let admin =
        admin(&[format!("--lookupd-http-address={}", directory.address), "--poll-interval=0".to_owned()])
            .await;
    let (status, body) =
        admin.ask("DELETE", &format!("/api/nodes/{}", node.address), &[], r#"{"topic":"t"}"#).await;
    assert_eq!((status, body.as_str()), (200, r#"{"message":""}"#));
    let port = node.address.port();
    assert_eq!(directory.posts(), [format!("POST /topic/tombstone?topic=t&node=127.0.0.1%3A{port}")]);
    assert_eq!(node.posts(), ["POST /topic/delete?topic=t"]);
    let audit = admin.app.audit();
    let entry = audit.newest_first().next().unwrap();
    assert_eq!((entry.word, entry.outcome, entry.steps), ("tombstone_topic_producer", "success", 2));
}

#[tokio::test]
async fn in_direct_mode_a_new_topic_is_made_on_every_nsqd() {
    let (one, two) = (nsqd().await, nsqd().await);
    let of = |web: &Web| format!("--nsqd-http-address={}", web.address);
    let admin = admin(&[of(&one), of(&two), "--poll-interval=0".to_owned()]).await;
    let (status, _) = admin.ask("POST", "/api/topics", &[], r#"{"topic":"new","channel":"c"}"#).await;
    assert_eq!(status, 200);
    for node in [one, two] {
        assert_eq!(
            node.posts(),
            ["POST /topic/create?topic=new", "POST /channel/create?topic=new&channel=c"]
        );
    }
}

#[tokio::test]
async fn an_endpoint_of_notifications_that_is_gone_harms_nobody() {
    let node = nsqd().await;
    let admin = admin(&[
        format!("--nsqd-http-address={}", node.address),
        "--notification-http-endpoint=http://127.0.0.1:1/hook".to_owned(),
        "--poll-interval=0".to_owned(),
    ])
    .await;
    for _ in 0..3 {
        assert_eq!(admin.ask("POST", "/api/topics/t", &[], r#"{"action":"pause"}"#).await.0, 200);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while admin.app.notifier.outcomes().find(|(word, _)| *word == "failed") != Some(("failed", 3)) {
        assert!(Instant::now() < deadline, "the failures are not counted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn notifications_tell_the_outcome_if_they_are_to() {
    let (node, hook) = (nsqd().await, Web::start(|_, _| ok("")).await);
    let admin = admin(&[
        format!("--nsqd-http-address={}", node.address),
        format!("--notification-http-endpoint=http://{}/hook", hook.address),
        "--notification-details".to_owned(),
        "--cluster-name=blue".to_owned(),
        "--poll-interval=0".to_owned(),
    ])
    .await;
    admin.ask("POST", "/api/topics/t", &[("X-Forwarded-User", "me")], r#"{"action":"empty"}"#).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while hook.seen().is_empty() {
        assert!(Instant::now() < deadline, "no notification");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = hook.seen().remove(0);
    for part in
        [r#""action":"empty_topic""#, r#""outcome":"success""#, r#""acl_user":"me""#, r#""cluster":"blue""#]
    {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}
