//! What all cores of a broker see of the process as a whole. Set at start; the few changing parts are atomics or
//! rarely taken locks, none of them on a message's path.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::Config;
use crate::listeners::Address;

/// The process, as every core and every HTTP handler sees it.
#[derive(Debug)]
pub struct Shared {
    /// The frozen configuration.
    pub config: Config,
    /// Unix seconds at which the process started.
    pub started_at: i64,
    /// Where TCP clients are listened for.
    pub tcp_address: Address,
    /// Where HTTP is served, if it is.
    pub http_address: Option<Address>,
    /// Addresses of nsqlookupd, changeable at run time.
    pub lookupd_addresses: Mutex<Vec<String>>,
    health: Mutex<Option<String>>,
    unhealthy: AtomicBool,
    stopping: AtomicBool,
    failed: AtomicBool,
}

impl Shared {
    /// A healthy process.
    pub fn new(config: Config, started_at: i64, tcp_address: Address, http_address: Option<Address>) -> Self {
        Self {
            lookupd_addresses: Mutex::new(config.lookupd_tcp_addresses.clone()),
            config,
            started_at,
            tcp_address,
            http_address,
            health: Mutex::new(None),
            unhealthy: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    /// The error that makes the process unhealthy, if any. Shown by `/ping` and `/stats`.
    pub fn health_error(&self) -> Option<String> {
        if !self.unhealthy.load(Ordering::Acquire) {
            return None;
        }
        self.health.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Sets or clears the error. Called by the core whose log met it.
    pub fn set_health_error(&self, error: Option<String>) {
        let unhealthy = error.is_some();
        *self.health.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = error;
        self.unhealthy.store(unhealthy, Ordering::Release);
    }

    /// True once a clean stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Asks every core to stop. The caller wakes them.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Notes that a shard was poisoned: the process is to end with the exit code for it.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.stop();
    }

    /// True once a shard was poisoned.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}
