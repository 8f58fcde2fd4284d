//! One thread per core: its executor, the recovery of its shards, its loop.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::time::Duration;

use futures_lite::future::or;
use glommio::timer::Timer;
use glommio::{ExecutorJoinHandle, GlommioError, LocalExecutorBuilder, Placement as Pinning, PoolPlacement};
use nsq_wal::{DataDir, Disk};

use crate::core::{Core, Engine, EngineParts};
use crate::http::{self, HttpContext};
use crate::lookup::{self, Registrations};
use crate::mesh::MeshEnd;
use crate::mesh::handle::{CoreHandle, Inbox};
use crate::mesh::message::CoreMessage;
use crate::mesh::placement::Placement;
use crate::mesh::process::Process;
use crate::start::error::CoreError;
use crate::start::logs::{LastFrames, log_options, open_logs};
use crate::transport::{Options, RemoteWaker, Transport, clock};

/// What glommio's reactor may pin. Its default is 10 MiB for each executor, for buffers that we do not use.
const EXECUTOR_IO_BYTES: usize = 64 * 1024;
/// Depth of glommio's own rings, which carry HTTP and cold file work only.
const EXECUTOR_RING_DEPTH: usize = 1024;

/// Threads for blocking file work. With a single one, the renaming of the next segment, for which commits wait, would
/// stand in line behind the preparing of the one after it, which takes tens of milliseconds.
const BLOCKING_THREADS: usize = 3;

/// How long the end of HTTP and of the conversation with nsqlookupd may take after that of the core.
const TASKS_STOP_MAX: Duration = Duration::from_secs(1);

/// Threads of a core.
pub(super) const THREADS_PER_CORE: usize = 1 + BLOCKING_THREADS;

/// What all cores are given alike.
pub struct Common<T: Transport> {
    /// Who lives where.
    pub placement: Placement,
    /// The process.
    pub process: Arc<Process>,
    /// The opened data directory.
    pub data: Arc<RwLock<DataDir>>,
    /// For logs and their cold work.
    pub disk: Arc<dyn Disk>,
    /// Where the cores leave each other's doorbells while they start.
    pub doorbells: Doorbells<T>,
}

/// What one core is given.
pub struct CoreParts {
    /// This core.
    pub id: u16,
    /// The processor it is pinned to, if there are enough.
    pub cpu: Option<usize>,
    /// This core's end of the rings.
    pub mesh: MeshEnd<CoreMessage>,
    /// TCP clients come from here.
    pub tcp: OwnedFd,
    /// HTTP clients come from here.
    pub http: Option<OwnedFd>,
    /// Tells how the start went.
    pub started: mpsc::Sender<Result<RemoteWaker, CoreError>>,
    /// Says that every core has started. Its other end is dropped when one has not.
    pub may_start: mpsc::Receiver<()>,
    /// Tells where the core's logs end, when it has stopped.
    pub stopped: mpsc::Sender<LastFrames>,
}

/// Doorbells on their way from the cores that own them to the cores that ring them: `[of][for]`.
pub struct Doorbells<T: Transport>(Mutex<Vec<Vec<Option<T::Doorbell>>>>);

impl<T: Transport> Doorbells<T> {
    /// For `cores` cores.
    pub fn new(cores: u16) -> Self {
        Self(Mutex::new((0..cores).map(|_| Vec::new()).collect()))
    }

    fn leave(&self, of: u16, transport: &T, cores: u16) -> io::Result<()> {
        let doorbells: io::Result<Vec<_>> = (0..cores)
            .map(|peer| if peer == of { Ok(None) } else { transport.doorbell().map(Some) })
            .collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[usize::from(of)] = doorbells?;
        Ok(())
    }

    fn take(&self, taker: u16) -> Vec<Option<T::Doorbell>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter_mut().map(|of| of.get_mut(usize::from(taker)).and_then(Option::take)).collect()
    }
}

/// Starts the thread of one core.
pub fn spawn<T: Transport + 'static>(
    common: Arc<Common<T>>,
    parts: CoreParts,
) -> Result<ExecutorJoinHandle<()>, CoreError> {
    let pinning = parts.cpu.map_or(Pinning::Unbound, Pinning::Fixed);
    LocalExecutorBuilder::new(pinning)
        .name(&format!("core-{}", parts.id))
        .io_memory(EXECUTOR_IO_BYTES)
        .ring_depth(EXECUTOR_RING_DEPTH)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(BLOCKING_THREADS))
        // The preempt timer keeps glommio's default of 100 ms: the loop visits the reactor by itself, and a timer that
        // fires while the executor is about to sleep can let it sleep with runnable tasks.
        .spawn(move || run(common, parts))
        .map_err(executor_failed)
}

/// An executor could not be made, which its own thread finds out.
pub(super) fn executor_failed(error: GlommioError<()>) -> CoreError {
    CoreError::System("failed to start an executor", error.into())
}

async fn run<T: Transport + 'static>(common: Arc<Common<T>>, parts: CoreParts) {
    let CoreParts { id, mesh, tcp, http, started, may_start, stopped, .. } = parts;
    let opened = {
        let data = common.data.read().unwrap_or_else(PoisonError::into_inner);
        let shards = common.placement.shards_of_core(id);
        let options = shards.into_iter().map(|shard| log_options(&common.process.config, shard));
        open_logs(&common.disk, &data, options, clock::now().mono_ns)
    };
    let ready = opened.map_err(CoreError::Log).and_then(|logs| {
        let transport = open_transport(&common, id)?;
        let waker = transport.remote_waker().map_err(|error| CoreError::System("eventfd", error))?;
        Ok((logs, transport, waker))
    });
    let (logs, mut transport) = match ready {
        Ok((logs, transport, waker)) => {
            let _ = started.send(Ok(waker));
            (logs, transport)
        }
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    // Who counts the cores that have started must not wait for those that never will.
    drop(started);
    // Blocks the executor, which has nothing else to do yet.
    if may_start.recv().is_err() {
        transport.shutdown().await;
        return;
    }
    transport.set_peers(common.doorbells.take(id));

    let inbox = Rc::new(RefCell::new(Inbox::default()));
    let handle = CoreHandle::new(inbox.clone(), transport.local_waker(), common.placement);
    let registrations = Rc::new(Registrations::default());
    let parts = EngineParts { id, placement: common.placement, process: common.process.clone(), logs, mesh };
    let engine = Engine::new(parts, transport.now());
    let noticed = registrations.clone();
    let lookup = Box::new(move |notice| noticed.notice(notice));
    let core = Core::new(engine, transport, inbox, handle.clone(), lookup);
    let context = Rc::new(HttpContext::new(handle.clone(), common.process.clone()));
    let serving = http.map(|listener| glommio::spawn_local(http::serve(listener, context.clone())));
    let talking = (id == 0)
        .then(|| glommio::spawn_local(lookup::run(registrations.clone(), common.process.clone(), handle)));
    let on_stop = move || {
        context.stop();
        registrations.stop();
    };
    let last_frames = core.run(tcp, on_stop).await;
    if !common.process.has_failed() {
        // Answers that were under way when the stop began reach their clients, and nsqlookupd sees a clean end.
        let ended = async {
            if let Some(serving) = serving {
                serving.await;
            }
            if let Some(talking) = talking {
                talking.await;
            }
        };
        or(ended, async {
            let _late = Timer::new(TASKS_STOP_MAX).await;
        })
        .await;
    }
    let _ = stopped.send(last_frames);
}

fn open_transport<T: Transport>(common: &Common<T>, id: u16) -> Result<T, CoreError> {
    let transport = T::open(&Options::default(), common.disk.clone())
        .map_err(|error| CoreError::System("failed to set up io_uring", error))?;
    common
        .doorbells
        .leave(id, &transport, common.placement.cores())
        .map_err(|error| CoreError::System("failed to make a doorbell", error))?;
    Ok(transport)
}
