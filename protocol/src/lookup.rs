//! What nsqd says to nsqlookupd and hears from it: lines out, length-prefixed payloads in.
//!
//! Unlike a client's connection, this one has no frame types: a reply is `size: u32, payload`, where the size
//! counts only the payload, and an error is a payload like any other.

use std::fmt::Write as _;

use crate::json::{self, JsonError};
use crate::limits::Topology;

/// The four bytes that open the connection.
pub const MAGIC_V1: &[u8; 4] = b"  V1";

/// Sent every 15 seconds, and answered by `OK`.
pub const PING: &[u8; 5] = b"PING\n";

/// What nsqd tells about itself. The ports and the address are those that consumers should dial.
#[derive(Clone, Copy, Debug)]
pub struct Registrant<'a> {
    /// `--broadcast-address`
    pub broadcast_address: &'a str,
    /// The machine's name.
    pub hostname: &'a str,
    /// `--broadcast-http-port`, or the one really bound.
    pub http_port: u16,
    /// `--broadcast-tcp-port`, or the one really bound.
    pub tcp_port: u16,
    /// Parsed as semver by the admin UI.
    pub version: &'a str,
    /// `None` keeps both keys out, as in NSQ 1.3.0.
    pub topology: Option<&'a Topology>,
}

/// Appends an IDENTIFY: line, size, JSON.
///
/// # Panics
///
/// Where the texts take 4 GiB; they come from the configuration.
pub fn encode_identify(out: &mut Vec<u8>, registrant: &Registrant<'_>) {
    let mut json = String::from("{\"broadcast_address\":");
    json::push_string(&mut json, registrant.broadcast_address);
    json.push_str(",\"hostname\":");
    json::push_string(&mut json, registrant.hostname);
    // Writing to a String cannot fail.
    let _ = write!(json, ",\"http_port\":{},\"tcp_port\":{}", registrant.http_port, registrant.tcp_port);
    if let Some(Topology { region, zone }) = registrant.topology {
        json.push_str(",\"topology_region\":");
        json::push_string(&mut json, region);
        json.push_str(",\"topology_zone\":");
        json::push_string(&mut json, zone);
    }
    json.push_str(",\"version\":");
    json::push_string(&mut json, registrant.version);
    json.push('}');
    let size = u32::try_from(json.len()).expect("invariant: the configuration is smaller than 4 GiB");
    out.extend_from_slice(b"IDENTIFY\n");
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(json.as_bytes());
}

/// Appends a REGISTER of a topic, or of a channel and with it its topic.
pub fn encode_register(out: &mut Vec<u8>, topic: &str, channel: Option<&str>) {
    encode_line(out, "REGISTER", topic, channel);
}

/// Appends an UNREGISTER of a topic and all its channels, or of one channel.
pub fn encode_unregister(out: &mut Vec<u8>, topic: &str, channel: Option<&str>) {
    encode_line(out, "UNREGISTER", topic, channel);
}

fn encode_line(out: &mut Vec<u8>, verb: &str, topic: &str, channel: Option<&str>) {
    for word in [Some(verb), Some(topic), channel].into_iter().flatten() {
        out.extend_from_slice(word.as_bytes());
        out.push(b' ');
    }
    if let Some(last) = out.last_mut() {
        *last = b'\n';
    }
}

/// A reply that is announced larger than the reader's bound. The stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTooBig(pub u32);

/// The payload of the first reply in `input` and the bytes it takes, or `None` while it is incomplete.
/// `size_max` bounds what the caller has to buffer; NSQ takes `--max-body-size`.
///
/// # Errors
///
/// As soon as the size is there and above `size_max`; a negative one counts as such.
pub fn decode_reply(input: &[u8], size_max: u32) -> Result<Option<(&[u8], usize)>, ReplyTooBig> {
    let Some((size, rest)) = input.split_first_chunk() else { return Ok(None) };
    let size = u32::from_be_bytes(*size);
    if size > size_max || i32::try_from(size).is_err() {
        return Err(ReplyTooBig(size));
    }
    Ok(rest.get(..size as usize).map(|payload| (payload, 4 + payload.len())))
}

/// Appends a reply, for the other side of the connection.
///
/// # Panics
///
/// Where `payload` takes 4 GiB.
pub fn encode_reply(out: &mut Vec<u8>, payload: &[u8]) {
    let size = u32::try_from(payload.len()).expect("invariant: a reply is smaller than 4 GiB");
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(payload);
}

/// What nsqlookupd tells about itself. Fields it left out are empty or 0; without a broadcast address it
/// cannot be asked for channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerInfo {
    /// Host of its HTTP interface.
    pub broadcast_address: String,
    /// Port of its HTTP interface. NSQ does not check the range, so neither is it here.
    pub http_port: i64,
    /// Port of this connection, for logs.
    pub tcp_port: i64,
    /// For logs.
    pub version: String,
}

/// Reads the reply to IDENTIFY.
///
/// # Errors
///
/// Where it is no JSON object of the right types, as every error reply is.
pub fn decode_peer_info(payload: &[u8]) -> Result<PeerInfo, JsonError> {
    let mut info = PeerInfo::default();
    json::read_object(payload, |key, value| {
        let is = |name| key.is_key(name);
        match () {
            () if is("broadcast_address") => value.read_text(&mut info.broadcast_address),
            () if is("http_port") => value.read_integer(&mut info.http_port),
            () if is("tcp_port") => value.read_integer(&mut info.tcp_port),
            () if is("version") => value.read_text(&mut info.version),
            () => Ok(()),
        }
    })?;
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Registrant<'static> = Registrant {
        broadcast_address: "host<1>",
        hostname: "h\"",
        http_port: 4151,
        tcp_port: 4150,
        version: "1.3.0",
        topology: None,
    };

    #[test]
    fn identify_has_its_keys_in_alphabetical_order() {
        let mut out = Vec::new();
        encode_identify(&mut out, &PEER);
        let json = concat!(
            r#"{"broadcast_address":"host\u003c1\u003e","hostname":"h\"","http_port":4151,"#,
            r#""tcp_port":4150,"version":"1.3.0"}"#
        );
        let size = u32::try_from(json.len()).unwrap().to_be_bytes();
        assert_eq!(out, [b"IDENTIFY\n", &size[..], json.as_bytes()].concat());
    }

    #[test]
    fn a_topology_stands_before_the_version() {
        let mut out = Vec::new();
        let topology = Topology { region: "r".into(), zone: "z".into() };
        encode_identify(&mut out, &Registrant { topology: Some(&topology), ..PEER });
        let tail = br#""tcp_port":4150,"topology_region":"r","topology_zone":"z","version":"1.3.0"}"#;
        assert!(out.ends_with(tail));
    }

    #[test]
    fn registrations_are_lines() {
        let mut out = Vec::new();
        encode_register(&mut out, "t", None);
        encode_register(&mut out, "t", Some("c"));
        encode_unregister(&mut out, "t", Some("c#ephemeral"));
        assert_eq!(out, b"REGISTER t\nREGISTER t c\nUNREGISTER t c#ephemeral\n");
    }

    #[test]
    fn a_reply_is_read_only_when_it_is_whole() {
        let mut bytes = Vec::new();
        encode_reply(&mut bytes, b"OK");
        for cut in 0..bytes.len() {
            assert_eq!(decode_reply(&bytes[..cut], 10), Ok(None));
        }
        bytes.push(b'x');
        assert_eq!(decode_reply(&bytes, 10), Ok(Some((&b"OK"[..], 6))));
    }

    #[test]
    fn a_reply_beyond_the_bound_is_refused_by_its_size() {
        assert_eq!(decode_reply(&[0, 0, 0, 11], 10), Err(ReplyTooBig(11)));
        assert_eq!(decode_reply(&[0xff; 4], u32::MAX), Err(ReplyTooBig(u32::MAX)));
    }

    #[test]
    fn peer_info_is_read_and_errors_are_not_mistaken_for_it() {
        let json =
            br#"{"broadcast_address":"b","hostname":"h","http_port":4161,"tcp_port":4160,"version":"1.3.0"}"#;
        let info = decode_peer_info(json).unwrap();
        assert_eq!((info.broadcast_address.as_str(), info.http_port, info.tcp_port), ("b", 4161, 4160));
        assert_eq!(decode_peer_info(b"E_INVALID cannot IDENTIFY again"), Err(JsonError));
        assert_eq!(decode_peer_info(b"{}"), Ok(PeerInfo::default()));
    }
}
