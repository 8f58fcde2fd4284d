//! What the machine gives: descriptors, locked memory, threads, processors, io_uring.

use std::sync::mpsc;
use std::thread;

use nsq_flags::warn;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{self, Config};
use crate::start::core_thread::THREADS_PER_CORE;
use crate::start::error::StartError;
use crate::transport::{PreflightError, preflight};

/// Locked memory without which glommio makes no executor, in bytes.
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;

/// Descriptors of the process as a whole: standard streams, listeners, directory, superblocks, signals; and a few for
/// the first clients and for files that are open for a moment.
const DESCRIPTORS_FIXED: u64 = 32;
/// Descriptors of a core: its ring, glommio's three, their wake-ups, its duplicates of the listeners.
const DESCRIPTORS_PER_CORE: u64 = 12;
/// Descriptors of a shard: its directory, the segment that is written and the next one, and one that is read.
const DESCRIPTORS_PER_SHARD: u64 = 4;

/// Takes what the operator allows of descriptors and locked memory, and refuses to start with too little of the
/// latter: executors cannot be made then.
pub(super) fn raise_limits() -> Result<(), StartError> {
    raise(Resource::Nofile, None);
    raise(Resource::Memlock, Some(MEMLOCK_BYTES_MIN));
    match getrlimit(Resource::Memlock).current {
        Some(limit) if limit < MEMLOCK_BYTES_MIN => {
            Err(StartError::LockedMemory { limit, needed: MEMLOCK_BYTES_MIN })
        }
        _ => Ok(()),
    }
}

/// Raises the soft limit to the hard one, and both to `wanted`, which takes a privileged process. If it cannot be
/// raised, what there is has to do.
fn raise(resource: Resource, wanted: Option<u64>) {
    let limit = getrlimit(resource);
    let allowed = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(resource, allowed);
    if let (Some(maximum), Some(wanted)) = (limit.maximum, wanted)
        && maximum < wanted
    {
        let _ = setrlimit(resource, Rlimit { current: Some(wanted), maximum: Some(wanted) });
    }
}

/// Whether `cores` and `shards` have the descriptors and threads that they need from the first moment on.
pub(super) fn check(cores: usize, shards: u16) -> Result<(), StartError> {
    let cores_count = cores as u64;
    let needed = DESCRIPTORS_FIXED
        + DESCRIPTORS_PER_CORE * cores_count
        + cores_count * cores_count.saturating_sub(1) // The doorbells.
        + DESCRIPTORS_PER_SHARD * u64::from(shards);
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => return Err(StartError::TooFewDescriptors { limit, needed }),
        _ => {}
    }
    try_threads(cores * THREADS_PER_CORE)
}

/// Makes as many threads as the cores will have, all at once, and ends them again: glommio panics where it cannot
/// start one of its own.
fn try_threads(needed: usize) -> Result<(), StartError> {
    let (end, ended) = mpsc::channel::<()>();
    let ended = std::sync::Arc::new(std::sync::Mutex::new(ended));
    let mut threads = Vec::with_capacity(needed);
    let mut failed = None;
    for _ in 0..needed {
        let ended = ended.clone();
        // Ends when the sender is gone.
        let wait = move || drop(ended.lock().map(|ended| ended.recv()));
        match thread::Builder::new().name("preflight".to_owned()).stack_size(64 * 1024).spawn(wait) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    drop(end);
    for thread in threads {
        let _ = thread.join();
    }
    failed.map_or(Ok(()), |error| Err(StartError::TooFewThreads { needed, error }))
}

/// Whether the own ring is used; false for glommio's sockets. glommio stands on io_uring too: where that is forbidden,
/// or lacks memory or descriptors, neither works.
pub(super) fn choose_driver(config: &Config) -> Result<bool, StartError> {
    let Err(error) = preflight() else { return Ok(config.transport != config::Transport::Glommio) };
    match (config.transport, &error) {
        (_, PreflightError::Forbidden | PreflightError::LockedMemory | PreflightError::Descriptors)
        | (config::Transport::Ring, _) => Err(StartError::Preflight(error)),
        (config::Transport::Glommio, _) => Ok(false),
        (config::Transport::Auto, _) => {
            warn!("TRANSPORT: {error}; using glommio's sockets, which cost more CPU");
            Ok(false)
        }
    }
}

/// The processors this process may run on.
pub(super) fn processors() -> Vec<usize> {
    let mask = rustix::thread::sched_getaffinity(None).ok();
    let cpus: Vec<usize> = mask
        .map(|mask| (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| mask.is_set(*cpu)).collect())
        .unwrap_or_default();
    if cpus.is_empty() { vec![0] } else { cpus }
}
