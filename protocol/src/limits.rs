//! Every bound of the protocol: those an operator sets ([`Limits`]) and those fixed by NSQ.

/// Version announced in IDENTIFY replies and to nsqlookupd. Clients and the admin UI parse it as semver and
/// decide by it which features exist, so it names the NSQ release whose behaviour is kept.
pub const NSQ_VERSION: &str = "1.3.0";

/// The four bytes that open a client connection.
pub const MAGIC_V2: &[u8; 4] = b"  V2";

/// Longest command line in bytes, including its `\n`. A longer one closes the connection without a frame.
pub const LINE_MAX: usize = 16_384;

/// Longest topic or channel name in bytes, including `#ephemeral`.
pub const NAME_SIZE_MAX: usize = 64;

/// Longest text of an IDENTIFY that is kept, in bytes; a longer one is cut. NSQ keeps what `--max-body-size` allows, for the
/// life of the connection.
pub const IDENTITY_TEXT_BYTES_MAX: usize = 12 * 1024;

/// Deepest nesting of arrays and objects in a JSON body. IDENTIFY is flat; the rest is only skipped.
pub const JSON_DEPTH_MAX: usize = 16;

/// Heartbeat period of a connection that asks for none.
pub const HEARTBEAT_INTERVAL_MS_DEFAULT: u64 = 30_000;

/// Shortest heartbeat period a client may ask for.
pub const HEARTBEAT_INTERVAL_MS_MIN: i64 = 1_000;

/// Shortest message timeout a client may ask for.
pub const MESSAGE_TIMEOUT_MS_MIN: i64 = 1_000;

/// Output buffer of a connection that asks for none.
pub const OUTPUT_BUFFER_SIZE_DEFAULT: u64 = 16_384;

/// Smallest output buffer a client may ask for (besides −1, which switches buffering off).
pub const OUTPUT_BUFFER_SIZE_MIN: i64 = 64;

/// Deflate level where the client names none.
pub const DEFLATE_LEVEL_DEFAULT: i64 = 6;

/// Largest sample rate, in percent.
pub const SAMPLE_RATE_MAX: i64 = 99;

/// Nanoseconds in a millisecond: the wire speaks milliseconds, the configuration nanoseconds.
pub const NS_PER_MS: i64 = 1_000_000;

/// What an operator may set. One frozen value per process, shared by all sessions; a runtime change of an
/// option is a new value, and holds from the next command on.
///
/// Sizes are bytes, `_ns` are nanoseconds. The types are signed because NSQ's options are: a limit of zero or
/// less refuses everything, as it does there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `--max-body-size`: IDENTIFY, AUTH and MPUB bodies; also bounds the messages of one MPUB in sum.
    pub body_size_max: i64,
    /// `--max-msg-size`: one message body.
    pub message_size_max: i64,
    /// `--max-rdy-count`: largest RDY.
    pub credit_max: i64,
    /// `--max-req-timeout`: REQ is clamped to it, DPUB refused above it.
    pub requeue_delay_ns_max: i64,
    /// `--max-heartbeat-interval`.
    pub heartbeat_interval_ns_max: i64,
    /// `--max-output-buffer-size`.
    pub output_buffer_size_max: i64,
    /// `--min-output-buffer-timeout`.
    pub output_buffer_timeout_ns_min: i64,
    /// `--max-output-buffer-timeout`.
    pub output_buffer_timeout_ns_max: i64,
    /// `--output-buffer-timeout`: where the client names none.
    pub output_buffer_timeout_ns_default: i64,
    /// `--msg-timeout`: where the client names none.
    pub message_timeout_ns_default: i64,
    /// `--max-msg-timeout`.
    pub message_timeout_ns_max: i64,
    /// `--max-deflate-level`.
    pub deflate_level_max: i64,
    /// What can be negotiated.
    pub features: Features,
    /// `--tls-required` for TCP: without TLS only IDENTIFY is heard.
    pub tls_required: bool,
    /// At least one `--auth-http-address` is set.
    pub auth_enabled: bool,
    /// Region and zone of this daemon. `None` keeps both keys out of the IDENTIFY reply, as NSQ 1.3.0 does;
    /// later versions always send them.
    pub topology: Option<Topology>,
}

/// What a client may negotiate by IDENTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// A certificate and key are configured.
    pub tls: bool,
    /// `--snappy`.
    pub snappy: bool,
    /// `--deflate`.
    pub deflate: bool,
}

/// `--topology-region` and `--topology-zone`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Region of this daemon, empty where unset.
    pub region: String,
    /// Zone of this daemon, empty where unset.
    pub zone: String,
}

impl Default for Limits {
    /// NSQ's defaults. No TLS: that needs a certificate.
    fn default() -> Self {
        Self {
            body_size_max: 5 * 1024 * 1024,
            message_size_max: 1024 * 1024,
            credit_max: 2_500,
            requeue_delay_ns_max: 3_600_000 * NS_PER_MS,
            heartbeat_interval_ns_max: 60_000 * NS_PER_MS,
            output_buffer_size_max: 64 * 1024,
            output_buffer_timeout_ns_min: 25 * NS_PER_MS,
            output_buffer_timeout_ns_max: 30_000 * NS_PER_MS,
            output_buffer_timeout_ns_default: 250 * NS_PER_MS,
            message_timeout_ns_default: 60_000 * NS_PER_MS,
            message_timeout_ns_max: 900_000 * NS_PER_MS,
            deflate_level_max: 6,
            features: Features { tls: false, snappy: true, deflate: true },
            tls_required: false,
            auth_enabled: false,
            topology: None,
        }
    }
}
