//! What all cores of a broker see of the process as a whole. Set at start; the few changing parts are atomics or
//! rarely taken locks, none of them on a message's path.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;
use crate::mesh::permits::Permits;

/// Where a listener is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP, with the real port.
    Tcp(SocketAddr),
    /// A unix stream socket's path.
    Unix(PathBuf),
}

impl Address {
    /// The TCP port; -1 for a unix socket, as `/info` reports it.
    pub fn port(&self) -> i32 {
        match self {
            Address::Tcp(address) => i32::from(address.port()),
            Address::Unix(_) => -1,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The process, as every core and every HTTP handler sees it.
#[derive(Debug)]
pub struct Process {
    /// The frozen configuration.
    pub config: Config,
    /// Unix seconds at which the process started.
    pub started_at: i64,
    /// Where TCP clients are listened for.
    pub tcp_address: Address,
    /// Where HTTP is served, if it is.
    pub http_address: Option<Address>,
    lookupd_addresses: Mutex<Vec<String>>,
    lookupd_generation: AtomicU64,
    lookupd_count: AtomicUsize,
    lookupd_is_null: AtomicBool,
    /// By shard, what is wrong with its log.
    health: Mutex<BTreeMap<u16, String>>,
    unhealthy: AtomicBool,
    stopping: AtomicBool,
    failed: AtomicBool,
    /// How many clients there may be.
    pub permits: Arc<Permits>,
    /// Cores that send no more messages; see `core/stop.rs`.
    pub quiet_cores: AtomicUsize,
    on_failure: OnFailure,
}

/// Ends the main thread's wait.
struct OnFailure(Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnFailure")
    }
}

impl Process {
    /// A healthy process. `on_failure` is called, from any core, when one cannot go on.
    pub fn new(
        config: Config,
        started_at: i64,
        tcp_address: Address,
        http_address: Option<Address>,
        on_failure: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self {
            lookupd_count: AtomicUsize::new(config.lookupd_tcp_addresses.len()),
            lookupd_addresses: Mutex::new(config.lookupd_tcp_addresses.clone()),
            lookupd_generation: AtomicU64::new(0),
            lookupd_is_null: AtomicBool::new(false),
            permits: Permits::new(config.connections_max),
            config,
            started_at,
            tcp_address,
            http_address,
            health: Mutex::new(BTreeMap::new()),
            unhealthy: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            quiet_cores: AtomicUsize::new(0),
            on_failure: OnFailure(on_failure),
        }
    }

    /// The error that makes the process unhealthy, if any. Shown by `/ping` and `/stats`.
    pub fn health_error(&self) -> Option<String> {
        if !self.unhealthy.load(Ordering::Acquire) {
            return None;
        }
        self.health.lock().unwrap_or_else(PoisonError::into_inner).values().next().cloned()
    }

    /// Sets or clears the error of one shard's log. Called by the core that serves it.
    pub fn set_health_error(&self, shard: u16, error: Option<String>) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) => drop(health.insert(shard, error)),
            None if planted!(HealthOfAnother) => health.clear(),
            None => drop(health.remove(&shard)),
        }
        self.unhealthy.store(!health.is_empty(), Ordering::Release);
    }

    /// The addresses of nsqlookupd in force now, and how often they were changed.
    pub fn lookupd_addresses(&self) -> (u64, Vec<String>) {
        let addresses = self.lookupd_addresses.lock().unwrap_or_else(PoisonError::into_inner);
        (self.lookupd_generation.load(Ordering::Acquire), addresses.clone())
    }

    /// How often the addresses were changed; cheap to ask.
    pub fn lookupd_generation(&self) -> u64 {
        self.lookupd_generation.load(Ordering::Acquire)
    }

    /// Whether any nsqlookupd is configured; cheap to ask.
    pub fn has_lookupd(&self) -> bool {
        self.lookupd_count.load(Ordering::Acquire) > 0
    }

    /// Whether the addresses were last set to JSON's `null`, which is no address too, but is shown as it was set.
    pub fn lookupd_is_null(&self) -> bool {
        self.lookupd_is_null.load(Ordering::Acquire)
    }

    /// Takes all addresses away, in the word `null`.
    pub fn set_lookupd_null(&self) {
        self.set_lookupd_addresses(Vec::new());
        self.lookupd_is_null.store(true, Ordering::Release);
    }

    /// Changes the addresses for the life of the process.
    pub fn set_lookupd_addresses(&self, new: Vec<String>) {
        let mut addresses = self.lookupd_addresses.lock().unwrap_or_else(PoisonError::into_inner);
        self.lookupd_count.store(new.len(), Ordering::Release);
        self.lookupd_is_null.store(false, Ordering::Release);
        *addresses = new;
        self.lookupd_generation.fetch_add(1, Ordering::AcqRel);
    }

    /// True once a clean stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// PendingRequests every core to stop. The caller wakes them.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Notes that a core cannot go on: the process is to end with the exit code for it.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        (self.on_failure.0)();
    }

    /// True once a shard was poisoned.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shard_that_has_room_again_does_not_clear_the_health_of_another() {
        let config = Config::from_arguments([]).unwrap();
        let address = Address::Tcp(([127, 0, 0, 1], 4150).into());
        let process = Process::new(config, 0, address, None, Box::new(|| ()));
        process.set_health_error(0, Some("full".into()));
        process.set_health_error(3, Some("failed".into()));
        process.set_health_error(0, None);
        assert_eq!(process.health_error().as_deref(), Some("failed"));
        process.set_health_error(3, None);
        assert_eq!(process.health_error(), None);
    }
}
