//! IDENTIFY: what a client may ask for, what it is granted, and the JSON that tells it.

use std::fmt::Write as _;

use crate::error::WireError;
use crate::json::{self, JsonError, Text, Value};
use crate::limits::{
    DEFLATE_LEVEL_DEFAULT, HEARTBEAT_INTERVAL_MS_DEFAULT, HEARTBEAT_INTERVAL_MS_MIN, IDENTITY_TEXT_BYTES_MAX,
    Limits, MESSAGE_TIMEOUT_MS_MIN, NS_PER_MS, NSQ_VERSION, OUTPUT_BUFFER_SIZE_DEFAULT,
    OUTPUT_BUFFER_SIZE_MIN, SAMPLE_RATE_MAX, Topology,
};

/// Who a client says it is, and the settings in force on its connection.
///
/// The texts are as the client made them, up to [`IDENTITY_TEXT_BYTES_MAX`] bytes each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// For statistics only. The remote IP until the first IDENTIFY, then whatever that says, also nothing.
    pub client_id: String,
    /// As `client_id`.
    pub hostname: String,
    /// For statistics only.
    pub user_agent: String,
    /// `None`: no heartbeats and no deadlines.
    pub heartbeat_interval_ms: Option<u64>,
    /// 1: every write goes straight through.
    pub output_buffer_size: u64,
    /// 0: no flush by time.
    pub output_buffer_timeout_ns: u64,
    /// 0 to 99; 0 is no sampling.
    pub sample_rate: u8,
    /// How long a message may be in flight on this connection.
    pub message_timeout_ns: u64,
    /// Compared with the daemon's for topology-aware delivery.
    pub topology: Topology,
}

impl Identity {
    /// Of a connection that has not identified itself.
    pub(crate) fn new(remote_ip: String, limits: &Limits) -> Self {
        Self {
            client_id: remote_ip.clone(),
            hostname: remote_ip,
            user_agent: String::new(),
            heartbeat_interval_ms: Some(HEARTBEAT_INTERVAL_MS_DEFAULT),
            output_buffer_size: OUTPUT_BUFFER_SIZE_DEFAULT,
            output_buffer_timeout_ns: limits.output_buffer_timeout_ns_default.unsigned_abs(),
            sample_rate: 0,
            message_timeout_ns: limits.message_timeout_ns_default.unsigned_abs(),
            topology: Topology::default(),
        }
    }
}

/// The compression to switch to, in both directions. One `OK` frame in the new encoding follows the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// The snappy framing format.
    Snappy,
    /// Raw deflate.
    Deflate {
        /// 1 to 9, for our direction; the client picks its own.
        level: u8,
    },
}

/// What an IDENTIFY leads to. The settings themselves are in [`crate::Session::identity`] already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentifyReply {
    /// Payload of the response frame, to be sent in the encoding in force: `OK` or a JSON object.
    pub payload: Vec<u8>,
    /// Whether this was the connection's first IDENTIFY. Only that one sets the heartbeat period, the flush
    /// period, and the sample rate, topology and message timeout used at delivery; later ones change the
    /// deadlines, the message timeout of TOUCH, the buffer size and what is reported.
    pub first: bool,
    /// After the response: shake hands, then send `OK` inside TLS.
    pub tls: bool,
    /// After that: switch, then send `OK` compressed.
    pub compression: Option<Compression>,
}

/// The fields of an IDENTIFY body. Zero and empty are what an absent field means.
#[derive(Debug, Default)]
struct Request {
    client_id: String,
    hostname: String,
    user_agent: String,
    feature_negotiation: bool,
    heartbeat_interval: i64,
    output_buffer_size: i64,
    output_buffer_timeout: i64,
    sample_rate: i32,
    msg_timeout: i64,
    tls_v1: bool,
    snappy: bool,
    deflate: bool,
    deflate_level: i64,
    topology: Topology,
}

impl Request {
    fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let mut request = Self::default();
        json::read_object(body, |key, value| request.set(key, value))?;
        Ok(request)
    }

    /// Unknown fields are ignored, whatever they hold; of repeated ones the last counts.
    fn set(&mut self, key: Text<'_>, value: Value<'_>) -> Result<(), JsonError> {
        // Longer keys, and escaped ones, are too rare to be worth a faster way than trying each name.
        let is = |name| key.is_key(name);
        match () {
            () if is("client_id") => value.read_text(&mut self.client_id),
            () if is("hostname") => value.read_text(&mut self.hostname),
            () if is("user_agent") => value.read_text(&mut self.user_agent),
            () if is("feature_negotiation") => value.read_bool(&mut self.feature_negotiation),
            () if is("heartbeat_interval") => value.read_integer(&mut self.heartbeat_interval),
            () if is("output_buffer_size") => value.read_integer(&mut self.output_buffer_size),
            () if is("output_buffer_timeout") => value.read_integer(&mut self.output_buffer_timeout),
            () if is("sample_rate") => value.read_integer(&mut self.sample_rate),
            () if is("msg_timeout") => value.read_integer(&mut self.msg_timeout),
            () if is("tls_v1") => value.read_bool(&mut self.tls_v1),
            () if is("snappy") => value.read_bool(&mut self.snappy),
            () if is("deflate") => value.read_bool(&mut self.deflate),
            () if is("deflate_level") => value.read_integer(&mut self.deflate_level),
            () if is("topology_region") => value.read_text(&mut self.topology.region),
            () if is("topology_zone") => value.read_text(&mut self.topology.zone),
            () => Ok(()),
        }
    }
}

/// Carries out an IDENTIFY. `identity` changes only where it succeeds; `first` of the reply is the caller's
/// to fill in.
///
/// # Errors
///
/// All of them fatal; fields are checked in NSQ's order.
pub(crate) fn identify(
    body: &[u8],
    limits: &Limits,
    identity: &mut Identity,
) -> Result<IdentifyReply, WireError> {
    let request = Request::decode(body).map_err(|JsonError| WireError::identify_json())?;
    let heartbeat_interval_ms = heartbeat(request.heartbeat_interval, identity, limits)?;
    let (output_buffer_size, output_buffer_timeout_ns) = output_buffer(&request, identity, limits)?;
    let sample_rate = sample_rate(request.sample_rate)?;
    let message_timeout_ns = message_timeout(request.msg_timeout, identity, limits)?;
    let granted = Granted::new(&request, limits)?;
    *identity = Identity {
        client_id: cut(request.client_id),
        hostname: cut(request.hostname),
        user_agent: cut(request.user_agent),
        heartbeat_interval_ms,
        output_buffer_size,
        output_buffer_timeout_ns,
        sample_rate,
        message_timeout_ns,
        topology: Topology { region: cut(request.topology.region), zone: cut(request.topology.zone) },
    };
    let payload =
        if request.feature_negotiation { granted.json(limits, identity).into() } else { b"OK".to_vec() };
    Ok(IdentifyReply { payload, first: false, tls: granted.tls, compression: granted.compression })
}

/// What is kept of a text, in a place of its size.
fn cut(text: String) -> String {
    if text.len() <= IDENTITY_TEXT_BYTES_MAX {
        return text;
    }
    let boundary = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=IDENTITY_TEXT_BYTES_MAX).rev().find(boundary).unwrap_or(0);
    text[..end].to_owned()
}

fn heartbeat(asked_ms: i64, now: &Identity, limits: &Limits) -> Result<Option<u64>, WireError> {
    match asked_ms {
        -1 => Ok(None),
        0 => Ok(now.heartbeat_interval_ms),
        ms if (HEARTBEAT_INTERVAL_MS_MIN..=limits.heartbeat_interval_ns_max / NS_PER_MS).contains(&ms) => {
            Ok(Some(ms.unsigned_abs()))
        }
        ms => Err(WireError::identify_range("heartbeat interval", ms)),
    }
}

/// Size and timeout. The timeout is checked first, then overridden where the size is −1.
fn output_buffer(request: &Request, now: &Identity, limits: &Limits) -> Result<(u64, u64), WireError> {
    let min_ms = limits.output_buffer_timeout_ns_min / NS_PER_MS;
    let max_ms = limits.output_buffer_timeout_ns_max / NS_PER_MS;
    let timeout_ns = match request.output_buffer_timeout {
        -1 => 0,
        0 => now.output_buffer_timeout_ns,
        ms if (min_ms..=max_ms).contains(&ms) => ms.saturating_mul(NS_PER_MS).unsigned_abs(),
        ms => return Err(WireError::identify_range("output buffer timeout", ms)),
    };
    match request.output_buffer_size {
        -1 => Ok((1, 0)),
        0 => Ok((now.output_buffer_size, timeout_ns)),
        size if (OUTPUT_BUFFER_SIZE_MIN..=limits.output_buffer_size_max).contains(&size) => {
            Ok((size.unsigned_abs(), timeout_ns))
        }
        size => Err(WireError::identify_range("output buffer size", size)),
    }
}

fn sample_rate(asked: i32) -> Result<u8, WireError> {
    let rate = u8::try_from(asked).ok().filter(|&rate| i64::from(rate) <= SAMPLE_RATE_MAX);
    rate.ok_or_else(|| WireError::identify_range("sample rate", asked.into()))
}

fn message_timeout(asked_ms: i64, now: &Identity, limits: &Limits) -> Result<u64, WireError> {
    match asked_ms {
        0 => Ok(now.message_timeout_ns),
        ms if (MESSAGE_TIMEOUT_MS_MIN..=limits.message_timeout_ns_max / NS_PER_MS).contains(&ms) => {
            Ok(ms.saturating_mul(NS_PER_MS).unsigned_abs())
        }
        ms => Err(WireError::identify_range("msg timeout", ms)),
    }
}

/// What was asked for and is available. Nothing without `feature_negotiation`.
struct Granted {
    tls: bool,
    compression: Option<Compression>,
    /// Reported whether or not deflate was granted.
    deflate_level: u8,
}

impl Granted {
    fn new(request: &Request, limits: &Limits) -> Result<Self, WireError> {
        let negotiate = request.feature_negotiation;
        let tls = negotiate && request.tls_v1 && limits.features.tls;
        let snappy = negotiate && request.snappy && limits.features.snappy;
        let deflate = negotiate && request.deflate && limits.features.deflate;
        let level =
            if deflate && request.deflate_level > 0 { request.deflate_level } else { DEFLATE_LEVEL_DEFAULT };
        let level = level.min(limits.deflate_level_max);
        let deflate_level = u8::try_from(level).unwrap_or_default();
        let compression = match (snappy, deflate) {
            (true, true) => return Err(WireError::identify_two_compressions()),
            (true, false) => Some(Compression::Snappy),
            (false, true) => Some(Compression::Deflate { level: deflate_level }),
            (false, false) => None,
        };
        Ok(Self { tls, compression, deflate_level })
    }

    /// The order of the keys is NSQ's.
    fn json(&self, limits: &Limits, identity: &Identity) -> String {
        let mut json = format!(
            concat!(
                r#"{{"max_rdy_count":{},"version":"{}","max_msg_timeout":{},"msg_timeout":{},"tls_v1":{},"#,
                r#""deflate":{},"deflate_level":{},"max_deflate_level":{},"snappy":{},"sample_rate":{},"#,
                r#""auth_required":{},"output_buffer_size":{},"output_buffer_timeout":{}"#
            ),
            limits.credit_max,
            NSQ_VERSION,
            limits.message_timeout_ns_max / NS_PER_MS,
            identity.message_timeout_ns / NS_PER_MS.unsigned_abs(),
            self.tls,
            matches!(self.compression, Some(Compression::Deflate { .. })),
            self.deflate_level,
            limits.deflate_level_max,
            self.compression == Some(Compression::Snappy),
            identity.sample_rate,
            limits.auth_enabled,
            identity.output_buffer_size,
            identity.output_buffer_timeout_ns / NS_PER_MS.unsigned_abs(),
        );
        if let Some(Topology { region, zone }) = &limits.topology {
            for (key, value) in [("topology_region", region), ("topology_zone", zone)] {
                // Writing to a String cannot fail.
                let _ = write!(json, ",\"{key}\":");
                json::push_string(&mut json, value);
            }
        }
        json.push('}');
        json
    }
}

#[cfg(test)]
mod tests;
