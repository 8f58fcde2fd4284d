//! Arms of the code under test that many seeds together have to reach: a simulation that cannot get there proves
//! nothing about them.

/// Mark, and how often it is reached at the least in 300 seeds of 300 steps.
pub const MARKS: &[(&str, u64)] = &[
    ("core.log.full", 10),
    ("core.move.adopted", 100),
    ("core.move.begun", 100),
    ("core.publish.held-for-log", 1),
    ("core.stop.begun", 100),
    ("mesh.ring.full", 10),
    ("wal.poisoned", 10),
    ("wal.read.failed", 10),
    ("wal.read.later", 1),
    ("wal.segment.retired", 10),
    ("wal.short-write.rest-goes-again", 2),
];
