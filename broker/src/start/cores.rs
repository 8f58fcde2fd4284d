//! The threads of the cores: started together, stopped together.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLock, mpsc};

use glommio::ExecutorJoinHandle;
use nsq_wal::{DataDir, Disk};

use crate::mesh::placement::Placement;
use crate::mesh::process::Process;
use crate::mesh::{RING_ITEMS_MAX, mesh};
use crate::start::core_thread::{self, Common, CoreParts, Doorbells};
use crate::start::error::{CoreError, StartError};
use crate::start::listen::{Listener, Listeners};
use crate::start::logs::LastFrames;
use crate::transport::{RemoteWaker, Transport};

/// The running cores.
pub(super) struct Node {
    threads: Vec<ExecutorJoinHandle<LastFrames>>,
    wakers: Vec<RemoteWaker>,
}

impl Node {
    /// Stops every core and says where their logs end.
    pub(super) fn stop(self, process: &Process) -> LastFrames {
        process.stop();
        self.wakers.iter().for_each(RemoteWaker::wake);
        join(self.threads)
    }
}

fn join(threads: Vec<ExecutorJoinHandle<LastFrames>>) -> LastFrames {
    threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
}

/// Starts the cores: all of them, or none.
pub(super) fn start<T: Transport + 'static>(
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
    let mut start_signals = Vec::new();
    for (id, mesh) in (0..cores).zip(mesh(usize::from(cores), RING_ITEMS_MAX)) {
        let (start_signal, may_start) = mpsc::channel();
        let parts = CoreParts {
            id,
            cpu: (usize::from(cores) <= cpus.len()).then(|| cpus[usize::from(id)]),
            mesh,
            tcp: duplicate(&listeners.tcp)?,
            http: listeners.http.as_ref().map(duplicate).transpose()?,
            started: started.clone(),
            may_start,
        };
        threads.push(core_thread::spawn(common.clone(), parts).map_err(StartError::Core)?);
        start_signals.push(start_signal);
    }
    drop(started);
    let results: Result<Vec<RemoteWaker>, CoreError> = starts.iter().take(usize::from(cores)).collect();
    match results {
        Ok(wakers) if wakers.len() == usize::from(cores) => {
            // From here on a crash is a crash, and before it a refused start leaves the directory as it was.
            data.write().unwrap_or_else(PoisonError::into_inner).mark_running().map_err(StartError::Log)?;
            for signal in start_signals {
                let _ = signal.send(());
            }
            Ok(Node { threads, wakers })
        }
        Ok(_) => {
            let error = io::Error::other("a core ended while it started");
            Err(StartError::System("failed to start", error))
        }
        Err(error) => {
            drop(start_signals);
            join(threads);
            Err(StartError::Core(error))
        }
    }
}

fn duplicate(listener: &Listener) -> Result<OwnedFd, StartError> {
    listener.duplicate().map_err(|error| StartError::System("failed to duplicate a listener", error))
}
