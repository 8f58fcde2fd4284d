//! The operations that the logs have under way: done when the scheduler says so, in any order, under a judge.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use nsq_wal::disk::fault::{Chance, Class, Fault, FaultDisk, Judge, Operation, Sync};
use nsq_wal::{Disk, Io, IoDone, IoResult};

use crate::book::log::{LogBook, shard_of};
use crate::choice::{Draws, Purpose};
use crate::mix::Mix;

/// One operation that was handed out.
#[derive(Debug)]
pub struct Outstanding {
    /// Whose it is.
    pub core: u16,
    /// Under which tag.
    pub tag: u64,
    /// Not answered before, monotonic ns.
    pub ready_ns: u64,
    /// When it was handed out.
    pub handed_ns: u64,
    io: Io,
    /// The frame that a write belongs to.
    frame: Option<(u16, u64)>,
    /// What a sync covers: what was answered when it was handed out.
    sync: Option<(Sync, u16, Vec<u64>)>,
}

/// The disk as the process sees it.
#[derive(Debug)]
pub struct Files {
    /// The machine's disk.
    pub disk: FaultDisk,
    /// What is under way.
    pub outstanding: Vec<Outstanding>,
    /// The longest that an operation took in this life.
    pub longest_ns: u64,
    /// A write was short: a second time ends the log, which is no error of the disk's.
    pub was_short: bool,
    judge: Arc<Mutex<Faults>>,
}

/// Which operations go wrong, and how.
#[derive(Debug)]
struct Faults {
    rates: Rates,
    draws: Draws,
    /// Switched off while the world heals.
    active: bool,
    /// A process starts: it may be refused what it asks, but not be told lies.
    starting: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    write: u64,
    sync: u64,
    read: u64,
    open: u64,
    create: u64,
    name: u64,
}

/// The judge that a disk is given; what it goes by stays with [`Files`].
#[derive(Debug)]
struct Bench(Arc<Mutex<Faults>>);

impl Judge for Bench {
    fn judge(&mut self, operation: &Operation<'_>) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).judge(operation)
    }
}

impl Faults {
    fn judge(&mut self, operation: &Operation<'_>) -> Option<Fault> {
        use libc::{EACCES, EAGAIN, EDQUOT, EINTR, EIO, EMFILE, ENFILE, ENOMEM, ENOSPC, EROFS, ESTALE};
        if !self.active {
            return None;
        }
        let (rate, class) = match operation.class {
            Class::Write => (self.rates.write, operation.class),
            Class::Sync => (self.rates.sync, operation.class),
            Class::Read => (self.rates.read, operation.class),
            Class::Open => (self.rates.open, operation.class),
            Class::Create => (self.rates.create, operation.class),
            Class::Rename | Class::Remove | Class::SyncDir | Class::List | Class::Stat => {
                (self.rates.name, Class::Rename)
            }
        };
        let d = &mut self.draws;
        if rate == 0 || d.below(1_000) >= rate {
            return None;
        }
        let len = operation.len as u64;
        Some(match class {
            Class::Write => match d.below(6) {
                0 => Fault::Error(*d.pick(&[EIO, EROFS, ENOSPC, ENOMEM, EINTR, EAGAIN])),
                1 => Fault::ErrorHalfDone(EIO),
                2 | 3 => Fault::Short,
                _ => Fault::ShortTo(d.below(len) as usize),
            },
            // Dirty bytes that are gone while they can still be read would be lost by a power cut in a later life;
            // no promise covers a machine that forgets what it shows.
            Class::Sync => Fault::ErrorKept(EIO),
            Class::Read => match d.below(3) {
                0 => Fault::Error(*d.pick(&[EIO, EINTR, EAGAIN, ENOMEM])),
                1 if !self.starting => Fault::ShortTo(d.below(len) as usize),
                2 if !self.starting => Fault::Garbled(d.draw()),
                _ => Fault::Error(EIO),
            },
            Class::Open => Fault::Error(*d.pick(&[EMFILE, ENFILE, ENOMEM, EACCES, EIO, ESTALE])),
            Class::Create => {
                let errno = *d.pick(&[ENOSPC, EDQUOT, EIO, EMFILE, ENOMEM, EROFS]);
                if d.percent(50) { Fault::Error(errno) } else { Fault::ErrorHalfDone(errno) }
            }
            _ => {
                let errno = *d.pick(&[EIO, ENOSPC, EMFILE, ENOMEM, EACCES, EROFS]);
                if d.percent(50) { Fault::Error(errno) } else { Fault::ErrorDone(errno) }
            }
        })
    }
}

impl Files {
    /// An empty disk.
    pub fn new(mix: &Mix, seed: u64) -> Files {
        let rates = Rates {
            write: mix.f_write,
            sync: mix.f_sync,
            read: mix.f_read,
            open: mix.f_open,
            create: mix.f_create,
            name: mix.f_name,
        };
        let draws = Draws::new(seed, 0, Purpose::Disk);
        let judge = Arc::new(Mutex::new(Faults { rates, draws, active: true, starting: false }));
        Files { disk: FaultDisk::new(), outstanding: Vec::new(), longest_ns: 0, was_short: false, judge }
    }

    /// A process begins to use the disk.
    pub fn begin_life(&mut self) {
        self.disk.set_judge(Some(Box::new(Bench(self.judge.clone()))));
    }

    /// Draws anew what goes wrong.
    pub fn begin_step(&mut self, draws: Draws) {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner).draws = draws;
    }

    /// A process starts, or has started.
    pub fn set_starting(&mut self, starting: bool) {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner).starting = starting;
    }

    /// Whether faults are possible now.
    pub fn is_active(&self) -> bool {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner).active
    }

    /// Whether faults are possible.
    pub fn set_active(&mut self, active: bool) {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner).active = active;
    }

    /// Takes an operation from a log; it takes at least `ns`.
    pub fn submit(&mut self, core: u16, tag: u64, io: Io, now_ns: u64, ns: u64, book: &mut LogBook) {
        let (mut frame, mut sync) = (None, None);
        match &io {
            Io::Write { file, offset, buf, .. } => {
                if let Some(shard) = shard_of(file.path()) {
                    let number = book.handed_out(shard, file.path(), *offset, buf, now_ns);
                    frame = number.map(|number| (shard, number));
                }
            }
            Io::Sync { file, .. } => {
                if let Some(shard) = shard_of(file.path()) {
                    let covered = book.covered_by_sync(shard, file.path());
                    sync = Some((self.disk.begin_sync(&**file), shard, covered));
                }
            }
            _ => {}
        }
        let ready_ns = now_ns + ns;
        self.outstanding.push(Outstanding { core, tag, ready_ns, handed_ns: now_ns, io, frame, sync });
    }

    /// Does one of the operations: whose it was, its tag, and the answer. `None` if the process has died meanwhile.
    pub fn complete(
        &mut self,
        index: usize,
        now_ns: u64,
        book: &mut LogBook,
    ) -> Option<(u16, u64, IoResult)> {
        let Outstanding { core, tag, io, frame, sync, handed_ns, .. } = self.outstanding.swap_remove(index);
        self.longest_ns = self.longest_ns.max(now_ns.saturating_sub(handed_ns));
        let result = match (io, sync) {
            (Io::Sync { file, .. }, Some((sync, shard, covered))) => {
                let result = self.disk.end_sync(&sync, file.path());
                if result.is_ok() {
                    book.synced(shard, &covered);
                }
                result.map(|()| IoDone::Synced)
            }
            (io, _) => {
                let written = match &io {
                    Io::Write { offset, dsync, buf, .. } => Some((*offset, *dsync, buf.len())),
                    _ => None,
                };
                let disk: &dyn Disk = &self.disk;
                let (_, result) = io.run(disk);
                if let (Some((_, _, wanted)), Ok(IoDone::Written(size))) = (written, &result) {
                    self.was_short |= *size < wanted;
                }
                if let (Some((offset, dsync, _)), Some((shard, frame)), Ok(IoDone::Written(size))) =
                    (written, frame, &result)
                {
                    book.written(shard, frame, offset, *size, dsync);
                }
                result
            }
        };
        (!self.disk.is_dead()).then_some((core, tag, result))
    }

    /// The process is killed: each operation under way is wholly done or not at all; a cold job, up to some point.
    pub fn kill(&mut self, draws: &mut Draws, book: &mut LogBook) {
        for index in (0..self.outstanding.len()).rev() {
            match &self.outstanding[index].io {
                Io::Write { .. } if draws.percent(50) => {
                    self.complete(index, 0, book);
                }
                Io::Cold { .. } => {
                    self.disk.die_after(Some(draws.below(4)));
                    self.complete(index, 0, book);
                }
                _ => {}
            }
        }
        self.outstanding.clear();
        self.disk.kill();
    }

    /// The power is cut: what is under way is done in part.
    pub fn cut(&mut self, draws: &mut Draws) {
        let mut chance = Chance::new(draws.draw());
        for Outstanding { io, .. } in std::mem::take(&mut self.outstanding) {
            match io {
                Io::Write { file, offset, buf, .. } => {
                    self.disk.half_write(&*file, offset, buf.as_slice(), &mut chance);
                }
                Io::Cold { job, .. } => {
                    self.disk.die_after(Some(draws.below(4)));
                    // Nobody hears the answer.
                    let _ = self.disk.run(&job);
                }
                Io::Sync { .. } | Io::Read { .. } => {}
            }
        }
        self.disk.crash(&mut chance);
    }

    /// Places of the operations whose time has come.
    pub fn ready(&self, now_ns: u64) -> impl Iterator<Item = usize> + '_ {
        self.outstanding.iter().enumerate().filter(move |(_, one)| one.ready_ns <= now_ns).map(|(i, _)| i)
    }

    /// The earliest moment at which one can be answered.
    pub fn next_ready(&self) -> Option<u64> {
        self.outstanding.iter().map(|one| one.ready_ns).min()
    }

    /// When the oldest of them was handed out.
    pub fn oldest(&self) -> Option<u64> {
        self.outstanding.iter().map(|one| one.handed_ns).min()
    }

    /// The cores that wait for one.
    pub fn waiting(&self) -> BTreeSet<u16> {
        self.outstanding.iter().map(|one| one.core).collect()
    }
}
