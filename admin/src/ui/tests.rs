//! Every page over every shape of cluster that occurs: nothing panics, nothing is left unescaped, nothing is inline.

use super::context::{Context, May, Site};
use super::links::Links;
use super::view::View;
use super::*;
use crate::attention::facts::AdminFacts;
use crate::attention::{Finding, Level, Policy, Subject, Verdict};
use crate::poll::snapshot::{
    ChannelFigures, ChannelState, Fault, LookupdState, NodeState, Snapshot, TopicFigures, TopicState, Totals,
};
use crate::poll::watch::Watch;

/// Names as bad as an upstream can make them.
const HOSTILE: [&str; 6] =
    ["<img src=x onerror=alert(1)>", "\u{202e}evil", "a\"b'c&d", "%2F..%2F", "x\u{0}\u{1b}[31m", ""];

fn worst_figures() -> ChannelFigures {
    ChannelFigures {
        depth: u64::MAX,
        backend_depth: 5,
        in_flight: u64::MAX,
        deferred: u64::MAX,
        message_count: u64::MAX,
        requeue_count: u64::MAX,
        timeout_count: u64::MAX,
        client_count: u64::MAX,
        clients_unknown: false,
        paused: true,
        oldest_ms: Some(u64::MAX),
    }
}

fn hostile(tick: u64) -> Snapshot {
    let figures = TopicFigures {
        depth: u64::MAX,
        message_count: u64::MAX,
        message_bytes: u64::MAX,
        paused: true,
        ..TopicFigures::default()
    };
    let channel = |name: &str| ChannelState {
        name: name.into(),
        figures: worst_figures(),
        nodes: vec![(0, worst_figures()), (77, worst_figures())],
    };
    let topic = |name: &str| TopicState {
        name: name.into(),
        figures,
        nodes: vec![(0, figures), (9_999, figures)],
        channels: HOSTILE.map(channel).to_vec(),
    };
    let fault = || Some(Fault { text: HOSTILE.join(" "), since_ms: i64::MIN, polls: u32::MAX });
    let mut nodes: Vec<NodeState> = HOSTILE
        .iter()
        .map(|name| NodeState {
            address: (*name).into(),
            hostname: HOSTILE[0].into(),
            version: HOSTILE[2].into(),
            server: HOSTILE[0].into(),
            health: HOSTILE[0].into(),
            start_time_s: i64::MAX,
            lookupds: vec![0, 999],
            tombstoned: vec![HOSTILE[0].into()],
            fault: fault(),
            vanished_since_ms: Some(i64::MAX),
            answered_at_ms: Some(i64::MAX),
            totals: Totals {
                depth: u64::MAX,
                in_flight: u64::MAX,
                deferred: 1,
                client_count: u64::MAX,
                ..Totals::default()
            },
            ..NodeState::default()
        })
        .collect();
    nodes.sort_by(|a, b| a.address.cmp(&b.address));
    let mut topics = HOSTILE.map(topic).to_vec();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let lookupd = |address: &str| LookupdState {
        address: address.into(),
        version: HOSTILE[0].into(),
        nodes: vec![(HOSTILE[0].into(), vec![HOSTILE[1].into()])],
        answered_at_ms: Some(0),
        ..LookupdState::default()
    };
    Snapshot {
        tick,
        at_ms: i64::try_from(tick).unwrap_or(i64::MAX).saturating_mul(10_000),
        monotonic_ms: tick.saturating_mul(10_000),
        interval_ms: 10_000,
        nodes,
        lookupds: vec![lookupd("l1"), LookupdState { nodes: Vec::new(), ..lookupd(HOSTILE[0]) }],
        topics,
        left_out: vec![("topics", u64::MAX)],
        ..Snapshot::default()
    }
}

fn every_page(context: &Context<'_>) -> Vec<(String, shell::Page)> {
    let mut pages = vec![
        ("overview".to_owned(), overview::page(context)),
        ("topics".to_owned(), topics::page(context)),
        ("channels".to_owned(), channels::page(context)),
        ("nodes".to_owned(), nodes::page(context)),
        ("lookup".to_owned(), lookup::page(context)),
        ("counter".to_owned(), counter::page(context)),
        ("search".to_owned(), search::page(context)),
        ("help".to_owned(), help::page(context)),
    ];
    for name in HOSTILE {
        pages.push((format!("topic {name}"), topic::page(context, name, None, None)));
        pages.push((format!("node {name}"), node::page(context, name)));
        for other in HOSTILE {
            pages.push((format!("channel {name} {other}"), channel::page(context, name, other, None)));
        }
    }
    pages
}

fn check(context: &Context<'_>) {
    let assets = assets::Assets::new(None);
    for (name, page) in every_page(context) {
        let markup = shell::document(context, &page, &assets).into_string();
        assert!(!markup.contains("<img src=x"), "{name} lets markup through");
        assert!(!markup.contains(" style="), "{name} has an inline style");
        assert!(!markup.contains(" onclick=") && !markup.contains("<script>"), "{name} has an inline script");
        assert!(!markup.contains("NaN") && !markup.contains(">inf"), "{name} writes what is no number");
        assert_eq!(markup.matches("<h1").count(), 1, "{name} has one first heading");
    }
}

fn with(snapshot: &Snapshot, watch: &Watch, verdict: &Verdict, query: &str, act: impl FnOnce(&Context<'_>)) {
    let site = Site {
        links: Links::new("/a/b"),
        cluster_name: HOSTILE[0].into(),
        version: "0".into(),
        peers: vec![("other".into(), "https://other.example/".into())],
        direct: false,
    };
    let (view, history) = (View::parse(query), watch.history());
    act(&Context {
        site: &site,
        snapshot,
        history: &history,
        verdict,
        policy: watch.policy(),
        view: &view,
        now_ms: snapshot.at_ms,
        may: May::Act,
    });
}

#[test]
fn hostile_upstreams_neither_break_nor_bend_a_page() {
    let watch = Watch::new(1 << 20, Policy::default());
    for tick in 1..40 {
        watch.tick(&hostile(tick), AdminFacts::default());
    }
    let mut verdict = (*watch.verdict()).clone();
    verdict.findings.extend(HOSTILE.map(|name| Finding {
        rule: "no-consumers",
        level: Level::Critical,
        subject: Subject::Channel(name.into(), name.into()),
        since: i64::MIN,
        stake: u64::MAX,
        growth: f32::MAX,
        figures: Vec::new(),
        sentence: HOSTILE.join(" "),
    }));
    for query in ["", "q=%3Cimg", "sort=-depth&page=99&per=1", "state=attention&range=1h", "sort=finding"] {
        with(&hostile(40), &watch, &verdict, query, check);
    }
}

#[test]
fn an_empty_cluster_and_one_not_asked_yet_have_pages() {
    let watch = Watch::new(0, Policy::default());
    let verdict = Verdict::default();
    with(&Snapshot::default(), &watch, &verdict, "", check);
    with(
        &Snapshot { tick: 1, interval_ms: 10_000, ..Snapshot::default() },
        &watch,
        &verdict,
        "q=x",
        |context| {
            check(context);
            // NSQ's shell is answered for every name.
            assert_eq!(node::page(context, "gone:1").status, 200);
            assert_eq!(topic::page(context, "gone", None, None).status, 200);
            assert_eq!(channel::page(context, "gone", "gone", None).status, 200);
        },
    );
}

#[test]
fn every_address_of_a_page_lies_under_the_base_path() {
    let watch = Watch::new(1 << 20, Policy::default());
    let verdict = Verdict::default();
    with(&hostile(3), &watch, &verdict, "", |context| {
        for (name, page) in every_page(context) {
            let markup = shell::document(context, &page, &assets::Assets::new(None)).into_string();
            for attribute in ["href=\"", "action=\"", "src=\""] {
                for address in markup.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
                    let own = address.starts_with("/a/b")
                        || address.starts_with('#')
                        || address.starts_with("https://other");
                    assert!(own, "{name} has {attribute}{address}");
                }
            }
        }
    });
}

#[test]
fn only_one_file_may_leave_text_unescaped() {
    fn look(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, found);
            } else if !path.ends_with("part/raw.rs") && !path.ends_with("ui/tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                if text.contains("PreEscaped") {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    let mut found = Vec::new();
    look(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.is_empty(), "PreEscaped in {found:?}");
}
