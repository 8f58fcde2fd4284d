//! What wakes a core's loop from outside its ring.
//!
//! A parked core sleeps in glommio. An eventfd wakes it: the core's own ring writes to it when a completion comes
//! in, other threads through a [`RemoteWaker`]. A small glommio task, the bell, reads the eventfd for ever: the
//! read both waits and resets the counter, so that nothing is ever armed, cancelled, or leaked. Tasks of the same
//! executor need no descriptor; they use the [`LocalWaker`].
//!
//! glommio 0.9 can fall asleep over runnable tasks: when its preempt timer fires between its visit to the reactor and
//! the first look into the run queue (the thread was descheduled just there), it takes "preempted before the first
//! task" for "no task", and parks. If the bell is among those tasks nothing rings any more. Measured once in some
//! 200,000 parks with a preempt timer of 1 ms on two busy CPUs. A timer always ends such a sleep, so the bell keeps one
//! running, see [`RESCUE`]; and executors should keep glommio's default preempt timer of 100 ms, which makes it rare in
//! the first place. The loop visits the reactor every 500 µs by itself and does not need the preempt timer.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use glommio::io::BufferedFile;
use glommio::timer::Timer;
use rustix::event::{EventfdFlags, eventfd};

/// Longest sleep of an executor. Two wake-ups of some 30 µs per second do not show in an idle core's CPU time.
const RESCUE: Duration = Duration::from_millis(500);

/// The shortest timer that glommio does not take for expired at once, where the clock is quick.
const REACTOR_VISIT: Duration = Duration::from_nanos(400);

/// Attempts at a visit, each with a timer four times as long as the one before: the last waits for 400 µs.
const REACTOR_VISIT_TRIES: u32 = 6;

/// Lets glommio run its tasks and look at its rings. Waiting for a timer empties the executor's run queue and visits
/// its reactor, which neither a self-wake nor a timer of zero does. Says whether it happened.
pub(super) async fn visit_reactor() -> bool {
    wait_for_once(Timer::new).await
}

/// A timer that is over when it is looked at for the first time was waited for by nobody. That happens where reading
/// the clock takes long, or when the thread was descheduled just there.
async fn wait_for_once<F: Future>(timer: impl Fn(Duration) -> F) -> bool {
    for attempt in 0..REACTOR_VISIT_TRIES {
        let mut timer = pin!(timer(REACTOR_VISIT * 4_u32.pow(attempt)));
        let mut waited = false;
        poll_fn(|context| {
            let polled = timer.as_mut().poll(context);
            waited |= polled.is_pending();
            polled.map(|_| ())
        })
        .await;
        if waited {
            return true;
        }
    }
    false
}

/// Wakes the loop of this core from a task of the same executor. Owned by the core; nothing to clean up.
#[derive(Debug, Default)]
pub struct LocalWaker {
    rung: Cell<bool>,
    tasks_wait: Cell<bool>,
    /// Set when the bell can wake nobody any more; a core that parked then would sleep for ever.
    deaf: Cell<bool>,
    outside: Cell<u32>,
    parked: RefCell<Option<Waker>>,
}

impl LocalWaker {
    /// There is work for the loop: the turn under way, or else the next one, does not wait. Also sees to it that
    /// the waking task gets its own turn again soon.
    pub fn wake(&self) {
        self.tasks_wait.set(true);
        self.ring();
    }

    /// The loop has made a task runnable (an answer for HTTP, say): the next turn lets tasks run before it waits.
    /// Without this they wait for up to 1 ms, because glommio cannot see through the loop's own wait.
    pub fn let_tasks_run(&self) {
        self.tasks_wait.set(true);
    }

    /// While the guard lives, something under way in glommio is worth a prompt wake-up, so an idle loop waits in its
    /// ring only for [`OUTSIDE_WAIT_NS_MAX`](super::OUTSIDE_WAIT_NS_MAX) before it parks.
    pub fn work_outside(self: &Rc<Self>) -> WorkOutside {
        self.outside.set(self.outside.get() + 1);
        WorkOutside(self.clone())
    }

    pub(super) fn ring(&self) {
        self.rung.set(true);
        let parked = self.parked.borrow_mut().take();
        if let Some(waker) = parked {
            waker.wake();
        }
    }

    pub(super) fn is_rung(&self) -> bool {
        self.rung.get()
    }

    /// Forgets the rings so far: the caller is about to look at everything.
    pub(super) fn clear(&self) {
        self.rung.set(false);
    }

    pub(super) fn take_tasks_wait(&self) -> bool {
        self.tasks_wait.take()
    }

    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.get()
    }

    pub(super) fn has_work_outside(&self) -> bool {
        self.outside.get() > 0
    }

    /// Keeps the waker of the parked loop. The caller has seen that nothing has rung.
    pub(super) fn park(&self, waker: &Waker) {
        let mut parked = self.parked.borrow_mut();
        match &*parked {
            Some(old) if old.will_wake(waker) => {}
            _ => *parked = Some(waker.clone()),
        }
    }

    /// Sleeps until something rings.
    pub(super) async fn wait(&self) {
        poll_fn(|context| {
            if self.is_rung() {
                return Poll::Ready(());
            }
            self.park(context.waker());
            Poll::Pending
        })
        .await;
    }
}

/// See [`LocalWaker::work_outside`].
#[derive(Debug)]
pub struct WorkOutside(Rc<LocalWaker>);

impl Drop for WorkOutside {
    fn drop(&mut self) {
        self.0.outside.set(self.0.outside.get() - 1);
    }
}

/// Wakes the loop of a core from any thread, whether or not it sleeps. Costs a system call.
#[derive(Debug)]
pub struct RemoteWaker(OwnedFd);

impl RemoteWaker {
    /// The turn under way ends within about 1 ms, and so does a core's sleep.
    pub fn wake(&self) {
        ring_eventfd(&self.0);
    }
}

/// Adds one to an eventfd. It fails only when the counter is full, and then it rings already.
pub(super) fn ring_eventfd(eventfd: &OwnedFd) {
    let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
}

/// An eventfd and the task that listens to it.
#[derive(Debug)]
pub(super) struct Bell {
    eventfd: OwnedFd,
    waker: Rc<LocalWaker>,
    stop: Rc<Cell<bool>>,
    task: Option<glommio::Task<()>>,
    /// Ends with this value.
    _rescue: glommio::Task<()>,
}

impl Bell {
    /// Starts listening; runs on a glommio executor only.
    pub(super) fn new(waker: Rc<LocalWaker>) -> io::Result<Self> {
        // Blocking on purpose: io_uring fails reads of O_NONBLOCK files with EAGAIN instead of waiting.
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC)?;
        let listened = eventfd.try_clone()?;
        let stop = Rc::new(Cell::new(false));
        let task = glommio::spawn_local(listen(listened, waker.clone(), stop.clone()));
        let rescue = glommio::spawn_local(async {
            loop {
                Timer::new(RESCUE).await;
            }
        });
        Ok(Self { eventfd, waker, stop, task: Some(task), _rescue: rescue })
    }

    pub(super) fn eventfd(&self) -> &OwnedFd {
        &self.eventfd
    }

    pub(super) fn remote_waker(&self) -> io::Result<RemoteWaker> {
        Ok(RemoteWaker(self.eventfd.try_clone()?))
    }

    /// Ends the task in an orderly way, so that the executor has no read under way when it ends.
    pub(super) async fn stop(&mut self) {
        self.stop.set(true);
        ring_eventfd(&self.eventfd);
        if let Some(task) = self.task.take() {
            task.await;
        }
        self.waker.deaf.set(true);
    }
}

async fn listen(eventfd: OwnedFd, waker: Rc<LocalWaker>, stop: Rc<Cell<bool>>) {
    // SAFETY: the descriptor was just taken out of its owner, so the file is its only owner from here on.
    let file = unsafe { BufferedFile::from_raw_fd(eventfd.into_raw_fd()) };
    while !stop.get() {
        match file.read_at(0, size_of::<u64>()).await {
            Ok(_) => waker.ring(),
            Err(_) => {
                waker.deaf.set(true);
                waker.ring();
                break;
            }
        }
    }
    // The descriptor goes with the file if this fails.
    let _ = file.close().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_nobody_waited_for_is_no_visit() {
        glommio::LocalExecutorBuilder::new(glommio::Placement::Unbound)
            .io_memory(64 * 1024)
            .ring_depth(64)
            .make()
            .unwrap()
            .run(async {
                // A clock so slow that only timers from 20 µs on are still to come when they are looked at.
                let slow = |shortest| {
                    move |timer: Duration| {
                        let mut ready = timer < shortest;
                        poll_fn(move |context| {
                            if std::mem::replace(&mut ready, true) {
                                return Poll::Ready(());
                            }
                            context.waker().wake_by_ref();
                            Poll::Pending
                        })
                    }
                };
                assert!(wait_for_once(slow(Duration::from_micros(20))).await);
                assert!(!wait_for_once(slow(Duration::from_secs(1))).await);
                assert!(visit_reactor().await);
            });
    }
}
