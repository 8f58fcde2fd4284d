//! From flags to running cores, and back to an exit code.
//!
//! The order at start: flags and file → lock on the data directory → sockets (bound, so that a port in use is told
//! before anything is touched) → data directory → per core, in parallel: recovery of its shards → listeners.

pub mod core_thread;
pub mod data;
pub mod listen;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, mpsc};

use glommio::ExecutorJoinHandle;
use nsq_flags::address::{Endpoint, join_host_port, socket_addresses};
use nsq_flags::{error, fatal, info, log, warn};
use nsq_wal::{DataDir, DataDirOptions, Disk, StdDisk, WalError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

use crate::config::{self, Config, PROGRAM};
use crate::mesh::mesh;
use crate::mesh::placement::Placement;
use crate::mesh::process::Process;
use crate::start::core_thread::{Common, CoreError, CoreParts, Doorbells, LastFrames};
use crate::start::data::{LockError, errno_text};
use crate::start::listen::Listener;
use crate::transport::{PlainTransport, PreflightError, RemoteWaker, RingTransport, Transport, preflight};

/// Everything is fine.
const EXIT_OK: u8 = 0;
/// It could not start.
const EXIT_START: u8 = 1;
/// A log could not be written: EX_IOERR. A supervisor may start it again; what was acknowledged is on disk.
const EXIT_IO: u8 = 74;

/// Shards of a new data directory, at the least: one that is made on a small machine may move to a larger one.
const SHARDS_MIN: usize = 4;

/// Locked memory that the executors' rings need.
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;

/// Why the broker did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory is not ours.
    Lock(LockError),
    /// A socket could not be bound.
    Listen {
        /// As configured.
        address: String,
        /// Why not.
        error: io::Error,
    },
    /// The kernel or its limits.
    Preflight(PreflightError),
    /// The limit of locked memory, in bytes, is too low.
    LockedMemory(u64),
    /// The data directory cannot be used as it is.
    Log(WalError),
    /// A core.
    Core(CoreError),
    /// Threads, pipes, signals.
    System(&'static str, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Lock(error) => write!(f, "failed to lock data-path: {error}"),
            StartError::Listen { address, error } => {
                write!(f, "listen ({address}) failed - {}", errno_text(error))
            }
            StartError::Preflight(error) => write!(f, "{error}"),
            StartError::LockedMemory(bytes) => write!(
                f,
                "the limit of locked memory is {bytes} bytes, and io_uring needs {MEMLOCK_BYTES_MIN}: raise it with \
                 `ulimit -l` or LimitMEMLOCK="
            ),
            StartError::Log(error) => write!(f, "{error}"),
            StartError::Core(error) => write!(f, "{error}"),
            StartError::System(what, error) => write!(f, "{what} - {}", errno_text(error)),
        }
    }
}

impl std::error::Error for StartError {}

/// Runs the broker until it is told to stop. Returns the process's exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let config = match Config::from_arguments(arguments) {
        Ok(config) => config,
        Err(stop) => return u8::try_from(stop.report(&PROGRAM)).unwrap_or(EXIT_START),
    };
    log::init(&config.log_prefix, config.log_level);
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
    let started_at = crate::clock::now().wall_ns / 1_000_000_000;
    info!("{}", PROGRAM.version_line);
    info!("ID: {}", config.node_id);
    let lock = data::lock(&config.data_path).map_err(StartError::Lock)?;
    let (signals, ended) = UnixStream::pair().map_err(|error| StartError::System("socketpair", error))?;
    watch_signals(&signals).map_err(|error| StartError::System("signals", error))?;
    let listeners = Listeners::bind(&config)?;
    raise_limits()?;
    let uses_ring = choose_driver(&config)?;
    let cpus = processors();
    let cores = if config.cores > 0 { config.cores } else { cpus.len() };
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::new());
    let shards = if config.shards > 0 { config.shards } else { cores.clamp(SHARDS_MIN, 64) as u16 };
    let data = open_data(&disk, &config, shards)?;
    let placement = Placement::new(data.shard_count(), cores as u16);
    let config =
        config.with_bound_ports(listeners.tcp.port(), listeners.http.as_ref().and_then(Listener::port));
    let process = Arc::new(Process::new(
        config,
        started_at,
        listeners.tcp.address().clone(),
        listeners.http.as_ref().map(|http| http.address().clone()),
        signals,
    ));

    let data = Arc::new(RwLock::new(data));
    let node = if uses_ring {
        start::<RingTransport>(placement, &process, &data, &disk, &listeners, &cpus)?
    } else {
        start::<PlainTransport>(placement, &process, &data, &disk, &listeners, &cpus)?
    };
    info!("TCP: listening on {}", listeners.tcp.address());
    if let Some(http) = &listeners.http {
        info!("HTTP: listening on {}", http.address());
    }
    wait_for_end(ended);
    info!("NSQ: stopping subsystems");
    let mut last_frames = node.stop(&process);
    last_frames.sort_unstable();
    let last_frames: Vec<u64> = last_frames.into_iter().map(|(_, frame)| frame).collect();
    drop(listeners);
    if process.has_failed() {
        return Ok(EXIT_IO);
    }
    if last_frames.len() != usize::from(placement.shards()) {
        error!("NSQ: not every log could be closed; what was acknowledged is on disk");
        return Ok(EXIT_IO);
    }
    if let Err(failed) = data.write().unwrap_or_else(PoisonError::into_inner).mark_clean(&last_frames) {
        error!("NSQ: everything is on disk, but the clean stop could not be recorded - {failed}");
        return Ok(EXIT_IO);
    }
    info!("NSQ: bye");
    drop(lock);
    Ok(EXIT_OK)
}

/// SIGINT and SIGTERM end the wait of the main thread; SIGUSR1 is ignored, as NSQ's is.
fn watch_signals(signals: &UnixStream) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, signals.try_clone()?)?;
    }
    signal_hook::flag::register(SIGUSR1, Arc::default())?;
    Ok(())
}

/// Waits for a signal, or for a core that cannot go on.
fn wait_for_end(mut ended: UnixStream) {
    let mut byte = [0];
    while let Err(error) = ended.read(&mut byte) {
        if error.kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}

/// Takes what the operator allows of descriptors and locked memory, and refuses to start with too little of the
/// latter: executors cannot be made then.
fn raise_limits() -> Result<(), StartError> {
    for resource in [Resource::Nofile, Resource::Memlock] {
        let limit = getrlimit(resource);
        // If it cannot be raised, what there is has to do.
        let _ = setrlimit(resource, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    match getrlimit(Resource::Memlock).current {
        Some(bytes) if bytes < MEMLOCK_BYTES_MIN && !rustix::process::geteuid().is_root() => {
            Err(StartError::LockedMemory(bytes))
        }
        _ => Ok(()),
    }
}

/// Whether the own ring is used; false for glommio's sockets.
fn choose_driver(config: &Config) -> Result<bool, StartError> {
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
fn processors() -> Vec<usize> {
    let mask = rustix::thread::sched_getaffinity(None).ok();
    let cpus: Vec<usize> = mask
        .map(|mask| (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| mask.is_set(*cpu)).collect())
        .unwrap_or_default();
    if cpus.is_empty() { vec![0] } else { cpus }
}

struct Listeners {
    tcp: Listener,
    http: Option<Listener>,
}

impl Listeners {
    fn bind(config: &Config) -> Result<Self, StartError> {
        let tcp = bind(&config.tcp_address)?;
        let http = config.http_address.as_ref().map(bind).transpose()?;
        Ok(Self { tcp, http })
    }
}

fn bind(endpoint: &Endpoint) -> Result<Listener, StartError> {
    let listen = |error| StartError::Listen { address: address_text(endpoint), error };
    match endpoint {
        Endpoint::Unix(path) => Listener::unix(Path::new(path)).map_err(listen),
        Endpoint::Tcp { host, port } => {
            let addresses = socket_addresses(host, *port).map_err(listen)?;
            Listener::tcp(&addresses).map_err(listen)
        }
    }
}

fn address_text(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Unix(path) => path.clone(),
        Endpoint::Tcp { host, port } => join_host_port(host, *port),
    }
}

fn open_data(disk: &Arc<dyn Disk>, config: &Config, shards: u16) -> Result<DataDir, StartError> {
    let mut entropy = [0; 32];
    let filled = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut entropy));
    filled.map_err(|error| StartError::System("/dev/urandom", error))?;
    let options = DataDirOptions { shard_count_if_new: shards, node_id: config.node_id, entropy };
    DataDir::open(disk, &config.data_path, &options).map_err(StartError::Log)
}

/// The running cores.
struct Node {
    threads: Vec<ExecutorJoinHandle<LastFrames>>,
    wakers: Vec<RemoteWaker>,
}

impl Node {
    /// Stops every core and says where their logs end.
    fn stop(self, process: &Process) -> LastFrames {
        process.stop();
        self.wakers.iter().for_each(RemoteWaker::wake);
        join(self.threads)
    }
}

fn join(threads: Vec<ExecutorJoinHandle<LastFrames>>) -> LastFrames {
    threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
}

fn start<T: Transport + 'static>(
    placement: Placement,
    process: &Arc<Process>,
    data: &Arc<RwLock<DataDir>>,
    disk: &Arc<dyn Disk>,
    listeners: &Listeners,
    cpus: &[usize],
) -> Result<Node, StartError> {
    let cores = placement.cores();
    let common = Arc::new(Common::<T> {
        placement,
        process: process.clone(),
        data: data.clone(),
        disk: disk.clone(),
        doorbells: Doorbells::new(cores),
    });
    let (started, starts) = mpsc::channel();
    let mut threads = Vec::new();
    let mut gates = Vec::new();
    for (id, mesh) in (0..cores).zip(mesh(usize::from(cores))) {
        let (gate, go) = mpsc::channel();
        let parts = CoreParts {
            id,
            cpu: (usize::from(cores) <= cpus.len()).then(|| cpus[usize::from(id)]),
            mesh,
            tcp: duplicate(&listeners.tcp)?,
            http: listeners.http.as_ref().map(duplicate).transpose()?,
            started: started.clone(),
            go,
        };
        threads.push(core_thread::spawn(common.clone(), parts).map_err(StartError::Core)?);
        gates.push(gate);
    }
    drop(started);
    let results: Result<Vec<RemoteWaker>, CoreError> = starts.iter().take(usize::from(cores)).collect();
    match results {
        Ok(wakers) if wakers.len() == usize::from(cores) => {
            // From here on a crash is a crash, and before it a refused start leaves the directory as it was.
            data.write().unwrap_or_else(PoisonError::into_inner).mark_running().map_err(StartError::Log)?;
            for gate in gates {
                let _ = gate.send(());
            }
            Ok(Node { threads, wakers })
        }
        Ok(_) => {
            let error = io::Error::other("a core ended while it started");
            Err(StartError::System("failed to start", error))
        }
        Err(error) => {
            drop(gates);
            join(threads);
            Err(StartError::Core(error))
        }
    }
}

fn duplicate(listener: &Listener) -> Result<OwnedFd, StartError> {
    listener.duplicate().map_err(|error| StartError::System("failed to duplicate a listener", error))
}
