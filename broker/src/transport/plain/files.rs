//! File operations as blocking calls on glommio's helper thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{BorrowedFd, RawFd};
use std::rc::Rc;

use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev2};

use super::super::waker::LocalWaker;
use super::super::{Event, IoBuf};

/// The operations' results. Their buffers are with the helper thread meanwhile.
pub(super) struct Files {
    done: Rc<RefCell<VecDeque<Event>>>,
    under_way: Rc<Cell<usize>>,
    waker: Rc<LocalWaker>,
}

type Outcome = (Result<usize, i32>, Option<IoBuf>);

impl Files {
    pub(super) fn new(waker: Rc<LocalWaker>) -> Self {
        Self { done: Rc::default(), under_way: Rc::default(), waker }
    }

    pub(super) fn write(&self, tag: u64, fd: RawFd, offset: u64, buf: IoBuf, dsync: bool) {
        let flags = if dsync { ReadWriteFlags::DSYNC } else { ReadWriteFlags::empty() };
        self.start(tag, move || {
            // SAFETY: an `IoBuffer`'s bytes are initialised and stay in place while we hold it.
            let bytes = unsafe { std::slice::from_raw_parts(buf.as_ptr(), buf.len()) };
            let result = retry(|| pwritev2(borrow(fd), &[IoSlice::new(bytes)], offset, flags));
            (result, Some(buf))
        });
    }

    pub(super) fn read(&self, tag: u64, fd: RawFd, offset: u64, mut buf: IoBuf) {
        self.start(tag, move || {
            let Some(address) = buf.as_mut_ptr() else { return (Err(libc::EFAULT), Some(buf)) };
            // SAFETY: as above, and the address was given for writing, so this is the only view.
            let bytes = unsafe { std::slice::from_raw_parts_mut(address, buf.len()) };
            let result = retry(|| {
                let into = &mut [IoSliceMut::new(bytes)];
                preadv2(borrow(fd), into, offset, ReadWriteFlags::empty())
            });
            (result, Some(buf))
        });
    }

    pub(super) fn sync(&self, tag: u64, fd: RawFd) {
        self.start(tag, move || (retry(|| rustix::fs::fdatasync(borrow(fd)).map(|()| 0)), None));
    }

    fn start(&self, tag: u64, job: impl FnOnce() -> Outcome + Send + 'static) {
        let (done, under_way, waker) = (self.done.clone(), self.under_way.clone(), self.waker.clone());
        under_way.set(under_way.get() + 1);
        let task = glommio::spawn_local(async move {
            let (result, buf) = glommio::executor().spawn_blocking(job).await;
            done.borrow_mut().push_back(Event::FileDone { tag, result, buf });
            under_way.set(under_way.get() - 1);
            waker.ring();
        });
        task.detach();
    }

    pub(super) fn take_done(&self) -> Option<Event> {
        self.done.borrow_mut().pop_front()
    }

    pub(super) fn has_done(&self) -> bool {
        !self.done.borrow().is_empty()
    }

    /// Waits for what is under way.
    pub(super) async fn finish(&self, waker: &LocalWaker) {
        while self.under_way.get() > 0 {
            waker.clear();
            waker.wait().await;
        }
    }
}

fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: the trait's contract says that the caller keeps the file open until the operation is over.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, i32> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result.map_err(Errno::raw_os_error),
        }
    }
}
