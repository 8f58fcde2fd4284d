//! Every bound of what a peer can make this process keep, wait for, or do in one go. `docs/limits.md` prints them.
//!
//! What a client sends is counted where it stays: unparsed, suspended, unanswered, handed to another core; and so is what
//! it is owed and does not take. Beyond a bound the client waits and TCP holds the rest; nothing is refused because
//! something is busy.

/// The constants, and under test the rows of `docs/limits.md`: name, value, unit, whose, what happens beyond it, why.
macro_rules! limits {
    ($($(#[doc = $why:literal])+ $name:ident: $type:ty = $value:expr, $unit:ident per $per:literal, beyond: $beyond:literal;)+) => {
        $($(#[doc = $why])+ pub const $name: $type = $value;)+

        #[cfg(test)]
        const ROWS: &[tests::Row] = &[$(tests::Row {
            name: stringify!($name),
            value: $value as u64,
            unit: stringify!($unit),
            per: $per,
            beyond: $beyond,
            why: &[$($why),+],
        }),+];
    };
}

limits! {
    /// There are five of them. They stay for the life of the connection and go into each `/stats`.
    IDENTITY_TEXT_BYTES_MAX: usize = nsq_protocol::limits::IDENTITY_TEXT_BYTES_MAX, bytes per "text that a client says of itself",
        beyond: "cut";
    /// Four receive buffers; TCP holds the rest.
    INPUT_KEPT_BYTES_MAX: usize = 64 << 10, bytes per "connection whose commands wait",
        beyond: "its socket is not read";
    /// At worst 16,000 NOPs or 2,800 failing TOUCHes, half a millisecond. Not a count of commands: that would cut every
    /// buffer of small publishes in two.
    INPUT_BYTES_PER_TURN: usize = 64 << 10, bytes per "connection and turn",
        beyond: "its further commands wait for the next turn";
    /// 6,500 OKs, ten times the window of any stock client. Deliveries do not count: a consumer must be able to FIN.
    ANSWER_BYTES_MAX: usize = 64 << 10, bytes per "connection",
        beyond: "its further commands wait";
    /// A quarter, so that a client that reads slowly is not looked at for every answer.
    ANSWER_BYTES_LOW: usize = 16 << 10, bytes per "connection",
        beyond: "commands that wait for answers to be read go on below it";
    /// 16,384 tiny publishes, or one command of any size; at one commit in 0.25 ms this is 4 GB/s.
    UNANSWERED_BYTES_MAX: usize = 1 << 20, bytes per "connection",
        beyond: "its further commands wait until half of it is answered";
    /// What a publish is counted as besides its bodies: its place among the answers and its waiter in the queue.
    UNANSWERED_PUBLISH_BYTES: usize = 64, bytes per "unanswered publish",
        beyond: "counts towards `UNANSWERED_BYTES_MAX`";
    /// One send per turn of 0.25 ms is 1 GB/s. The message that uses the room up is delivered whole.
    DELIVERY_ROOM_BYTES: u64 = 256 << 10, bytes per "consumer",
        beyond: "nothing is delivered until it has read";
    /// One receive buffer's worth: everybody still gets something.
    DELIVERY_ROOM_BYTES_SCARCE: u64 = 16 << 10, bytes per "consumer, while its core is above `UNTAKEN_BYTES_SOFT`",
        beyond: "nothing is delivered until it has read";
    /// 30 ms at 250 MB/s, which is more than a turn and a commit of the core that they are handed to.
    HANDED_BYTES_MAX: u64 = 8 << 20, bytes per "ordered pair of cores",
        beyond: "publishers wait until the other core has taken half of it";
    /// So rarely that it wakes nobody who would sleep, so often that the window never empties.
    HANDED_REPORT_BYTES: u64 = 1 << 20, bytes per "ordered pair of cores",
        beyond: "the core that took them says so";
    /// Commands that are larger than `RECEIPT_BYTES_FREE` and not complete reserve their size here, oldest first, so that
    /// some always complete; those that wait keep what had come in, and their clock stands.
    RECEIPT_BYTES_MAX: usize = 64 << 20, bytes per "core",
        beyond: "further unfinished commands are not read";
    /// Most commands never reserve anything.
    RECEIPT_BYTES_FREE: usize = 4 << 10, bytes per "unfinished command",
        beyond: "counts towards `RECEIPT_BYTES_MAX`";
    /// Counted after a turn's sends, so that who reads at once counts nothing.
    UNTAKEN_BYTES_SOFT: u64 = 64 << 20, bytes per "core",
        beyond: "each consumer's room is `DELIVERY_ROOM_BYTES_SCARCE`";
    /// 1,000 consumers that do not read; an attack stalls deliveries for two seconds.
    UNTAKEN_BYTES_MAX: u64 = 256 << 20, bytes per "core",
        beyond: "nothing is delivered; who took no byte for longest, and for `EVICT_NS_MIN`, is closed, one per turn";
    /// Long enough for a client that is merely slow.
    EVICT_NS_MIN: u64 = 2_000_000_000, ns per "connection",
        beyond: "it may be closed while its core is above `UNTAKEN_BYTES_MAX`";
    /// 1 ms of copying. Room told to 10,000 idle consumers is 2.5 GB and must not come true in one turn.
    DEAL_BYTES_PER_TURN: u64 = 4 << 20, bytes per "core and turn",
        beyond: "delivered in the next turn, other channels first";
    /// One megabyte of input for all connections: the longest that others wait for one who floods.
    CHUNKS_PER_TURN_MAX: usize = 64, buffers per "core and turn",
        beyond: "the rest is taken in the next turn";
    /// As above, for commands that cost more than their bytes.
    RECEIVE_NS_PER_TURN: u64 = 500_000, ns per "core and turn",
        beyond: "the rest is taken in the next turn";
    /// Four times a ring between two cores.
    MESSAGES_PER_TURN_MAX: usize = 4096, messages per "core and turn",
        beyond: "the rest is taken in the next turn";
    /// Two are usual: the log releases, the queue delivers.
    OUTPUT_ROUNDS_MAX: usize = 64, rounds per "core and turn",
        beyond: "the rest is done in the next turn";
    /// Those of one turn of a few busy consumers; their next send needs no new memory.
    BUFFERS_KEPT_MAX: usize = 16, buffers per "core",
        beyond: "given back to the allocator";
    /// Twice a consumer's room: the last message may have made a buffer grow.
    BUFFER_KEPT_BYTES_MAX: usize = 512 << 10, bytes per "buffer kept",
        beyond: "given back to the allocator";
    /// 100 OKs; a quiet connection keeps no more.
    CONNECTION_BUFFER_BYTES: usize = 1 << 10, bytes per "connection",
        beyond: "given to its core";
    /// An operator's view of one producer; it is listed in `/stats`.
    PUBLISH_COUNTS_MAX: usize = 128, topics per "connection",
        beyond: "counted for the last of them";

    /// Clients send it with their first packet.
    MAGIC_NS_MAX: u64 = 5_000_000_000, ns per "connection without magic",
        beyond: "closed";
    /// Two default heartbeats, for clients without any: a command that was begun is completed.
    COMMAND_NS_MAX: u64 = 60_000_000_000, ns per "unfinished command of a client without heartbeats",
        beyond: "as an end of input";
    /// As above, for a client that reads nothing.
    WRITE_NS_MAX: u64 = 60_000_000_000, ns per "connection without heartbeats",
        beyond: "closed, when it took no byte for so long; with heartbeats one interval";
    /// A socket leaves a ring within a turn; what is unsent before may be as slow as its client.
    MOVE_NS_MAX: u64 = 5_000_000_000, ns per "connection on its way to another core",
        beyond: "closed";
    /// Who does not read the answers to its last commands does not want them.
    ENDING_NS_MAX: u64 = 5_000_000_000, ns per "connection that ends",
        beyond: "closed, when it took no byte for so long";
    /// Publishes under way are answered in a commit or two.
    STOP_NS_MAX: u64 = 1_000_000_000, ns per "stop of the process",
        beyond: "connections are aborted";
    /// Longer than each of them may take, so that only a core that has stopped working is not waited for.
    STOP_QUIET_NS_MAX: u64 = 3_000_000_000, ns per "stop of the process",
        beyond: "a core does not wait for the others";
    /// It is to be gone within a second: what was acknowledged is on disk, and the rest waits for a disk or a core that has
    /// failed.
    STOP_FAILED_NS_MAX: u64 = 200_000_000, ns per "phase of the stop of a process that cannot go on",
        beyond: "the next phase";
    /// A log without room for its close frame is left as a crash would leave it, which it survives.
    STOP_LOG_NS_MAX: u64 = 10_000_000_000, ns per "stop of the process",
        beyond: "logs are left as they are";
    /// NSQ's; a producer without heartbeats behind a NAT is noticed when its peer is gone.
    KEEPALIVE_S: u64 = 15, s per "idle TCP connection",
        beyond: "the kernel asks whether the peer is there";
    /// Four receive buffers. Where the kernel cannot limit a receive (before Linux 6.17) it goes on as long as there are
    /// buffers, half a megabyte per turn, and as much may come after a pause.
    RECEIVE_BYTES_MAX: u32 = 64 << 10, bytes per "connection and turn",
        beyond: "the kernel is asked for more, and keeps it until then";
    /// What is owed to a client that reads at all.
    FLUSH_NS_MAX: u64 = 1_000_000_000, ns per "closing connection with something unsent",
        beyond: "aborted";
    /// Long enough for a last error to be read; it costs a descriptor and nothing else.
    DRAIN_NS_MAX: u64 = 500_000_000, ns per "closing connection whose peer does not close",
        beyond: "aborted";
    /// Segments that are made, renamed and opened, on all shards at once: without a descriptor the log would stand still.
    DESCRIPTORS_FOR_FILES: u64 = 32, descriptors per "process, the last of its limit; an eighth of a limit below 256",
        beyond: "connections are turned away, or wait in the listener's queue";
    /// A crowd of clients leaves operators a way in.
    DESCRIPTORS_FOR_HTTP: u64 = 32, descriptors per "process, below those for files; an eighth of a limit below 256",
        beyond: "clients are turned away, or wait in the listener's queue";
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    pub(super) struct Row {
        pub(super) name: &'static str,
        pub(super) value: u64,
        pub(super) unit: &'static str,
        pub(super) per: &'static str,
        pub(super) beyond: &'static str,
        pub(super) why: &'static [&'static str],
    }

    /// 4194304 bytes as `4 MiB`, 500000 ns as `0.5 ms`.
    fn amount(row: &Row) -> String {
        let value = row.value;
        match row.unit {
            "bytes" if value >= 1 << 20 && value.is_multiple_of(1 << 20) => format!("{} MiB", value >> 20),
            "bytes" if value >= 1 << 10 && value.is_multiple_of(1 << 10) => format!("{} KiB", value >> 10),
            "ns" if value >= 1_000_000_000 => format!("{} s", value as f64 / 1e9),
            "ns" => format!("{} ms", value as f64 / 1e6),
            unit => format!("{value} {unit}"),
        }
    }

    fn table() -> String {
        let mut table =
            String::from("| bound | value | per | beyond it | why this number |\n|---|---|---|---|---|\n");
        for row in super::ROWS {
            let why = row.why.concat();
            writeln!(
                table,
                "| `{}` | {} | {} | {} | {} |",
                row.name,
                amount(row),
                row.per,
                row.beyond,
                why.trim()
            )
            .expect("invariant: a string takes everything");
        }
        table
    }

    #[test]
    fn the_document_prints_these_bounds() {
        let document = include_str!("../../docs/limits.md");
        let (_, rest) = document.split_once("<!-- bounds -->\n").expect("the mark before the table");
        let (printed, _) = rest.split_once("<!-- /bounds -->").expect("the mark behind the table");
        assert_eq!(
            printed,
            table(),
            "docs/limits.md is not what broker/src/limits.rs says; it should be:\n{}",
            table()
        );
    }

    #[test]
    fn bounds_that_depend_on_each_other_agree() {
        use super::*;
        const { assert!(ANSWER_BYTES_LOW < ANSWER_BYTES_MAX) };
        const { assert!(DELIVERY_ROOM_BYTES_SCARCE < DELIVERY_ROOM_BYTES) };
        const { assert!(UNTAKEN_BYTES_SOFT < UNTAKEN_BYTES_MAX) };
        const { assert!(HANDED_REPORT_BYTES * 4 <= HANDED_BYTES_MAX) };
        const { assert!(RECEIPT_BYTES_FREE < INPUT_KEPT_BYTES_MAX) };
        const { assert!(DELIVERY_ROOM_BYTES <= DEAL_BYTES_PER_TURN) };
        const { assert!(DELIVERY_ROOM_BYTES < BUFFER_KEPT_BYTES_MAX as u64) };
    }
}
