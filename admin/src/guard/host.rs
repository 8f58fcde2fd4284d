//! Names under which the daemon is addressed.
//!
//! A page of a stranger can have its own name resolve to our address (DNS rebinding). Its requests then have an
//! `Origin` equal to their `Host` and pass the check of origins; only the name gives them away.

/// Whether a request for `host` (with or without port) is one for us. `allowed` empty: every one is. An entry without
/// a port allows every port.
pub fn is_allowed(allowed: &[String], host: &str) -> bool {
    allowed.is_empty() || {
        let name = without_port(host);
        allowed.iter().any(|entry| entry.eq_ignore_ascii_case(host) || entry.eq_ignore_ascii_case(name))
    }
}

/// Whether the name is one of this very machine, or an address: no page of a stranger has such a name.
pub fn is_local(host: &str) -> bool {
    let name = without_port(host).trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => {
            // An IPv6 address without brackets has no port.
            if name.contains(':') && !name.starts_with('[') { host } else { name }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_allowed_names_pass_if_there_are_any() {
        let allowed = ["nsq.example".to_owned(), "other.example:8080".to_owned(), "[::1]".to_owned()];
        for (host, passes) in [
            ("nsq.example", true),
            ("NSQ.example:4171", true),
            ("other.example:8080", true),
            ("other.example:8081", false),
            ("other.example", false),
            ("[::1]:4171", true),
            ("evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(&allowed, host), passes, "{host}");
        }
        assert!(is_allowed(&[], "anything"));
    }

    #[test]
    fn addresses_and_localhost_are_local() {
        for (host, local) in [
            ("localhost:4171", true),
            ("127.0.0.1:4171", true),
            ("[::1]:4171", true),
            ("10.1.2.3", true),
            ("nsq.example", false),
        ] {
            assert_eq!(is_local(host), local, "{host}");
        }
    }
}
