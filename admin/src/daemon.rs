//! The life of the process: listen, poll, serve, stop.

use std::fmt;
use std::io;
use std::sync::Arc;

use nsq_flags::{fatal, info, log, warn};
use nsq_listen::{listen, raise_file_limit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::App;
use crate::config::{Config, PROGRAM};
use crate::limits::{CLIENTS_MAX, RESERVED_FILES};
use crate::upstream::Client;
use crate::{http, poll};

/// Threads that answer: a page of one visitor must not wait for the answer of megabytes that another's is made of.
const THREADS: usize = 2;

/// Why the daemon ended, if not because it was asked to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The runtime or the signals could not be set up.
    Runtime(io::Error),
    /// The client for graphite and notifications could not be made.
    Client(String),
    /// The address cannot be listened on.
    Listen {
        /// As configured.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// The listener broke.
    Accept(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => write!(f, "failed to start - {error}"),
            Self::Client(text) => write!(f, "failed to start - {text}"),
            Self::Listen { address, error } => {
                write!(f, "failed to instantiate nsqadmin - listen ({address}) failed - {error}")
            }
            Self::Accept(error) => write!(f, "listener.Accept() error - {error}"),
        }
    }
}

/// Runs until SIGINT or SIGTERM, or until it cannot go on. Returns the exit code.
pub fn run(config: Config, client: Client) -> i32 {
    let _flush = log::init(&config.log_prefix, config.log_level);
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    match start(config, client) {
        Ok(()) => 0,
        Err(failure) => {
            fatal!("{failure}");
            1
        }
    }
}

fn start(config: Config, client: Client) -> Result<(), Failure> {
    let files = usize::try_from(raise_file_limit().saturating_sub(RESERVED_FILES)).unwrap_or(usize::MAX);
    // At least a few, so that a tiny limit shows as failing accepts and not as silence.
    let clients_max = files.clamp(16, CLIENTS_MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    let result = runtime.block_on(live(config, client, clients_max));
    // Whoever is still being answered, or asked, is left alone: nothing here outlives the process.
    runtime.shutdown_background();
    result
}

async fn live(config: Config, client: Client, clients_max: usize) -> Result<(), Failure> {
    let mut stop = Stop::new().map_err(Failure::Runtime)?;
    info!("{}", PROGRAM.version_line);
    let address = config.http_address.clone();
    let failed = |error| Failure::Listen { address: address.clone(), error };
    let listener = listen(&address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let app = Arc::new(App::new(config, client).map_err(Failure::Client)?);
    info!("HTTP: listening on {bound}");
    let result = tokio::select! {
        () = stop.asked() => Ok(()),
        result = http::serve(listener, clients_max, Arc::clone(&app)) => result.map_err(Failure::Accept),
        never = poll::run(Arc::clone(&app)) => match never {},
    };
    info!("HTTP: closing {bound}");
    result
}

/// The signals that ask for the end.
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
