//! From flags to running cores, and back to an exit code.
//!
//! The order at start: flags and file → lock on the data directory → sockets (bound, so that a port in use is told
//! before anything is touched) → data directory → per core, in parallel: recovery of its shards → listeners.
//!
//! | file | what |
//! |---|---|
//! | `resources` | descriptors, memory, processors, io_uring |
//! | `listen` | sockets |
//! | `data`, `logs` | the data directory: lock, open; the logs in it: recover, mark |
//! | `cores`, `core_thread` | threads; what one is made of |
//! | `signals` | what ends the process |
//! | `error` | every sentence and every exit code |

pub mod core_thread;
mod cores;
pub mod data;
pub mod error;
pub mod listen;
pub mod logs;
mod resources;
mod signals;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, PoisonError, RwLock};

use nsq_flags::{error, fatal, info, log, warn};
use nsq_wal::{Disk, StdDisk};

use crate::config::{Config, PROGRAM};
use crate::mesh::placement::Placement;
use crate::mesh::process::Process;
use crate::start::error::{EXIT_IO, EXIT_OK, EXIT_START, StartError};
use crate::start::listen::{Listener, Listeners};
use crate::start::logs::NotClean;
use crate::transport::{PlainTransport, RingTransport};

/// Shards of a new data directory, at the least: one that is made on a small machine may move to a larger one.
const SHARDS_MIN: usize = 4;

/// Runs the broker until it is told to stop. Returns the process's exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let config = match Config::from_arguments(arguments) {
        Ok(config) => config,
        Err(stop) => return u8::try_from(stop.report(&PROGRAM)).unwrap_or(EXIT_START),
    };
    let _flush = log::init(&config.log_prefix, config.log_level);
    for warning in config.warnings() {
        warn!("{warning}");
    }
    match run(config) {
        Ok(code) => code,
        Err(error) => {
            fatal!("failed to instantiate nsqd - {error}");
            EXIT_START
        }
    }
}

fn run(config: Config) -> Result<u8, StartError> {
    let started_at = crate::transport::clock::now().wall_ns / 1_000_000_000;
    info!("{}", PROGRAM.version_line);
    info!("ID: {}", config.node_id);
    let lock = data::lock(&config.data_path).map_err(StartError::Lock)?;
    if let Some(text) = data::warning_of_nsqs_files(&config.data_path) {
        warn!("{text}");
    }
    let (signals, ended) = UnixStream::pair().map_err(|error| StartError::System("socketpair", error))?;
    signals::watch_signals(&signals).map_err(|error| StartError::System("signals", error))?;
    let listeners = Listeners::bind(&config)?;
    resources::raise_limits()?;
    let uses_ring = resources::choose_driver(&config)?;
    let cpus = resources::processors();
    let cores = if config.cores > 0 { config.cores } else { cpus.len() };
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::new());
    let shards = if config.shards > 0 { config.shards } else { cores.clamp(SHARDS_MIN, 64) as u16 };
    resources::check(cores, shards)?;
    let data = data::open_data(&disk, &config, shards)?;
    let placement = Placement::new(data.shard_count(), cores as u16);
    let config =
        config.with_bound_ports(listeners.tcp.port(), listeners.http.as_ref().and_then(Listener::port));
    let process = Arc::new(Process::new(
        config,
        started_at,
        listeners.tcp.address().clone(),
        listeners.http.as_ref().map(|http| http.address().clone()),
        // Should the main thread not take the byte, it has one already.
        Box::new(move || drop((&signals).write(&[0]))),
    ));

    let data = Arc::new(RwLock::new(data));
    let node = if uses_ring {
        cores::start::<RingTransport>(placement, &process, &data, &disk, &listeners, &cpus)?
    } else {
        cores::start::<PlainTransport>(placement, &process, &data, &disk, &listeners, &cpus)?
    };
    info!("TCP: listening on {}", listeners.tcp.address());
    if let Some(http) = &listeners.http {
        info!("HTTP: listening on {}", http.address());
    }
    signals::wait_for_end(ended);
    info!("NSQ: stopping subsystems");
    let last_frames = node.stop(&process);
    drop(listeners);
    if process.has_failed() {
        return Ok(EXIT_IO);
    }
    match logs::mark_clean(&mut data.write().unwrap_or_else(PoisonError::into_inner), last_frames) {
        Ok(()) => {}
        Err(NotClean::NotClosed) => {
            error!("NSQ: not every log could be closed; what was acknowledged is on disk");
            return Ok(EXIT_IO);
        }
        Err(NotClean::Log(failed)) => {
            error!("NSQ: everything is on disk, but the clean stop could not be recorded - {failed}");
            return Ok(EXIT_IO);
        }
    }
    info!("NSQ: bye");
    drop(lock);
    Ok(EXIT_OK)
}
