//! Every bound of the log, in one place. Sizes are bytes, times are nanoseconds.

/// Block of the log: every buffer address, file offset and length is a multiple of it.
pub const BLOCK_BYTES: usize = 4096;
/// Header at the start of every frame.
pub const FRAME_HEADER_BYTES: usize = 64;
/// An open frame that has grown to this is closed at once, whatever the durability.
pub const FRAME_TARGET_BYTES: usize = 256 * 1024;
/// The same in the smallest segments.
pub const FRAME_TARGET_BYTES_MIN: usize = 32 * 1024;
/// Segments that a shard's share of the volume holds at least, down to the smallest size.
pub const SEGMENTS_PER_SHARE: u64 = 32;
/// Longest frame. One publish call is one frame, so this also bounds an MPUB in delivery form.
pub const FRAME_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Largest publish, all its messages in delivery form: the rest of the frame is for what others gathered with it.
pub const PUBLISH_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;
/// Frames written and not yet completed.
pub const FRAMES_IN_FLIGHT_MAX: usize = 4;
/// Memory from which frames are carved.
pub const ARENA_BYTES: usize = 1024 * 1024;
/// Idle arenas kept for reuse.
pub const ARENA_SPARE_COUNT_MAX: usize = 4;
/// Longest span under one check word: CRC-32 sees every 3-bit error only in spans below 11 KiB.
pub const PIECE_BYTES: usize = 8 * 1024;
/// A message in delivery form is its body and this: size, type, timestamp, attempts, id.
pub const MESSAGE_HEADER_BYTES: usize = 34;
/// A run of the topic index is extended while it ends within this distance of its start.
pub const RUN_SPAN_BYTES: u64 = 1024 * 1024;
/// A record that nobody waits for is on its way to the disk after at most this.
pub const LAZY_NS_MAX: u64 = 100_000_000;
/// Idle time after the last sync, after which a marker frame vouches for the frames before it.
pub const MARKER_IDLE_NS: u64 = 10_000_000;
/// Pause before the next segment is named again, after an error that passes.
pub const NAME_RETRY_NS: u64 = 100_000_000;
/// Pause between attempts to prepare a segment on a full disk.
pub const FULL_RETRY_NS: u64 = 1_000_000_000;
/// Pause before a read is repeated: after an error that may pass (ENOMEM, EMFILE, EINTR), or to be sure of damage.
pub const READ_RETRY_NS: u64 = 10_000_000;
/// Piece of a run that could not be read at once.
pub const READ_PIECE_BYTES: usize = 64 * 1024;
/// Pieces and blocks of a run that may fail before the rest of it is given up for now.
pub const READ_FAILURES_MAX: usize = 64;
/// A segment that cannot be read is reported once in this time.
pub const READ_REPORT_NS: u64 = 10_000_000_000;
/// Message ids reserved ahead of use.
pub const ID_RESERVATION_COUNT: u64 = 1 << 20;
/// What may wait for the disk at least while files can be made, where segments are not small.
pub const GATHER_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// Files that publishes may not take while there is no room for more.
pub const RESERVE_COUNT: usize = 3;
/// Blank files of a shard that a start keeps.
pub const SPARE_COUNT_MAX: usize = RESERVE_COUNT + 2;
/// Smallest file that a segment is made in, but for what must hold one large frame.
pub const SEGMENT_BYTES_MIN: u64 = 1024 * 1024;
/// A file that is larger than usual is larger by multiples of this.
pub const SIZE_STEP_BYTES: u64 = 1024 * 1024;
/// Files that one job removes or makes blank.
pub const RETIRE_FILES_MAX: usize = 64;
/// Attempts to remove files, before they are left to the next start.
pub const RETIRE_TRIES_MAX: u32 = 5;
/// A segment that is filled within this time is followed by two files that stand ready.
pub const BUSY_ROLL_NS: u64 = 2_000_000_000;
/// While the disk is full a fact is on its way to the disk after this: each frame takes room that there is not.
pub const FULL_LAZY_NS: u64 = 1_000_000_000;
/// Descriptors of old segments kept open for reading.
pub const READ_FILES_OPEN_MAX: usize = 64;
/// Reads under way at once.
pub const READS_IN_FLIGHT_MAX: usize = 4;
/// A checkpoint is cut into frames of about this size.
pub const CHECKPOINT_PART_BYTES: usize = 1024 * 1024;
/// Longest checkpoint that recovery accepts.
pub const CHECKPOINT_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Shards of a data directory.
pub const SHARD_COUNT_MAX: u16 = 64;
/// Node ids fit in 10 bits of a message id.
pub const NODE_ID_MAX: u16 = 1023;
/// Longest topic or channel name in a record.
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes of a damaged tail that are copied aside at most.
pub const BROKEN_COPY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Window of the sequential reads of recovery.
pub const SCAN_WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// Sequence part of a message id: 48 bits.
pub const ID_SEQUENCE_BITS: u32 = 48;

const _: () = assert!(ARENA_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(FRAME_TARGET_BYTES + 2 * BLOCK_BYTES <= ARENA_BYTES);
const _: () = assert!(FRAME_BYTES_MAX < u32::MAX as usize);
const _: () = assert!(SCAN_WINDOW_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(CHECKPOINT_PART_BYTES.is_multiple_of(PIECE_BYTES));
