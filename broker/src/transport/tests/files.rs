//! What the log wants of the disk.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use nsq_wal::{ColdJob, Disk, Io, IoDone, IoResult, IoTag, LogFile, ReadBuf, StdDisk};

use super::super::*;
use super::harness::*;
use super::on_both_drivers;

on_both_drivers!(
    what_was_written_is_read_back,
    every_operation_gets_its_own_answer,
    failures_carry_their_errno,
    work_that_may_block_is_answered_too,
    files_and_sockets_go_side_by_side,
);

/// The results of the next `count` operations, by tag.
async fn results<T: Transport>(transport: &mut T, count: usize) -> Vec<(u64, IoResult)> {
    let mut results = Vec::new();
    turn_until(transport, |_, event| {
        match event {
            Event::Io { tag, result } => results.push((tag, result)),
            event => panic!("{event:?}"),
        }
        results.len() == count
    })
    .await;
    results.sort_by_key(|(tag, ..)| *tag);
    results
}

async fn result<T: Transport>(transport: &mut T) -> IoResult {
    results(transport, 1).await.remove(0).1
}

/// A file of 64 blocks, gone with the directory.
pub(super) fn file(dir: &Path) -> Arc<dyn LogFile> {
    StdDisk::new().create_zeroed(&dir.join("file"), 64 * 4096).unwrap()
}

/// A write of `size` bytes of `value`.
pub(super) fn write(file: &Arc<dyn LogFile>, offset: u64, size: usize, value: u8, dsync: bool) -> Io {
    let mut buf = ReadBuf::new(size);
    buf.as_mut_slice().fill(value);
    Io::Write { tag: IoTag(0), file: file.clone(), offset, buf: buf.freeze(), dsync }
}

fn read(file: &Arc<dyn LogFile>, offset: u64, size: usize) -> Io {
    Io::Read { tag: IoTag(0), file: file.clone(), offset, buf: ReadBuf::new(size) }
}

fn what_was_written_is_read_back<T: Transport>() {
    run(async |mut transport: T| {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        for (number, dsync) in [false, true].into_iter().enumerate() {
            transport.submit(1, write(&file, 8192 * number as u64, 8192, 10 + number as u8, dsync));
            assert!(matches!(result(&mut transport).await, Ok(IoDone::Written(8192))));
        }
        transport.submit(2, Io::Sync { tag: IoTag(0), file: file.clone() });
        assert!(matches!(result(&mut transport).await, Ok(IoDone::Synced)));
        transport.submit(3, read(&file, 4096, 8192));
        let Ok(IoDone::Read { buf, len: 8192 }) = result(&mut transport).await else { panic!("no read") };
        let (first, second) = buf.as_slice().split_at(4096);
        assert!(first.iter().all(|byte| *byte == 10) && second.iter().all(|byte| *byte == 11));
    });
}

fn every_operation_gets_its_own_answer<T: Transport>() {
    run(async |mut transport: T| {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        for round in 0..3 {
            for tag in 0..50 {
                transport.submit(tag, write(&file, tag * 4096, 4096, tag as u8 + round, tag % 7 == 0));
            }
            for (at, (tag, result)) in results(&mut transport, 50).await.into_iter().enumerate() {
                assert_eq!(tag, at as u64);
                assert!(matches!(result, Ok(IoDone::Written(4096))));
            }
            for tag in 0..50 {
                transport.submit(tag, read(&file, tag * 4096, 4096));
            }
            for (tag, result) in results(&mut transport, 50).await {
                let Ok(IoDone::Read { buf, len: 4096 }) = result else { panic!("{result:?}") };
                assert_eq!(buf.as_slice()[0], tag as u8 + round);
            }
        }
    });
}

fn failures_carry_their_errno<T: Transport>() {
    run(async |mut transport: T| {
        let dir = tempfile::tempdir().unwrap();
        let (disk, path) = (StdDisk::new(), dir.path().join("none"));
        transport.submit(1, Io::Cold { tag: IoTag(0), job: ColdJob::Open { path } });
        assert!(matches!(result(&mut transport).await, Err(libc::ENOENT)));
        // Behind the end of the file there is nothing to read, which is no failure.
        let file = disk.create_zeroed(&dir.path().join("short"), 4096).unwrap();
        transport.submit(2, read(&file, 8192, 4096));
        assert!(matches!(result(&mut transport).await, Ok(IoDone::Read { len: 0, .. })));
        // A file that is open for reading only is not written to.
        let read_only = Arc::new(ReadOnly(std::fs::File::open(file.path()).unwrap()));
        let read_only: Arc<dyn LogFile> = read_only;
        transport.submit(3, write(&read_only, 0, 4096, 1, false));
        assert!(matches!(result(&mut transport).await, Err(libc::EBADF)));
    });
}

fn work_that_may_block_is_answered_too<T: Transport>() {
    run(async |mut transport: T| {
        let dir = tempfile::tempdir().unwrap();
        let (temporary, path) = (dir.path().join("tmp"), dir.path().join("file"));
        let job = ColdJob::Prepare { temporary, path: path.clone(), bytes: 8192 };
        transport.submit(7, Io::Cold { tag: IoTag(0), job });
        let answers = results(&mut transport, 1).await;
        assert!(matches!(&answers[..], [(7, Ok(IoDone::File(file)))] if file.bytes() == 8192));
        assert_eq!(std::fs::metadata(path).unwrap().len(), 8192);
    });
}

fn files_and_sockets_go_side_by_side<T: Transport>() {
    run(async |mut transport: T| {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        let (mut peer, slot) = connection(&mut transport);
        for round in 0..50u64 {
            peer.write_all(&[round as u8]).unwrap();
            transport.submit(round, write(&file, round * 4096, 4096, 1, true));
            let (mut received, mut written) = (false, false);
            turn_until(&mut transport, |transport, event| {
                match event {
                    Event::Received { chunk, slot: from } => {
                        assert_eq!((from, transport.chunk(&chunk)), (slot, &[round as u8][..]));
                        transport.release(chunk);
                        received = true;
                    }
                    Event::Io { tag, result } => {
                        assert!(tag == round && matches!(result, Ok(IoDone::Written(4096))));
                        written = true;
                    }
                    event => panic!("{event:?}"),
                }
                received && written
            })
            .await;
        }
    });
}

/// A file that refuses writes.
#[derive(Debug)]
struct ReadOnly(std::fs::File);

impl LogFile for ReadOnly {
    fn raw_fd(&self) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(&self.0)
    }

    fn path(&self) -> &Path {
        Path::new("read-only")
    }

    fn bytes(&self) -> u64 {
        4096
    }

    fn inode(&self) -> u64 {
        0
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, i32> {
        let read = std::os::unix::fs::FileExt::read_at(&self.0, buf, offset);
        read.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
    }

    fn write_at(&self, offset: u64, buf: &[u8], _dsync: bool) -> Result<usize, i32> {
        let written = std::os::unix::fs::FileExt::write_at(&self.0, buf, offset);
        written.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
    }

    fn sync_data(&self) -> Result<(), i32> {
        self.0.sync_data().map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
    }
}
