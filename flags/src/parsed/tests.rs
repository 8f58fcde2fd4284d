use super::*;
use crate::flag::Kind;

const PROGRAM: Program =
    Program { name: "nsqd", version_line: "nsqd v1.3.0 (built w/test)", log_prefix: "[nsqd] " };

fn table() -> Vec<Flag> {
    vec![
        Flag::bool("version", "false", "version").not_in_file(),
        Flag::str("config", "", "file").not_in_file(),
        Flag::bool("verbose", "false", "nothing").not_in_file(),
        Flag::int("node-id", "12", "id").with_key("id"),
        Flag::int("max-rdy-count", "2500", "credit"),
        Flag::bool("deflate", "true", "compression"),
        Flag::duration("msg-timeout", "60s", "time"),
        Flag::list("lookupd-tcp-address", "addresses").with_key("nsqlookupd_tcp_addresses"),
        Flag::new("percentile", Kind::Floats, "", "percentiles").not_yet("there is no estimator."),
        Flag::str("log-prefix", "[nsqd] ", "prefix"),
    ]
}

fn from(arguments: &[&str], text: &str) -> Result<Parsed, Stop> {
    let given = command_line::parse("nsqd", &table(), arguments.iter().map(|&a| a.to_owned()))?;
    settle(table(), given, "f.cfg", &text.parse().unwrap())
}

fn started(arguments: &[&str]) -> Result<Parsed, Stop> {
    start(&PROGRAM, table(), arguments.iter().map(OsString::from))
}

#[test]
fn command_line_wins_over_file_over_default() {
    let parsed = from(
        &["--max-rdy-count=7", "--lookupd-tcp-address=b:1", "--lookupd-tcp-address=c:1", "--msg-timeout=60s"],
        "max_rdy_count = 5\nid = 3\nnsqlookupd_tcp_addresses = [\"a:1\"]\nmsg_timeout = \"1s\"",
    )
    .unwrap();
    assert_eq!(parsed.get_int("max-rdy-count"), 7);
    assert_eq!(parsed.get_int("node-id"), 3);
    assert_eq!(parsed.get_list("lookupd-tcp-address"), ["b:1", "c:1"]);
    assert_eq!(parsed.get_duration_ns("msg-timeout"), 60_000_000_000);
    assert!(parsed.get_bool("deflate"));
    assert_eq!(parsed.source("max-rdy-count"), Source::CommandLine);
    assert_eq!(parsed.source("node-id"), Source::File);
    assert_eq!(parsed.source("deflate"), Source::Default);
    assert!(parsed.is_set("msg-timeout") && !parsed.differs_from_default("msg-timeout"));
}

#[test]
fn unknown_keys_are_ignored_with_a_warning() {
    let parsed = from(
        &[],
        "nope = 1\nnode_id = 9\n\"max-rdy-count\" = 9\nMAX_RDY_COUNT = 9\nverbose = true\n[table]\nmax_rdy_count = 9",
    )
    .unwrap();
    assert_eq!(parsed.get_int("max-rdy-count"), 2500);
    assert_eq!(parsed.get_int("node-id"), 12);
    assert!(!parsed.get_bool("verbose"));
    assert_eq!(parsed.warnings().len(), 6);
    assert!(parsed.warnings().contains(&"config file f.cfg - nope: no such option, ignored".to_owned()));
}

#[test]
fn a_value_that_cannot_be_read_ends_the_start_with_file_and_key() {
    assert_eq!(
        from(&[], "max_rdy_count = 5.0").unwrap_err(),
        Stop::Refused("failed to load config file f.cfg - max_rdy_count: 5.0 is not an integer".into())
    );
}

#[test]
fn an_overridden_value_of_the_file_is_not_looked_at() {
    assert_eq!(from(&["--max-rdy-count=7"], "max_rdy_count = \"x\"").unwrap().get_int("max-rdy-count"), 7);
}

#[test]
fn version_is_answered_before_anything_else() {
    assert_eq!(started(&["--config=/nonexistent", "--version"]).unwrap_err(), Stop::Version);
    assert_eq!(started(&["--version=false"]).map(|_| ()), Ok(()));
}

#[test]
fn a_missing_file_ends_the_start_and_an_empty_name_is_none() {
    let Err(Stop::Refused(text)) = started(&["--config=/nonexistent/f"]) else { panic!() };
    assert!(text.starts_with("failed to load config file /nonexistent/f - "), "{text}");
    assert_eq!(started(&["--config="]).map(|_| ()), Ok(()));
}

#[test]
fn a_missing_feature_is_refused_only_when_asked_for() {
    assert_eq!(from(&[], "percentile = []").unwrap().refuse_unavailable(), Ok(()));
    let refused = Err(Stop::Refused("--percentile is not available yet: there is no estimator.".into()));
    assert_eq!(from(&["--percentile=1"], "").unwrap().refuse_unavailable(), refused);
    assert_eq!(from(&[], "percentile = [0.5]").unwrap().refuse_unavailable(), refused);
}

#[test]
fn options_are_shown_by_their_key() {
    let parsed = from(&[], "").unwrap();
    assert_eq!(parsed.render("id"), Some(Rendered::Json("12".into())));
    assert_eq!(parsed.render("log_prefix"), Some(Rendered::Text("[nsqd] ".into())));
    assert_eq!(parsed.render("msg_timeout"), Some(Rendered::Json("60000000000".into())));
    assert_eq!(parsed.render("nsqlookupd_tcp_addresses"), Some(Rendered::Json("[]".into())));
    for key in ["node_id", "verbose", "config", "version", "max-rdy-count", "MAX_RDY_COUNT", ""] {
        assert_eq!(parsed.render(key), None, "{key}");
    }
}

#[test]
fn each_stop_has_its_exit_code() {
    assert_eq!(started(&["-h"]).unwrap_err().exit_code(), 0);
    assert_eq!(Stop::Version.exit_code(), 0);
    assert_eq!(started(&["--nope"]).unwrap_err().exit_code(), 2);
    assert_eq!(Stop::Refused(String::new()).exit_code(), 1);
}
