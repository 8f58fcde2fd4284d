//! A thread per listener. glommio's own accept switches the listener to non-blocking and back around each call,
//! which goes wrong when several cores share one listening socket: one of them can be caught in a blocking accept.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::super::waker::{RemoteWaker, ring_eventfd};
use super::super::{ACCEPT_REST_NS, Taker};
use super::outside::Outside;

/// Accepts until it is dropped; then the listener is closed.
#[derive(Debug)]
pub(super) struct Acceptor {
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Acceptor {
    pub(super) fn start(
        number: u8,
        socket: OwnedFd,
        outside: Arc<Outside>,
        waker: RemoteWaker,
    ) -> io::Result<Self> {
        // Another core may accept the connection that this one was woken for.
        fcntl_setfl(&socket, fcntl_getfl(&socket)? | OFlags::NONBLOCK)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let stopped = stop.try_clone()?;
        let accept = move || {
            while wait(Some(&socket), &stopped, None) {
                // Who cannot be kept had better wait in the listener's queue.
                let accepted = if Taker::Client.may_take(&socket) {
                    accept_with(&socket, SocketFlags::CLOEXEC)
                } else {
                    Err(Errno::MFILE)
                };
                match accepted {
                    Ok(connection) if Taker::Client.may_keep(&connection) => {
                        outside.add_accepted(number, connection);
                        waker.wake();
                    }
                    Ok(_) => outside.count_turned_away(),
                    Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
                    Err(errno) => {
                        Taker::Client.warn_of_shortage(errno.raw_os_error());
                        outside.count_accept_rest();
                        if !wait(None, &stopped, Some(ACCEPT_REST_NS)) {
                            return;
                        }
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name(format!("accept-{number}")).spawn(accept)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        ring_eventfd(&self.stop);
        if let Some(thread) = self.thread.take() {
            // It ends at once, and a panic in it has been printed.
            let _ = thread.join();
        }
    }
}

/// Waits for a connection, or for the time to pass. False: it is over.
fn wait(socket: Option<&OwnedFd>, stopped: &OwnedFd, ns: Option<u64>) -> bool {
    let mut waited = vec![PollFd::new(stopped, PollFlags::IN)];
    waited.extend(socket.map(|socket| PollFd::new(socket, PollFlags::IN)));
    let timeout = ns.map(|ns| Timespec { tv_sec: 0, tv_nsec: ns.min(999_999_999) as _ });
    loop {
        match poll(&mut waited, timeout.as_ref()) {
            Ok(_) => return waited[0].revents().is_empty(),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
