//! What the machine gives: descriptors, locked memory, processors, io_uring.

use nsq_flags::warn;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{self, Config};
use crate::start::error::StartError;
use crate::transport::preflight;

/// Locked memory that the executors' rings need.
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;

/// Takes what the operator allows of descriptors and locked memory, and refuses to start with too little of the
/// latter: executors cannot be made then.
pub(super) fn raise_limits() -> Result<(), StartError> {
    for resource in [Resource::Nofile, Resource::Memlock] {
        let limit = getrlimit(resource);
        // If it cannot be raised, what there is has to do.
        let _ = setrlimit(resource, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    match getrlimit(Resource::Memlock).current {
        Some(bytes) if bytes < MEMLOCK_BYTES_MIN && !rustix::process::geteuid().is_root() => {
            Err(StartError::LockedMemory { limit: bytes, needed: MEMLOCK_BYTES_MIN })
        }
        _ => Ok(()),
    }
}

/// Whether the own ring is used; false for glommio's sockets.
pub(super) fn choose_driver(config: &Config) -> Result<bool, StartError> {
    match (config.transport, preflight()) {
        (config::Transport::Glommio, _) => Ok(false),
        (_, Ok(())) => Ok(true),
        (config::Transport::Ring, Err(error)) => Err(StartError::Preflight(error)),
        (config::Transport::Auto, Err(error)) => {
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
