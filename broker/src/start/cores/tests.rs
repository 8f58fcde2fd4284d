//! Cores that fail, at their start and later, on a transport that can be made to.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};

use nsq_queue::Now;
use nsq_wal::{DataDirOptions, Io, StdDisk};

use super::*;
use crate::config::Config;
use crate::transport::{
    Chunk, Close, Counters, Event, LocalWaker, Options, PlainTransport, Slot, Socket, Wait,
};

const CORES: u16 = 2;
/// Far longer than anything here takes, far shorter than a hang.
const DEADLINE: Duration = Duration::from_secs(60);

/// A transport of which the `AT`-th that was opened fails in the way `FAILURE`.
struct Failing<const FAILURE: u8> {
    inner: PlainTransport,
    fails_in: Option<u32>,
}

const AT_OPEN: u8 = 0;
const IN_A_TURN: u8 = 1;

/// Transports opened so far, by kind of failure: each kind is used by one test.
static OPENED: [AtomicU16; 2] = [const { AtomicU16::new(0) }; 2];

impl<const FAILURE: u8> Transport for Failing<FAILURE> {
    type Doorbell = <PlainTransport as Transport>::Doorbell;

    fn open(options: &Options, disk: Arc<dyn Disk>) -> io::Result<Self> {
        let chosen = OPENED[usize::from(FAILURE)].fetch_add(1, Ordering::Relaxed) == 1;
        if chosen && FAILURE == AT_OPEN {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let fails_in = (chosen && FAILURE == IN_A_TURN).then_some(10);
        Ok(Self { inner: PlainTransport::open(options, disk)?, fails_in })
    }

    async fn turn(&mut self, wait: Wait) -> io::Result<()> {
        match &mut self.fails_in {
            Some(0) => return Err(io::Error::from_raw_os_error(libc::EBADR)),
            Some(turns) => {
                *turns -= 1;
                return self.inner.turn(Wait::No).await;
            }
            None => {}
        }
        self.inner.turn(wait).await
    }

    fn now(&self) -> Now {
        self.inner.now()
    }
    fn doorbell(&self) -> io::Result<Self::Doorbell> {
        self.inner.doorbell()
    }
    fn set_peers(&mut self, peers: Vec<Option<Self::Doorbell>>) {
        self.inner.set_peers(peers);
    }
    fn ring_peer(&mut self, core: usize) {
        self.inner.ring_peer(core);
    }
    fn local_waker(&self) -> Rc<LocalWaker> {
        self.inner.local_waker()
    }
    fn remote_waker(&self) -> io::Result<RemoteWaker> {
        self.inner.remote_waker()
    }
    fn listen(&mut self, listener: u8, socket: OwnedFd) -> io::Result<()> {
        self.inner.listen(listener, socket)
    }
    fn stop_listening(&mut self) {
        self.inner.stop_listening();
    }
    fn attach(&mut self, socket: Socket) -> Slot {
        self.inner.attach(socket)
    }
    fn send(&mut self, slot: Slot, bytes: Vec<u8>) {
        self.inner.send(slot, bytes);
    }
    fn pause(&mut self, slot: Slot) {
        self.inner.pause(slot);
    }
    fn resume(&mut self, slot: Slot) {
        self.inner.resume(slot);
    }
    fn close(&mut self, slot: Slot, how: Close) {
        self.inner.close(slot, how);
    }
    fn detach(&mut self, slot: Slot) {
        self.inner.detach(slot);
    }
    fn chunk(&self, chunk: &Chunk) -> &[u8] {
        self.inner.chunk(chunk)
    }
    fn release(&mut self, chunk: Chunk) {
        self.inner.release(chunk);
    }
    fn submit(&mut self, tag: u64, io: Io) {
        self.inner.submit(tag, io);
    }
    fn set_deadline(&mut self, at: Option<u64>) {
        self.inner.set_deadline(at);
    }
    fn poll_event(&mut self) -> Option<Event> {
        self.inner.poll_event()
    }
    fn counters(&self) -> Counters {
        self.inner.counters()
    }
    fn check(&self) {
        self.inner.check();
    }
    async fn shutdown(self) {
        self.inner.shutdown().await;
    }
}

/// A broker without a main thread: what [`start`] is given, and what it hears of a failure.
struct World {
    process: Arc<Process>,
    data: Arc<RwLock<DataDir>>,
    disk: Arc<dyn Disk>,
    listeners: Listeners,
    failures: Receiver<()>,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = [
            format!("--data-path={}", folder.path().display()),
            "--tcp-address=127.0.0.1:0".to_owned(),
            "--http-address=127.0.0.1:0".to_owned(),
        ];
        let config = Config::from_arguments(arguments.map(OsString::from)).ok().unwrap();
        let listeners = Listeners::bind(&config).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(StdDisk::new());
        let options = DataDirOptions { shard_count_if_new: CORES, node_id: 1, entropy: [7; 32] };
        let data = DataDir::open(&disk, folder.path(), &options).unwrap();
        let (failed, failures) = channel();
        let process = Process::new(
            config,
            0,
            listeners.tcp.address().clone(),
            listeners.http.as_ref().map(|http| http.address().clone()),
            Box::new(move || failed.send(()).unwrap_or_default()),
        );
        Self {
            process: Arc::new(process),
            data: Arc::new(RwLock::new(data)),
            disk,
            listeners,
            failures,
            _folder: folder,
        }
    }

    fn start<const FAILURE: u8>(&self) -> Result<Node, StartError> {
        let placement = Placement::new(CORES, CORES);
        start::<Failing<FAILURE>>(placement, &self.process, &self.data, &self.disk, &self.listeners, &[])
    }
}

/// Runs `act` on a thread of its own, so that a hang is a failure and not the end of the test run.
fn within_the_deadline<R: Send + 'static>(act: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = channel();
    std::thread::spawn(move || drop(done.send(act())));
    result.recv_timeout(DEADLINE).expect("it hangs, or has panicked")
}

#[test]
fn one_core_that_cannot_start_ends_the_start_with_its_reason() {
    let text = within_the_deadline(|| match World::new().start::<AT_OPEN>() {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    });
    assert_eq!(
        text,
        "failed to set up io_uring - too many open files: raise `ulimit -n` (LimitNOFILE= in a systemd unit)"
    );
}

#[test]
fn one_core_whose_loop_fails_ends_the_process_soon() {
    let (frames, took) = within_the_deadline(|| {
        let world = World::new();
        let node = world.start::<IN_A_TURN>().ok().unwrap();
        world.failures.recv_timeout(DEADLINE).unwrap();
        assert!(world.process.has_failed());
        let begun = Instant::now();
        (node.stop(&world.process), begun.elapsed())
    });
    assert!(frames.len() < usize::from(CORES), "the failed core cannot have closed its log: {frames:?}");
    // Below the bound at which the main thread gives the cores up.
    assert!(took < FAILED_STOP_MAX, "{took:?}");
}
