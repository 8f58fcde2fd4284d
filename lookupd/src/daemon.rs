//! The life of the process: listen, serve, stop.

use std::fmt;
use std::io;
use std::sync::Arc;

use nsq_flags::{error, fatal, info, log, warn};
use nsq_listen::{listen, raise_file_limit};
use nsq_protocol::limits::NSQ_VERSION;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::clock::Clock;
use crate::config::{Config, PROGRAM};
use crate::rooms::Rooms;
use crate::shared::Shared;
use crate::state;
use crate::{http, identify, tcp};

/// Why the daemon ended, if not because it was asked to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The runtime or the signals could not be set up.
    Runtime(io::Error),
    /// An address cannot be listened on.
    Listen {
        /// As configured.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// A listener broke.
    Accept(io::Error),
    /// The state file cannot be used.
    State(state::StateError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => write!(f, "failed to start - {error}"),
            Self::Listen { address, error } => {
                write!(f, "failed to instantiate nsqlookupd - listen ({address}) failed - {error}")
            }
            Self::Accept(error) => write!(f, "listener.Accept() error - {error}"),
            Self::State(error) => write!(f, "{error}"),
        }
    }
}

/// Runs until SIGINT or SIGTERM, or until it cannot go on. Returns the exit code.
pub fn run(config: Config) -> i32 {
    let _flush = log::init(&config.log_prefix, config.log_level);
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    match start(&config) {
        Ok(()) => 0,
        Err(failure) => {
            fatal!("{failure}");
            1
        }
    }
}

fn start(config: &Config) -> Result<(), Failure> {
    let rooms = Rooms::share(raise_file_limit());
    // One thread: the work between two system calls is a microsecond, and locks and wake-ups would cost more.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(live(config, rooms))
    // Dropping the runtime closes every connection, those that never said a word included.
}

async fn live(config: &Config, rooms: Rooms) -> Result<(), Failure> {
    let mut stop = Stop::new().map_err(Failure::Runtime)?;
    info!("{}", PROGRAM.version_line);
    let clock = Clock::start();
    let (file, registry) = state::open(config, &clock).map_err(Failure::State)?;
    let (tcp, tcp_address) = open(&config.tcp_address)?;
    let (http, http_address) = open(&config.http_address)?;
    let reply = identify::reply(
        &config.broadcast_address,
        &config.hostname,
        tcp_address.port(),
        http_address.port(),
        NSQ_VERSION,
    );
    let shared = Arc::new(Shared::new(registry, clock, reply));
    info!("TCP: listening on {tcp_address}");
    info!("HTTP: listening on {http_address}");

    let result = tokio::select! {
        () = stop.asked() => Ok(()),
        result = tcp::serve(tcp, rooms.tcp, Arc::clone(&shared)) => result,
        result = http::serve(http, rooms.http, Arc::clone(&shared)) => result,
        never = state::keep(file.clone(), Arc::clone(&shared)) => match never {},
    };
    info!("TCP: closing {tcp_address}");
    info!("HTTP: closing {http_address}");
    if let Some(file) = file
        && let Err(error) = file.save(&shared)
    {
        error!("{error}");
    }
    result.map_err(Failure::Accept)
}

fn open(address: &str) -> Result<(TcpListener, std::net::SocketAddr), Failure> {
    let failed = |error| Failure::Listen { address: address.to_owned(), error };
    let listener = listen(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The signals that ask for the end. They are caught from the beginning, so that the second one of an impatient
/// operator is ignored while the state is saved.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
