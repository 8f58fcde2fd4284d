use super::*;

fn fresh(limits: &Limits) -> Identity {
    Identity::new("127.0.0.1".into(), limits)
}

/// One IDENTIFY on a fresh connection: its payload, and who the client is then.
fn run(body: &str, limits: &Limits) -> (String, Identity) {
    let mut identity = fresh(limits);
    let payload = match identify(body.as_bytes(), limits, &mut identity) {
        Ok(reply) => reply.payload,
        Err(error) => error.payload(),
    };
    (String::from_utf8(payload).unwrap(), identity)
}

/// The named fields of the negotiated reply, or the error.
fn ask(fields: &str, keys: &[&str], limits: &Limits) -> String {
    let separator = if fields.is_empty() { "" } else { "," };
    let (payload, _) = run(&format!("{{\"feature_negotiation\":true{separator}{fields}}}"), limits);
    match serde_json::from_str::<serde_json::Value>(&payload) {
        Ok(reply) => keys.iter().map(|&key| reply[key].to_string()).collect::<Vec<_>>().join(" "),
        Err(_) => payload,
    }
}

#[test]
fn the_reply_has_nsqs_keys_in_nsqs_order() {
    let (payload, _) = run(r#"{"feature_negotiation":true}"#, &Limits::default());
    let expected = concat!(
        r#"{"max_rdy_count":2500,"version":"1.3.0","max_msg_timeout":900000,"msg_timeout":60000,"#,
        r#""tls_v1":false,"deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false,"#,
        r#""sample_rate":0,"auth_required":false,"output_buffer_size":16384,"output_buffer_timeout":250}"#
    );
    assert_eq!(payload, expected);
}

#[test]
fn a_configured_topology_is_told_at_the_end() {
    let topology = Some(Topology { region: "r\"".into(), zone: String::new() });
    let (payload, _) = run(r#"{"feature_negotiation":true}"#, &Limits { topology, ..Limits::default() });
    assert!(payload.ends_with(r#""output_buffer_timeout":250,"topology_region":"r\"","topology_zone":""}"#));
}

#[test]
fn the_reply_tells_the_options() {
    let limits = Limits {
        credit_max: 17,
        message_timeout_ns_max: 1_200_000 * NS_PER_MS,
        message_timeout_ns_default: 90_000 * NS_PER_MS,
        deflate_level_max: 4,
        output_buffer_timeout_ns_default: 100 * NS_PER_MS,
        auth_enabled: true,
        ..Limits::default()
    };
    let keys = [
        "max_rdy_count",
        "max_msg_timeout",
        "msg_timeout",
        "deflate_level",
        "max_deflate_level",
        "auth_required",
        "output_buffer_timeout",
    ];
    assert_eq!(ask("", &keys, &limits), "17 1200000 90000 4 4 true 100");
}

#[test]
fn what_a_client_says_of_itself_is_kept_up_to_a_bound() {
    let long = "x".repeat(IDENTITY_TEXT_BYTES_MAX - 1) + "ä" + &"y".repeat(300_000);
    let body = format!(r#"{{"client_id":"{long}","hostname":"h","user_agent":"{long}"}}"#);
    let (payload, identity) = run(&body, &Limits::default());
    assert_eq!(payload, "OK", "its size is no error");
    assert_eq!(identity.client_id, "x".repeat(IDENTITY_TEXT_BYTES_MAX - 1), "cut before a character");
    assert_eq!((identity.hostname.as_str(), identity.user_agent.len()), ("h", IDENTITY_TEXT_BYTES_MAX - 1));
    assert!(identity.client_id.capacity() <= IDENTITY_TEXT_BYTES_MAX);
}

#[test]
fn without_negotiation_the_reply_is_ok_and_nothing_is_granted() {
    for body in [
        "{}",
        "null",
        r#"{"feature_negotiation":false}"#,
        r#"{"feature_negotiation":null}"#,
        r#"{"snappy":true,"deflate":true,"tls_v1":true}"#,
    ] {
        let limits = Limits {
            features: crate::limits::Features { tls: true, snappy: true, deflate: true },
            ..Limits::default()
        };
        let reply = identify(body.as_bytes(), &limits, &mut fresh(&limits)).unwrap();
        assert_eq!(
            (reply.payload.as_slice(), reply.tls, reply.compression),
            (&b"OK"[..], false, None),
            "{body}"
        );
    }
}

#[test]
fn bodies_that_do_not_decode_are_refused() {
    let mut bodies = vec!["x", "{", "[]", "\"{}\"", "5", "{}{}", "{} x", " "];
    bodies.extend([
        r#"{"client_id":1}"#,
        r#"{"client_id":{}}"#,
        r#"{"hostname":true}"#,
        r#"{"user_agent":[]}"#,
        r#"{"feature_negotiation":"true"}"#,
        r#"{"feature_negotiation":1}"#,
        r#"{"tls_v1":0}"#,
        r#"{"snappy":""}"#,
        r#"{"deflate":[]}"#,
        r#"{"heartbeat_interval":30000.0}"#,
        r#"{"heartbeat_interval":"30000"}"#,
        r#"{"heartbeat_interval":3e4}"#,
        r#"{"heartbeat_interval":true}"#,
        r#"{"heartbeat_interval":99999999999999999999}"#,
        r#"{"output_buffer_size":1.5}"#,
        r#"{"output_buffer_timeout":""}"#,
        r#"{"msg_timeout":1.0}"#,
        r#"{"sample_rate":5.0}"#,
        r#"{"sample_rate":2147483648}"#,
        r#"{"deflate_level":"6"}"#,
        r#"{"topology_zone":1}"#,
    ]);
    for body in bodies {
        assert_eq!(
            run(body, &Limits::default()).0,
            "E_BAD_BODY IDENTIFY failed to decode JSON body",
            "{body}"
        );
    }
}

#[test]
fn fields_out_of_range_are_refused_by_name() {
    let cases = [
        ("heartbeat_interval", "heartbeat interval", vec![999, 60_001, 1, -2, -1000, 2_147_483_648_i64]),
        ("output_buffer_timeout", "output buffer timeout", vec![24, 1, 30_001, -2]),
        ("output_buffer_size", "output buffer size", vec![63, 1, 65_537, -2]),
        ("sample_rate", "sample rate", vec![100, -1, 2_147_483_647, -2_147_483_648]),
        ("msg_timeout", "msg timeout", vec![999, 900_001, 1, -1]),
    ];
    for (field, name, values) in cases {
        for value in values {
            let expected = format!("E_BAD_BODY IDENTIFY {name} ({value}) is invalid");
            let (payload, identity) = run(&format!("{{\"{field}\":{value}}}"), &Limits::default());
            assert_eq!(payload, expected);
            assert_eq!(identity, fresh(&Limits::default()), "a refused IDENTIFY changes nothing");
        }
    }
}

#[test]
fn fields_within_range_are_told() {
    let cases = [
        ("output_buffer_size", "output_buffer_size", vec![(0, 16384), (64, 64), (65536, 65536), (-1, 1)]),
        ("output_buffer_timeout", "output_buffer_timeout", vec![(0, 250), (25, 25), (30000, 30000), (-1, 0)]),
        ("sample_rate", "sample_rate", vec![(0, 0), (1, 1), (99, 99)]),
        ("msg_timeout", "msg_timeout", vec![(0, 60000), (1000, 1000), (900_000, 900_000)]),
    ];
    for (field, key, values) in cases {
        for (value, told) in values {
            assert_eq!(ask(&format!("\"{field}\":{value}"), &[key], &Limits::default()), told.to_string());
        }
    }
}

#[test]
fn checks_come_in_nsqs_order() {
    let mut fields = vec![
        ("\"heartbeat_interval\":5", "E_BAD_BODY IDENTIFY heartbeat interval (5) is invalid"),
        ("\"output_buffer_timeout\":5", "E_BAD_BODY IDENTIFY output buffer timeout (5) is invalid"),
        ("\"output_buffer_size\":5", "E_BAD_BODY IDENTIFY output buffer size (5) is invalid"),
        ("\"sample_rate\":500", "E_BAD_BODY IDENTIFY sample rate (500) is invalid"),
        ("\"msg_timeout\":5", "E_BAD_BODY IDENTIFY msg timeout (5) is invalid"),
        (
            "\"snappy\":true,\"deflate\":true",
            "E_IDENTIFY_FAILED cannot enable both deflate and snappy compression",
        ),
    ];
    while let Some(&(_, error)) = fields.first() {
        let all: Vec<_> = fields.iter().map(|&(field, _)| field).collect();
        assert_eq!(ask(&all.join(","), &[], &Limits::default()), error);
        fields.remove(0);
    }
}

#[test]
fn the_default_message_timeout_may_lie_outside_the_range() {
    let limits = Limits {
        message_timeout_ns_default: 500 * NS_PER_MS,
        message_timeout_ns_max: 5_000 * NS_PER_MS,
        ..Limits::default()
    };
    assert_eq!(ask("\"msg_timeout\":0", &["msg_timeout"], &limits), "500");
    assert_eq!(ask("\"msg_timeout\":500", &[], &limits), "E_BAD_BODY IDENTIFY msg timeout (500) is invalid");
}

#[test]
fn no_buffer_means_no_flush_period_whatever_was_asked() {
    let keys = ["output_buffer_size", "output_buffer_timeout"];
    let ask = |fields| ask(fields, &keys, &Limits::default());
    assert_eq!(ask(r#""output_buffer_size":-1"#), "1 0");
    assert_eq!(ask(r#""output_buffer_size":-1,"output_buffer_timeout":1000"#), "1 0");
    assert_eq!(ask(r#""output_buffer_size":128,"output_buffer_timeout":-1"#), "128 0");
}

#[test]
fn the_deflate_level_is_capped_and_six_where_it_does_not_matter() {
    let limits = Limits { deflate_level_max: 8, ..Limits::default() };
    for (asked, level) in [(1, 1), (5, 5), (8, 8), (9, 8), (100, 8), (0, 6), (-1, 6)] {
        let fields = format!("\"deflate\":true,\"deflate_level\":{asked}");
        assert_eq!(ask(&fields, &["deflate", "deflate_level"], &limits), format!("true {level}"));
    }
    let keys = ["deflate", "deflate_level"];
    assert_eq!(ask(r#""deflate_level":3"#, &keys, &Limits::default()), "false 6");
    let limits = Limits { deflate_level_max: 2, ..Limits::default() };
    assert_eq!(ask(r#""deflate":true"#, &keys, &limits), "true 2");
    assert_eq!(ask(r#""deflate":false"#, &keys, &limits), "false 2");
}

#[test]
fn only_what_is_available_is_granted() {
    let mut limits = Limits::default();
    let grant = |limits: &Limits| {
        let body =
            br#"{"feature_negotiation":true,"tls_v1":true,"snappy":true,"deflate":true,"deflate_level":3}"#;
        identify(body, limits, &mut fresh(limits)).map(|reply| (reply.tls, reply.compression))
    };
    assert_eq!(grant(&limits), Err(WireError::identify_two_compressions()));
    limits.features.snappy = false;
    assert_eq!(grant(&limits), Ok((false, Some(Compression::Deflate { level: 3 }))));
    limits.features.deflate = false;
    assert_eq!(grant(&limits), Ok((false, None)));
    limits.features.snappy = true;
    limits.features.tls = true;
    assert_eq!(grant(&limits), Ok((true, Some(Compression::Snappy))));
}

#[test]
fn names_become_empty_unless_given() {
    let (_, identity) = run(r#"{"user_agent":"a"}"#, &Limits::default());
    assert_eq!((identity.client_id.as_str(), identity.hostname.as_str()), ("", ""));
    assert_eq!(identity.user_agent, "a");
}

#[test]
fn keys_match_in_any_case_and_the_last_counts() {
    let body = r#"{"CLIENT_ID":"a","client_id":"b","Client_Id":null,"MSG_TIMEOUT":7000,"msg_timeout":8000}"#;
    let (_, identity) = run(body, &Limits::default());
    assert_eq!(identity.client_id, "b");
    assert_eq!(identity.message_timeout_ns, 8_000_000_000);
}

#[test]
fn a_later_identify_keeps_timeouts_and_buffer_but_not_the_sample_rate() {
    let limits = Limits::default();
    let mut identity = fresh(&limits);
    let first = concat!(
        r#"{"msg_timeout":5000,"sample_rate":9,"output_buffer_size":128,"output_buffer_timeout":500,"#,
        r#""heartbeat_interval":-1,"client_id":"x"}"#
    );
    identify(first.as_bytes(), &limits, &mut identity).unwrap();
    identify(b"{}", &limits, &mut identity).unwrap();
    let expected = Identity {
        client_id: String::new(),
        hostname: String::new(),
        user_agent: String::new(),
        heartbeat_interval_ms: None,
        output_buffer_size: 128,
        output_buffer_timeout_ns: 500_000_000,
        sample_rate: 0,
        message_timeout_ns: 5_000_000_000,
        topology: Topology::default(),
    };
    assert_eq!(identity, expected);
}
