//! The IDENTIFY handshake: the body a peer sends, and the reply.

use nsq_protocol::json::{self, push_string};

use crate::limits::IDENTIFY_TEXT_SIZE_MAX;
use crate::registry::Announcement;

/// Why a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is no JSON object of the right types.
    Json,
    /// A required field is missing, empty or zero.
    MissingFields,
    /// A text is longer than [`IDENTIFY_TEXT_SIZE_MAX`].
    TextTooLong,
}

/// Reads the body of IDENTIFY. Keys match in any case, `null` is a field that is not there, unknown fields are
/// skipped.
///
/// # Errors
///
/// See [`BodyError`].
pub fn decode(body: &[u8]) -> Result<Announcement, BodyError> {
    let mut said = Announcement::default();
    // Must be a text, and is not believed: the connection's own address counts.
    let mut remote_address = String::new();
    json::read_object(body, |key, value| {
        let is = |name| key.is_key(name);
        match () {
            () if is("broadcast_address") => value.read_text(&mut said.broadcast_address),
            () if is("hostname") => value.read_text(&mut said.hostname),
            () if is("tcp_port") => value.read_integer(&mut said.tcp_port),
            () if is("http_port") => value.read_integer(&mut said.http_port),
            () if is("version") => value.read_text(&mut said.version),
            () if is("topology_zone") => value.read_text(&mut said.topology_zone),
            () if is("topology_region") => value.read_text(&mut said.topology_region),
            () if is("remote_address") => value.read_text(&mut remote_address),
            () => Ok(()),
        }
    })
    .map_err(|_| BodyError::Json)?;
    let is_complete = !said.broadcast_address.is_empty()
        && !said.version.is_empty()
        && said.tcp_port != 0
        && said.http_port != 0;
    if !is_complete {
        return Err(BodyError::MissingFields);
    }
    let texts =
        [&said.broadcast_address, &said.hostname, &said.version, &said.topology_zone, &said.topology_region];
    let is_short = texts.iter().all(|text| text.len() <= IDENTIFY_TEXT_SIZE_MAX);
    if is_short { Ok(said) } else { Err(BodyError::TextTooLong) }
}

/// What this daemon says about itself, as nsqd wants to read it: it asks for channels at this address and HTTP
/// port.
pub fn reply(
    broadcast_address: &str,
    hostname: &str,
    tcp_port: u16,
    http_port: u16,
    version: &str,
) -> Vec<u8> {
    let mut json = String::from("{\"broadcast_address\":");
    push_string(&mut json, broadcast_address);
    json.push_str(",\"hostname\":");
    push_string(&mut json, hostname);
    json.push_str(&format!(",\"http_port\":{http_port},\"tcp_port\":{tcp_port},\"version\":"));
    push_string(&mut json, version);
    json.push('}');
    json.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"broadcast_address":"h","tcp_port":1,"http_port":-2,"version":"v"}"#;

    #[test]
    fn the_required_fields_suffice() {
        let said = decode(BODY.as_bytes()).unwrap();
        assert_eq!((said.tcp_port, said.http_port, &*said.hostname), (1, -2, ""));
        assert_eq!((&*said.broadcast_address, &*said.version), ("h", "v"));
    }

    #[test]
    fn keys_match_in_any_case_and_the_last_counts() {
        let body = br#"{"Broadcast_Address":"a","TCP_PORT":1,"http_port":2,"VERSION":"v","version":"w"}"#;
        assert_eq!(decode(body).unwrap().version, "w");
    }

    #[test]
    fn a_missing_null_empty_or_zero_field_is_missing() {
        for (from, to) in [("\"h\"", "\"\""), ("\"h\"", "null"), ("1", "0"), ("-2", "0"), ("\"v\"", "null")] {
            assert_eq!(decode(BODY.replacen(from, to, 1).as_bytes()), Err(BodyError::MissingFields));
        }
        for body in ["null", "{}"] {
            assert_eq!(decode(body.as_bytes()), Err(BodyError::MissingFields));
        }
    }

    #[test]
    fn a_text_longer_than_a_host_name_is_refused() {
        for field in ["broadcast_address", "hostname", "version", "topology_zone", "topology_region"] {
            let with = |size: usize| {
                let text = "<".repeat(size);
                BODY.replacen('}', &format!(",\"{field}\":\"{text}\"}}"), 1)
            };
            assert!(decode(with(255).as_bytes()).is_ok(), "{field}");
            assert_eq!(decode(with(256).as_bytes()), Err(BodyError::TextTooLong), "{field}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for body in ["", "x", "{", "[]", "\"s\"", "7", "true", "{} x"] {
            assert_eq!(decode(body.as_bytes()), Err(BodyError::Json), "{body}");
        }
        for (from, to) in
            [("1", "\"1\""), ("1", "1.5"), ("1", "true"), ("\"v\"", "1.3"), ("\"h\"", "[\"h\"]")]
        {
            assert_eq!(decode(BODY.replacen(from, to, 1).as_bytes()), Err(BodyError::Json));
        }
    }

    #[test]
    fn the_reply_is_an_object_with_sorted_keys() {
        let json = reply("b", "h", 4160, 4161, "1.3.0");
        let want =
            r#"{"broadcast_address":"b","hostname":"h","http_port":4161,"tcp_port":4160,"version":"1.3.0"}"#;
        assert_eq!(String::from_utf8(json).unwrap(), want);
    }
}
