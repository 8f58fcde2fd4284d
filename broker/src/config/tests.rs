use super::*;

fn config(arguments: &[&str]) -> Result<Config, Stop> {
    Config::from_arguments(arguments.iter().map(OsString::from))
}

#[track_caller]
fn refused(arguments: &[&str]) -> String {
    match config(arguments) {
        Err(Stop::Refused(text)) => text,
        other => panic!("{arguments:?}: {other:?}"),
    }
}

#[track_caller]
fn shown(config: &Config, key: &str) -> String {
    match config.render(key) {
        Some(Rendered::Text(text) | Rendered::Json(text)) => text,
        None => panic!("{key} is not shown"),
    }
}

#[test]
fn the_defaults_are_nsqs() {
    let config = config(&["--node-id=12", "--broadcast-address=127.0.0.1"]).unwrap();
    let defaults = Limits::default();
    let limits = config.limits.clone();
    assert_eq!(Limits { features: defaults.features, ..limits }, defaults);
    assert_eq!(config.tcp_address, Endpoint::Tcp { host: "0.0.0.0".into(), port: 4150 });
    assert_eq!(config.http_address, Some(Endpoint::Tcp { host: "0.0.0.0".into(), port: 4151 }));
    assert_eq!(config.data_path, PathBuf::from("."));
    assert_eq!(config.durability, Durability::Sync);
    assert_eq!(config.recover, Recover::Refuse);
    assert_eq!(config.transport, Transport::Auto);
    assert_eq!(config.consumers_per_channel_max, usize::MAX);
    assert_eq!(config.cache_bytes_max, 256 << 20);
    assert!(config.warnings().is_empty());
}

#[test]
fn every_default_is_shown_as_nsqd_shows_it() {
    let config = config(&["--node-id=12", "--broadcast-address=127.0.0.1"])
        .unwrap()
        .with_bound_ports(Some(4150), Some(4151));
    let expected: &[(&str, &str)] = &[
        ("id", "12"),
        ("log_level", "2"),
        ("log_prefix", "[nsqd] "),
        ("tcp_address", "0.0.0.0:4150"),
        ("http_address", "0.0.0.0:4151"),
        ("https_address", "0.0.0.0:4152"),
        ("broadcast_tcp_port", "4150"),
        ("broadcast_http_port", "4151"),
        ("nsqlookupd_tcp_addresses", "[]"),
        ("auth_http_addresses", "[]"),
        ("http_client_connect_timeout", "2000000000"),
        ("http_client_request_timeout", "5000000000"),
        ("data_path", ""),
        ("mem_queue_size", "10000"),
        ("max_bytes_per_file", "104857600"),
        ("sync_every", "2500"),
        ("sync_timeout", "2000000000"),
        ("queue_scan_worker_pool_max", "4"),
        ("queue_scan_selection_count", "20"),
        ("msg_timeout", "60000000000"),
        ("max_msg_timeout", "900000000000"),
        ("max_msg_size", "1048576"),
        ("max_body_size", "5242880"),
        ("max_req_timeout", "3600000000000"),
        ("max_heartbeat_interval", "60000000000"),
        ("max_rdy_count", "2500"),
        ("max_output_buffer_size", "65536"),
        ("max_output_buffer_timeout", "30000000000"),
        ("min_output_buffer_timeout", "25000000"),
        ("output_buffer_timeout", "250000000"),
        ("max_channel_consumers", "0"),
        ("statsd_address", ""),
        ("statsd_prefix", "nsq.127_0_0_1_4151."),
        ("statsd_interval", "60000000000"),
        ("statsd_mem_stats", "true"),
        ("statsd_udp_packet_size", "508"),
        ("statsd_exclude_ephemeral", "false"),
        ("e2e_processing_latency_window_time", "600000000000"),
        ("e2e_processing_latency_percentiles", "[]"),
        ("tls_cert", ""),
        ("tls_key", ""),
        ("tls_client_auth_policy", ""),
        ("tls_root_ca_file", ""),
        ("tls_required", "0"),
        ("tls_min_version", "769"),
        ("deflate", "true"),
        ("max_deflate_level", "6"),
        ("snappy", "true"),
        ("durability", "sync"),
    ];
    for (key, text) in expected {
        assert_eq!(shown(&config, key), *text, "{key}");
    }
    for key in
        ["verbose", "worker_id", "config", "version", "node_id", "lookupd_tcp_address", "MAX_MSG_SIZE", ""]
    {
        assert_eq!(config.render(key), None, "{key}");
    }
}

#[test]
fn announced_ports_are_those_bound_unless_named() {
    let bound =
        config(&["--tcp-address=/run/nsqd.sock", "--broadcast-http-port=80", "--broadcast-address=10.1.2.3"])
            .unwrap()
            .with_bound_ports(None, Some(5151));
    assert_eq!(bound.tcp_address, Endpoint::Unix("/run/nsqd.sock".into()));
    assert_eq!(bound.broadcast_tcp_port, 0);
    assert_eq!(bound.broadcast_http_port, 80);
}

#[test]
fn the_statsd_prefix_carries_the_host() {
    let prefix = |arguments: &[&str]| config(arguments).unwrap().statsd_prefix();
    let host = ["--broadcast-address=10.1.2.3", "--broadcast-http-port=80"];
    assert_eq!(prefix(&[host[0], host[1], "--statsd-prefix=a.%s.b.%s"]), "a.10_1_2_3_80.b.10_1_2_3_80.");
    assert_eq!(prefix(&[host[0], host[1], "--statsd-prefix=p."]), "p.");
    assert_eq!(prefix(&[host[0], host[1], "--statsd-prefix="]), "");
    assert_eq!(prefix(&["--broadcast-address=::1", host[1], "--statsd-prefix=%s"]), "[__1]_80.");
}

#[test]
fn a_wrong_value_is_refused_in_nsqs_words() {
    let cases: &[(&[&str], &str)] = &[
        (&["--node-id=1024"], "--node-id must be [0,1024)"),
        (&["--node-id=-1"], "--node-id must be [0,1024)"),
        (&["--max-deflate-level=0"], "--max-deflate-level must be [1,9]"),
        (&["--max-deflate-level=10"], "--max-deflate-level must be [1,9]"),
        (&["--tls-required"], "cannot require TLS client connections without TLS key and cert"),
        (&["--tls-required=tcp-https"], "cannot require TLS client connections without TLS key and cert"),
        (&["--tls-client-auth-policy=x"], "cannot require TLS client connections without TLS key and cert"),
        (&["--tls-cert=c"], "failed to build TLS config - --tls-cert and --tls-key must be given together"),
        (&["--tls-key=k"], "failed to build TLS config - --tls-cert and --tls-key must be given together"),
        (&["--auth-http-request-method=GET"], "--auth-http-request-method must be post or get"),
        (&["--e2e-processing-latency-percentile=0"], "invalid E2E processing latency percentile: 0"),
        (&["--e2e-processing-latency-percentile=1.5"], "invalid E2E processing latency percentile: 1.5"),
        (
            &["--tcp-address=nonsense:port"],
            "listen (nonsense:port) failed - listen tcp: lookup tcp/port: unknown port",
        ),
        (&["--http-address=h:99999"], "listen (h:99999) failed - listen tcp: address 99999: invalid port"),
        (&["--tcp-address="], "--tcp-address must not be empty"),
        (&["--output-buffer-timeout=0"], "--output-buffer-timeout must be greater than 0"),
        (&["--sync-timeout=0"], "--sync-timeout must be greater than 0"),
        (&["--max-req-timeout=-1s"], "--max-req-timeout must not be negative"),
        (&["--max-req-timeout=1193h2m48s"], "--max-req-timeout must be at most 1193h2m47s"),
        (&["--max-msg-size=0"], "--max-msg-size must be [1,67108830]"),
        (&["--shards=65"], "--shards must be [0,64]"),
    ];
    for (arguments, text) in cases {
        assert_eq!(refused(arguments), format!("failed to instantiate nsqd - {text}"));
    }
}

#[test]
fn a_missing_feature_is_refused_and_never_ignored() {
    let missing: &[&[&str]] = &[
        &["--tls-cert=c", "--tls-key=k"],
        &["--tls-cert=c", "--tls-key=k", "--tls-required=true"],
        &["--tls-root-ca-file=ca"],
        &["--auth-http-address=127.0.0.1:1"],
        &["--statsd-address=127.0.0.1:8125"],
        &["--topology-region=r"],
        &["--topology-zone=z"],
        &["--enable-experiment=topology-aware-consumption"],
    ];
    for arguments in missing {
        let text = refused(arguments);
        assert!(text.contains(" is not available yet: "), "{text}");
    }
    let harmless: &[&str] = &[
        "--tls-min-version=tls1.2",
        "--tls-required=false",
        "--tls-cert=",
        "--statsd-address=",
        "--statsd-interval=1s",
        "--auth-http-request-method=post",
        "--snappy=false",
        "--e2e-processing-latency-window-time=1s",
    ];
    // What goes with a missing feature changes nothing without it. It is said, and the start goes on.
    let warnings = config(harmless).unwrap().warnings();
    for flag in ["tls-min-version", "statsd-interval", "auth-http-request-method"] {
        assert!(warnings.iter().any(|w| w.starts_with(&format!("--{flag} has no effect: "))), "{warnings:?}");
    }
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn no_limit_is_the_largest_number() {
    let config = config(&["--max-connections=7"]).unwrap();
    assert_eq!(config.connections_max, 7);
}

#[test]
fn our_own_words_are_read() {
    let config = config(&[
        "--durability=Async",
        "--recover=quarantine",
        "--transport=glommio",
        "--mem-cache-size=1GiB",
        "--cores=2",
        "--shards=4",
        "--http-address=",
    ])
    .unwrap();
    assert_eq!(config.durability, Durability::Async);
    assert_eq!(config.recover, Recover::Quarantine);
    assert_eq!(config.transport, Transport::Glommio);
    assert_eq!(config.cache_bytes_max, 1 << 30);
    assert_eq!((config.cores, config.shards), (2, 4));
    assert_eq!(config.http_address, None);
    assert_eq!(config.warnings().len(), 1);
}

#[test]
fn deprecated_flags_do_nothing_but_warn() {
    let deprecated = config(&["--verbose", "--worker-id", "--node-id=3"]).unwrap();
    assert_eq!(deprecated.node_id, 3);
    assert_eq!(deprecated.log_level, Level::Info);
    assert_eq!(deprecated.warnings().len(), 2);
    assert!(matches!(config(&["--worker-id=5"]), Err(Stop::Usage { .. })));
}

#[test]
fn the_version_line_names_the_version_that_clients_parse() {
    let start = format!("nsqd v{} (built w/", nsq_protocol::limits::NSQ_VERSION);
    let build = PROGRAM.version_line.strip_prefix(&start).and_then(|rest| rest.strip_suffix(')')).unwrap();
    assert!(!build.is_empty() && !build.contains(' '), "one word, as in NSQ: {build}");
    assert!(matches!(config(&["--version", "--max-deflate-level=99"]), Err(Stop::Version)));
}

#[test]
fn every_key_of_the_table_is_its_own() {
    let table = options::options("h");
    for (i, flag) in table.iter().enumerate() {
        for other in &table[i + 1..] {
            assert_ne!(flag.name, other.name);
            assert!(flag.file_key().is_none() || flag.file_key() != other.file_key(), "{}", flag.name);
        }
        assert!(!flag.help.ends_with('.') && !flag.help.contains('\n'), "{}", flag.name);
    }
}

/// Whatever an operator writes, the start goes on or ends with a sentence.
#[test]
fn no_value_of_any_flag_is_a_panic() {
    use nsq_flags::Kind;
    for flag in options::options("h") {
        let values: &[&str] = match flag.kind {
            Kind::Duration => {
                &["-1s", "-1ns", "-2562047h", "0", "0s", "2562047h47m16s", "9223372036854775807ns", "1"]
            }
            Kind::Int | Kind::Bytes => &[
                "-1",
                "0",
                "1",
                "-9223372036854775808",
                "9223372036854775807",
                "9223372036854775808",
                "8GiB",
                "9999999999GiB",
            ],
            Kind::Floats => &["-1", "0", "2", "inf", "-inf", "NaN", "1e999", "1e-999"],
            _ => &["", "-1", "0", "\u{0}", "🦀", "true", "[::1", ":"],
        };
        for value in values {
            let argument = format!("--{}={value}", flag.name);
            let result = std::panic::catch_unwind(|| config(&[&argument]));
            match result.unwrap_or_else(|_| panic!("{argument} panics")) {
                Ok(config) => drop(config.warnings()),
                Err(stop) => assert!(matches!(stop.exit_code(), 0..=2), "{argument}"),
            }
        }
    }
}

#[test]
fn a_negative_span_of_time_is_refused_by_name() {
    for flag in options::options("h").iter().filter(|flag| flag.kind == nsq_flags::Kind::Duration) {
        let text = refused(&[&format!("--{}=-1s", flag.name)]);
        assert!(text.starts_with(&format!("failed to instantiate nsqd - --{} must ", flag.name)), "{text}");
    }
}

#[test]
fn no_time_out_towards_nsqlookupd_means_none() {
    let config = config(&["--http-client-connect-timeout=0", "--http-client-request-timeout=0s"]).unwrap();
    assert_eq!((config.http_client_connect_timeout_ns, config.http_client_request_timeout_ns), (0, 0));
}
