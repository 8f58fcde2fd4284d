//! Every bound of the daemon, with what it protects.

/// Longest command line of a peer in bytes, without its `\n`. A legal one has at most 150; the rest is there so
/// that a name far too long is still answered with the error that quotes it.
pub const LINE_SIZE_MAX: usize = 4096;

/// Largest IDENTIFY body in bytes. nsqd sends a few hundred. It is also what an unfinished command can make the
/// daemon keep for one connection.
pub const IDENTIFY_SIZE_MAX: usize = 16 * 1024;

/// Bytes read from a peer at once, into a buffer that all connections share.
pub const READ_SIZE_MAX: usize = 16 * 1024;

/// Topics and channels known at the same time, in sum: some 160 MB with their registrations. Names outlive their peers, so
/// without this bound one peer could fill the memory for good.
pub const NAMES_MAX: usize = 1 << 20;

/// Of them, those that peers of one address (ports aside) made, and that are still there: a quarter, so that it takes
/// more than one peer to use up the rest for everybody. Peers behind one NAT gateway share it.
pub const NAMES_PER_ADDRESS_MAX: usize = NAMES_MAX / 4;

/// Channels of one topic. Keeps a registration, which searches and shifts a sorted list, below a millisecond.
pub const CHANNELS_PER_TOPIC_MAX: usize = 1 << 16;

/// Topics that one connection can be registered for. Keeps a producer in `/nodes`, which is in one piece, below 5 MB.
pub const TOPICS_PER_REGISTRANT_MAX: usize = 1 << 16;

/// Longest text of an IDENTIFY in bytes: that of a host name. Each is in every `/lookup` of every topic of its peer,
/// and takes six times its size there at worst, escaped.
pub const IDENTIFY_TEXT_SIZE_MAX: usize = 255;

/// Commands of one peer before the others have their turn. The slowest, a registration in a topic with
/// [`CHANNELS_PER_TOPIC_MAX`] channels, takes less than a millisecond; most take a microsecond.
pub const COMMANDS_PER_TURN_MAX: usize = 64;

/// How long a connection may take to its IDENTIFY, in milliseconds. nsqd sends it at once.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;

/// Bytes of a peer that are read and thrown away after an error, so that closing does not destroy the answer
/// on its way.
pub const LINGER_SIZE_MAX: usize = 256 * 1024;

/// How long a peer is waited for after an error.
pub const LINGER_MS_MAX: u64 = 1_000;

/// Descriptors for everything but connections: listeners, the log, the event queue, the state file.
pub const RESERVED_FILES: u64 = 32;

/// Connections of peers at the same time, if there are descriptors for so many. Each can make the daemon hold an
/// unfinished command of [`IDENTIFY_SIZE_MAX`], one read, the answers to [`COMMANDS_PER_TURN_MAX`] commands, and what
/// it said about itself, twice: 50 KB at worst. An honest idle one takes 2 KB.
pub const PEERS_MAX: usize = 1 << 16;

/// HTTP connections at the same time, if there are descriptors for so many. Each can make the daemon hold a head of
/// [`HTTP_HEAD_SIZE_MAX`]; answers have a bound in sum.
pub const HTTP_CLIENTS_MAX: usize = 1 << 13;

/// Part of the other descriptors that HTTP may use; the peers have the rest. Neither can starve the other.
pub const HTTP_FILES_SHARE: u64 = 4;

/// Largest head of an HTTP request in bytes.
pub const HTTP_HEAD_SIZE_MAX: usize = 64 * 1024;

/// Largest HTTP body that is read (and thrown away) to keep the connection usable.
pub const HTTP_BODY_SIZE_MAX: usize = 8 * 1024 * 1024;

/// How long an HTTP body may take.
pub const HTTP_BODY_MS_MAX: u64 = 30_000;

/// Size in bytes beyond which a piece of an answer is sent before the next is made.
pub const PIECE_SIZE: usize = 64 * 1024;

/// Bytes of answers that are made and not sent yet, of all HTTP clients in sum. Beyond it answers wait for each other:
/// a client that does not read is closed after `ANSWER_MS_MAX` of the crate `nsq-listen`.
pub const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Period of saving a changed registry to the state file, and of forgetting remembered peers that stay away.
pub const STATE_PERIOD_MS: u64 = 1_000;

/// The pause after a save is at least so many times what it took.
pub const STATE_PAUSE_PER_SAVE: u32 = 10;

/// Largest state file that is read back, in bytes.
pub const STATE_SIZE_MAX: u64 = 1 << 30;
