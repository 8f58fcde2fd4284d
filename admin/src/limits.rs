//! Every bound of the daemon, with what it protects.

/// Bytes of one upstream's answer, unpacked. A node with 20,000 channels says some 32 MB.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Bytes of answers that are being read at the same time, from all upstreams. Who finds no room waits, within its
/// own time limit.
pub const ANSWERS_BYTES_MAX: usize = 128 << 20;

/// Bytes of an upstream's answer to a command, and of what is quoted of an error's body.
pub const ERROR_BYTES_MAX: usize = 4 << 10;

/// Upstreams that are asked at the same time for one answer.
pub const PARALLEL_MAX: usize = 64;

/// Nodes that the poll asks at the same time.
pub const POLL_PARALLEL_MAX: usize = 16;

/// Redirects of an upstream that are followed, on the same host only.
pub const REDIRECTS_MAX: usize = 10;

/// Idle connections to one upstream.
pub const IDLE_PER_UPSTREAM_MAX: usize = 4;

/// How long an idle connection to an upstream is kept, milliseconds.
pub const IDLE_MS_MAX: u64 = 90_000;

/// Nodes in a snapshot; the rest is left out and counted.
pub const NODES_MAX: usize = 4_096;

/// Topics and channels in a snapshot, each counted once for each node that has it. A snapshot of so many takes some
/// 60 MB.
pub const FIGURES_MAX: usize = 500_000;

/// How long a node stays in the snapshots that no nsqlookupd lists any more, milliseconds.
pub const VANISHED_MS_MAX: i64 = 3_600_000;

/// Ticks for which the figures of a node that does not answer are carried on.
pub const CARRIED_TICKS_MAX: u32 = 2;

/// A node is not polled before so many times its last answer time has passed.
pub const REST_FACTOR: u64 = 10;

/// Period of asking the nsqlookupds for their nodes, milliseconds.
pub const LOOKUP_NODES_MS: u64 = 30_000;

/// Period of asking the nsqlookupds for their topics, milliseconds.
pub const LOOKUP_TOPICS_MS: u64 = 60_000;

/// Time between the start of the daemon and its first poll, milliseconds. Nothing is asked at start.
pub const FIRST_POLL_MS: u64 = 1_000;

/// Shortest time between two polls that somebody asks for, milliseconds.
pub const POLL_PAUSE_MS_MIN: u64 = 300;

/// How long a page waits for the first figures, milliseconds.
pub const FIGURES_WAIT_MS_MAX: u64 = 8_000;

/// Shortest `--poll-interval`, milliseconds.
pub const POLL_INTERVAL_MS_MIN: i64 = 100;

/// Largest body of a request.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// How long a body may take, milliseconds.
pub const BODY_MS_MAX: u64 = 30_000;

/// Largest head of a request.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

/// How long a connection may take for a head, which includes its idle time between requests; milliseconds.
pub const HEAD_MS_MAX: u64 = 300_000;

/// HTTP connections at the same time.
pub const CLIENTS_MAX: usize = 1 << 12;

/// Descriptors for everything but clients: listener, log, connections to upstreams.
pub const RESERVED_FILES: u64 = 256;

/// Requests that are being answered at the same time; each can hold an answer of many megabytes.
pub const REQUESTS_MAX: usize = 64;

/// Objects of one action.
pub const ACTION_OBJECTS_MAX: usize = 200;

/// Actions that the audit page remembers.
pub const AUDIT_ENTRIES_MAX: usize = 1_000;

/// Bytes of one text of an audit entry, and of a client's text in a notification.
pub const AUDIT_TEXT_BYTES_MAX: usize = 512;

/// Notifications that wait for their endpoint; further ones are dropped and counted.
pub const NOTIFICATIONS_MAX: usize = 1_000;

/// Notifications that are sent at the same time.
pub const NOTIFICATIONS_PARALLEL_MAX: usize = 4;

/// Bytes of an answer of graphite that is relayed or read.
pub const GRAPHITE_BYTES_MAX: usize = 8 << 20;

/// Largest file of `--dev-static-dir`, and largest TLS file.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

const _: () = assert!(ANSWER_BYTES_MAX <= ANSWERS_BYTES_MAX, "one answer must find room");
