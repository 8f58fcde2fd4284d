//! From a name to a connection, within a time.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use glommio::net::TcpStream;
use nsq_flags::address::socket_addresses;

use crate::transport::clock;

/// Runs `future` for at most `time`.
///
/// # Errors
/// `TimedOut`, or the error of the future.
pub(super) async fn within<T>(time: Duration, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    glommio::timer::timeout(time, async { future.await.map_err(glommio::GlommioError::from) }).await.map_err(
        |error: glommio::GlommioError<()>| match error {
            glommio::GlommioError::IoError(error) => error,
            _ => io::ErrorKind::TimedOut.into(),
        },
    )
}

/// Connects to the first of `addresses` that lets us. Each gets its share of what is left of `time`, so that a
/// dead one does not keep us from the next.
///
/// # Errors
/// That of the last address.
pub(super) async fn connect(addresses: &[SocketAddr], time: Duration) -> io::Result<TcpStream> {
    let deadline_ns = clock::now().mono_ns.saturating_add(nanoseconds(time));
    let mut error = io::ErrorKind::AddrNotAvailable.into();
    for (index, address) in addresses.iter().enumerate() {
        let left_ns = deadline_ns.saturating_sub(clock::now().mono_ns);
        let share_ns = left_ns / (addresses.len() - index) as u64;
        if share_ns == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(*address, Duration::from_nanos(share_ns)).await {
            Ok(stream) => {
                // Only a delay if it fails.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(failed) => error = failed.into(),
        }
    }
    Err(error)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Looks up names without blocking the core: on a thread of its own, because the executor's blocking thread also
/// does the log's file work, and a name server can be silent for half a minute.
///
/// One lookup at a time: a caller that lost timeouts leaves its thread behind, and until that ends the next lookup
/// fails at once.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    busy: Arc<AtomicBool>,
}

impl Resolver {
    /// The addresses of a host, IPv4 first; never none. An empty host is this machine, as in Go.
    ///
    /// # Errors
    /// What the system's resolver says, `WouldBlock` while an earlier lookup hangs, and `TimedOut`.
    pub(super) async fn resolve(&self, host: &str, port: u16, time: Duration) -> io::Result<Vec<SocketAddr>> {
        if host.is_empty() {
            return Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]);
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::from((ip, port))]);
        }
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "an earlier lookup of the name still hangs",
            ));
        }
        within(time, self.look_up(host.to_owned(), port)).await
    }

    async fn look_up(&self, host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found: Arc<Mutex<Found>> = Arc::default();
        let busy = Busy(self.busy.clone());
        let teller = found.clone();
        std::thread::Builder::new().name("nsqd-resolver".to_owned()).spawn(move || {
            leave_the_core();
            let addresses = socket_addresses(&host, port);
            drop(busy);
            let waker = {
                let mut found = teller.lock().unwrap_or_else(PoisonError::into_inner);
                found.addresses = Some(addresses);
                found.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        })?;
        poll_fn(|context| {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            match found.addresses.take() {
                Some(addresses) => Poll::Ready(addresses),
                None => {
                    found.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// A thread inherits the pinning of the one that starts it, and would take its time from that core. It goes where the
/// process may, which is where the main thread is: that one is not pinned.
fn leave_the_core() {
    if let Ok(anywhere) = rustix::thread::sched_getaffinity(Some(rustix::process::getpid())) {
        // On the core then, as before.
        let _ = rustix::thread::sched_setaffinity(None, &anywhere);
    }
}

#[derive(Default)]
struct Found {
    addresses: Option<io::Result<Vec<SocketAddr>>>,
    waker: Option<Waker>,
}

/// Held by the thread that looks up; also given back if the thread cannot be started.
struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Where a peer's HTTP interface is. Replaced as a whole, so that a query under way keeps its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HttpAddress {
    /// `host:port` as the peer announced it.
    pub(super) authority: String,
    /// What it resolved to; not empty.
    pub(super) addresses: Vec<SocketAddr>,
}

/// The last known HTTP address of a peer: written by its task, read by discoveries.
#[derive(Debug, Default)]
pub(super) struct HttpAddressCell(RefCell<Option<Rc<HttpAddress>>>);

impl HttpAddressCell {
    /// The address, if the peer has ever told a usable one.
    pub(super) fn get(&self) -> Option<Rc<HttpAddress>> {
        self.0.borrow().clone()
    }

    /// Replaces it.
    pub(super) fn set(&self, address: Option<HttpAddress>) {
        *self.0.borrow_mut() = address.map(Rc::new);
    }
}

#[cfg(test)]
mod tests {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    use super::*;

    #[test]
    fn a_lookup_of_a_name_does_not_share_a_core() {
        let anywhere = sched_getaffinity(Some(rustix::process::getpid())).unwrap();
        let one = (0..CpuSet::MAX_CPU).find(|&cpu| anywhere.is_set(cpu)).unwrap();
        let on_core = std::thread::spawn(move || {
            let mut pinned = CpuSet::new();
            pinned.set(one);
            sched_setaffinity(None, &pinned).unwrap();
            let started = std::thread::spawn(|| {
                leave_the_core();
                sched_getaffinity(None).unwrap()
            });
            (sched_getaffinity(None).unwrap() == pinned, started.join().unwrap())
        });
        let (core_stays, resolver) = on_core.join().unwrap();
        assert!(core_stays);
        assert!(resolver == anywhere);
    }
}
