//! The threads of the cores: started together, stopped together.

use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::time::{Duration, Instant};

use glommio::ExecutorJoinHandle;
use nsq_flags::error;
use nsq_wal::{DataDir, Disk};

use crate::mesh::placement::Placement;
use crate::mesh::process::Process;
use crate::mesh::{RING_ITEMS_MAX, mesh};
use crate::start::core_thread::{self, Common, CoreParts, Doorbells};
use crate::start::error::{CoreError, StartError};
use crate::start::listen::{Listener, Listeners};
use crate::start::logs::LastFrames;
use crate::transport::{RemoteWaker, Transport};

/// How long the cores may take to stop, each with its own bounds for connections, peers and logs inside.
const STOP_MAX: Duration = Duration::from_secs(20);
/// The same when the process cannot go on: what was acknowledged is on disk, and a supervisor waits.
const FAILED_STOP_MAX: Duration = Duration::from_secs(1);
/// How often the main thread looks whether a stop has turned into a failure.
const STOP_STEP: Duration = Duration::from_millis(20);

/// The running cores.
pub(super) struct Node {
    threads: Vec<ExecutorJoinHandle<()>>,
    wakers: Vec<RemoteWaker>,
    /// Each core's last word.
    stops: mpsc::Receiver<LastFrames>,
}

impl Node {
    /// Stops every core and says where their logs end, as far as they have stopped in time.
    pub(super) fn stop(self, process: &Process) -> LastFrames {
        let begun = Instant::now();
        process.stop();
        self.wakers.iter().for_each(RemoteWaker::wake);
        let mut frames = LastFrames::new();
        let mut left = self.threads.len();
        while left > 0 {
            match self.stops.recv_timeout(STOP_STEP) {
                Ok(of_core) => {
                    frames.extend(of_core);
                    left -= 1;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let bound = if process.has_failed() { FAILED_STOP_MAX } else { STOP_MAX };
                    if begun.elapsed() >= bound {
                        error!(
                            "NSQ: {left} cores have not stopped within {bound:?}; the process ends without them"
                        );
                        return frames;
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        join(self.threads);
        frames
    }
}

/// Waits until every thread has ended. The first failure of an executor, if there was one.
fn join(threads: Vec<ExecutorJoinHandle<()>>) -> Option<CoreError> {
    let ends: Vec<_> = threads.into_iter().map(ExecutorJoinHandle::join).collect();
    ends.into_iter().find_map(Result::err).map(core_thread::executor_failed)
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
    let (stopped, stops) = mpsc::channel();
    let mut threads = Vec::new();
    let mut start_signals = Vec::new();
    let mut spawn_all = || {
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
                stopped: stopped.clone(),
            };
            threads.push(core_thread::spawn(common.clone(), parts).map_err(StartError::Core)?);
            start_signals.push(start_signal);
        }
        Ok(())
    };
    let spawned = spawn_all();
    drop((started, stopped));
    let all_started = spawned.and_then(|()| {
        let wakers = wait_for_all(&starts, usize::from(cores))?;
        // From here on a crash is a crash, and before it a refused start leaves the directory as it was.
        data.write().unwrap_or_else(PoisonError::into_inner).mark_running().map_err(StartError::Log)?;
        Ok(wakers)
    });
    match all_started {
        Ok(wakers) => {
            for signal in start_signals {
                let _ = signal.send(());
            }
            Ok(Node { threads, wakers, stops })
        }
        Err(error) => {
            drop(start_signals);
            let of_executor = join(threads);
            match (error, of_executor) {
                // A core that said nothing has ended for a reason that only its thread knows.
                (StartError::Silent, Some(why)) => Err(StartError::Core(why)),
                (error, _) => Err(error),
            }
        }
    }
}

/// Every core's waker, once all have started. Ends when each of them has either told how its start went or is gone.
fn wait_for_all(
    starts: &mpsc::Receiver<Result<RemoteWaker, CoreError>>,
    cores: usize,
) -> Result<Vec<RemoteWaker>, StartError> {
    let wakers: Result<Vec<_>, _> = starts.iter().collect();
    let wakers = wakers.map_err(StartError::Core)?;
    if wakers.len() == cores { Ok(wakers) } else { Err(StartError::Silent) }
}

fn duplicate(listener: &Listener) -> Result<OwnedFd, StartError> {
    listener.duplicate().map_err(|error| StartError::System("failed to duplicate a listener", error))
}

#[cfg(test)]
mod tests;
