//! File work that may block, on glommio's helper threads: cold jobs for both drivers, everything for the plain one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use nsq_wal::{ColdJob, Disk, Io, IoResult};

use super::Event;
use super::waker::LocalWaker;

/// The work under way, and its results.
pub(super) struct Blocking {
    disk: Arc<dyn Disk>,
    done: Rc<RefCell<VecDeque<(u64, IoResult)>>>,
    under_way: Rc<Cell<usize>>,
    waker: Rc<LocalWaker>,
}

impl Blocking {
    pub(super) fn new(disk: Arc<dyn Disk>, waker: Rc<LocalWaker>) -> Self {
        Self { disk, done: Rc::default(), under_way: Rc::default(), waker }
    }

    /// Starts one piece of work. Its buffers are with the thread meanwhile.
    pub(super) fn submit(&self, tag: u64, io: Io) {
        let (done, under_way, waker) = (self.done.clone(), self.under_way.clone(), self.waker.clone());
        let disk = self.disk.clone();
        let prompt = is_waited_for(&io).then(|| waker.work_outside());
        under_way.set(under_way.get() + 1);
        let task = glommio::spawn_local(async move {
            let _prompt = prompt;
            let (_, result) = glommio::executor().spawn_blocking(move || io.run(&*disk)).await;
            done.borrow_mut().push_back((tag, result));
            under_way.set(under_way.get() - 1);
            waker.wake();
        });
        task.detach();
    }

    pub(super) fn take_done(&self) -> Option<Event> {
        self.done.borrow_mut().pop_front().map(|(tag, result)| Event::Io { tag, result })
    }

    pub(super) fn has_done(&self) -> bool {
        !self.done.borrow().is_empty()
    }

    /// Waits for what is under way.
    pub(super) async fn finish(&self) {
        while self.under_way.get() > 0 {
            self.waker.clear();
            self.waker.wait().await;
        }
    }
}

/// Commits wait for a name, and deliveries for what is read back. Other cold jobs have time, and are under way so often
/// that the loop would hardly wait in its ring any more.
fn is_waited_for(io: &Io) -> bool {
    match io {
        Io::Cold { job, .. } => {
            matches!(job, ColdJob::Name { .. } | ColdJob::Rename { .. } | ColdJob::Open { .. })
        }
        Io::Write { .. } | Io::Read { .. } | Io::Sync { .. } => true,
    }
}
