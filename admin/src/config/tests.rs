use super::*;

fn start(arguments: &[&str]) -> Result<Config, Stop> {
    Config::start(arguments.iter().map(|argument| (*argument).into())).map(|(config, _)| config)
}

fn with_lookupd(arguments: &[&str]) -> Result<Config, Stop> {
    let mut all = vec!["--lookupd-http-address=127.0.0.1:4161"];
    all.extend(arguments);
    start(&all)
}

fn refusal(arguments: &[&str]) -> String {
    match with_lookupd(arguments) {
        Err(Stop::Refused(text)) => text,
        other => panic!("{arguments:?}: {other:?}"),
    }
}

#[test]
fn the_defaults_are_nsqs() {
    let config = with_lookupd(&[]).unwrap();
    assert_eq!(config.http_address, "0.0.0.0:4171");
    assert_eq!(config.base_path, "");
    assert_eq!(config.statsd.prefix, "nsq.%s");
    assert_eq!(config.statsd.counter_format, "stats.counters.%s.count");
    assert_eq!(config.statsd.gauge_format, "stats.gauges.%s");
    assert_eq!(config.statsd.interval, Duration::from_secs(60));
    assert_eq!(config.timeouts.connect, Duration::from_secs(2));
    assert_eq!(config.timeouts.request, Duration::from_secs(5));
    assert_eq!(config.acl.header.as_str(), "x-forwarded-user");
    assert!(config.config_cidr.unwrap().contains("127.3.2.1".parse().unwrap()));
    assert!(config.acl.is_admin(None));
}

#[test]
fn exactly_one_kind_of_address_is_needed() {
    assert!(matches!(start(&[]), Err(Stop::Refused(_))));
    assert!(refusal(&["--nsqd-http-address=127.0.0.1:4151"]).contains("not both"));
    assert!(start(&["--nsqd-http-address=127.0.0.1:4151"]).is_ok());
}

#[test]
fn what_cannot_work_is_refused_with_the_flag_in_the_text() {
    for (arguments, flag) in [
        (&["--lookupd-http-address=http://127.0.0.1:4161"][..], "--lookupd-http-address"),
        (&["--http-client-tls-cert=/x"], "--http-client-tls-key"),
        (&["--http-client-tls-cert=/no/x", "--http-client-tls-key=/no/y"], "/no/x"),
        (&["--http-client-tls-root-ca-file=/no/x"], "/no/x"),
        (&["--proxy-graphite", "--graphite-url=http://[::1"], "--graphite-url"),
        (&["--proxy-graphite", "--graphite-url=file:///etc/passwd"], "--graphite-url"),
        (&["--allow-config-from-cidr=10.0.0.1"], "--allow-config-from-cidr"),
        (&["--acl-trusted-cidr=10.0.0.1"], "--acl-trusted-cidr"),
        (&["--acl-http-header=a b"], "--acl-http-header"),
        (&["--poll-interval=10ms"], "--poll-interval"),
        (&["--poll-interval=-1s"], "--poll-interval"),
        (&["--peer-link=a=javascript:x"], "--peer-link"),
        (&["--trusted-origin=nsq.example"], "--trusted-origin"),
        (&["--notification-http-endpoint=nonsense"], "--notification-http-endpoint"),
    ] {
        assert!(refusal(arguments).contains(flag), "{arguments:?}: {}", refusal(arguments));
    }
}

#[test]
fn the_version_is_that_of_the_protocol_crate() {
    let line = PROGRAM.version_line;
    assert!(line.starts_with(&format!("nsqadmin v{} (built w/", nsq_protocol::limits::NSQ_VERSION)));
    assert_eq!(start(&["--version"]).unwrap_err(), Stop::Version);
}

/// Whatever an operator writes, the start goes on or ends with a sentence.
#[test]
fn no_value_of_any_flag_is_a_panic() {
    for flag in options::table().iter().filter(|flag| flag.name != "config") {
        for value in [
            "-1s",
            "-1ns",
            "-1",
            "0",
            "-2562047h",
            "9223372036854775807ns",
            "9223372036854775808",
            "",
            "\u{0}",
        ] {
            let argument = format!("--{}={value}", flag.name);
            let ended = std::panic::catch_unwind(|| with_lookupd(&[&argument]).map(drop));
            if let Err(stop) = ended.unwrap_or_else(|_| panic!("{argument} panics")) {
                assert!(matches!(stop.exit_code(), 0..=2), "{argument}");
            }
        }
    }
}
