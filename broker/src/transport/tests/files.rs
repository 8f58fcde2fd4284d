//! File operations.

use std::any::Any;
use std::io::Write;
use std::os::fd::AsRawFd;

use bytes::Bytes;

use super::super::*;
use super::harness::*;
use super::on_both_drivers;

on_both_drivers!(
    what_was_written_is_read_back,
    every_operation_gets_its_memory_and_its_own_tag_back,
    failures_carry_their_errno,
    shared_bytes_are_not_read_into,
    files_and_sockets_go_side_by_side,
);

/// The results of the next `count` file operations, by tag.
async fn results<T: Transport>(
    transport: &mut T,
    count: usize,
) -> Vec<(u64, Result<usize, i32>, Option<IoBuf>)> {
    let mut results = Vec::new();
    turn_until(transport, |_, event| {
        match event {
            Event::FileDone { tag, result, buf } => results.push((tag, result, buf)),
            event => panic!("{event:?}"),
        }
        results.len() == count
    })
    .await;
    results.sort_by_key(|(tag, ..)| *tag);
    results
}

fn pages(size: usize, value: u8) -> Box<PageBuffer> {
    let mut pages = PageBuffer::new(size).unwrap();
    pages.fill(value);
    Box::new(pages)
}

fn what_was_written_is_read_back<T: Transport>() {
    run(async |mut transport: T| {
        let file = tempfile::tempfile().unwrap();
        let fd = file.as_raw_fd();
        for (number, dsync) in [false, true].into_iter().enumerate() {
            let offset = 8192 * number as u64;
            transport.write_file(1, fd, offset, pages(8192, 10 + number as u8), dsync);
            let (tag, result, _) = results(&mut transport, 1).await.remove(0);
            assert_eq!((tag, result), (1, Ok(8192)));
        }
        transport.sync_file(2, fd);
        let (tag, result, buf) = results(&mut transport, 1).await.remove(0);
        assert_eq!((tag, result), (2, Ok(0)));
        assert!(buf.is_none());
        transport.read_file(3, fd, 4096, pages(8192, 0));
        let (_, result, buf) = results(&mut transport, 1).await.remove(0);
        assert_eq!(result, Ok(8192));
        let any: Box<dyn Any> = buf.unwrap();
        let read = any.downcast::<PageBuffer>().unwrap();
        assert!(read[..4096].iter().all(|byte| *byte == 10) && read[4096..].iter().all(|byte| *byte == 11));
    });
}

fn every_operation_gets_its_memory_and_its_own_tag_back<T: Transport>() {
    run(async |mut transport: T| {
        let file = tempfile::tempfile().unwrap();
        for round in 0..3 {
            for tag in 0..50 {
                let offset = tag * 4096;
                transport.write_file(
                    tag,
                    file.as_raw_fd(),
                    offset,
                    pages(4096, tag as u8 + round),
                    tag % 7 == 0,
                );
            }
            for (tag, result, buf) in results(&mut transport, 50).await {
                assert_eq!(result, Ok(4096));
                let any: Box<dyn Any> = buf.unwrap();
                assert_eq!(any.downcast::<PageBuffer>().unwrap()[0], tag as u8 + round);
            }
        }
    });
}

fn failures_carry_their_errno<T: Transport>() {
    run(async |mut transport: T| {
        let file = std::fs::File::open("/dev/null").unwrap();
        transport.write_file(1, file.as_raw_fd(), 0, pages(4096, 0), true);
        transport.read_file(2, file.as_raw_fd(), 0, pages(4096, 0));
        let results = results(&mut transport, 2).await;
        assert_eq!(results[0].1, Err(libc::EBADF));
        assert_eq!(results[1].1, Ok(0));
        assert!(results.iter().all(|(_, _, buf)| buf.is_some()));
    });
}

fn shared_bytes_are_not_read_into<T: Transport>() {
    run(async |mut transport: T| {
        let file = tempfile::tempfile().unwrap();
        transport.write_file(1, file.as_raw_fd(), 0, Box::new(Bytes::from_static(b"shared")), false);
        assert_eq!(results(&mut transport, 1).await[0].1, Ok(6));
        transport.read_file(2, file.as_raw_fd(), 0, Box::new(Bytes::from_static(b"shared")));
        let (_, result, buf) = results(&mut transport, 1).await.remove(0);
        assert_eq!((result, buf.unwrap().len()), (Err(libc::EFAULT), 6));
    });
}

fn files_and_sockets_go_side_by_side<T: Transport>() {
    run(async |mut transport: T| {
        let file = tempfile::tempfile().unwrap();
        let (mut peer, slot) = connection(&mut transport);
        for round in 0..50u64 {
            peer.write_all(&[round as u8]).unwrap();
            transport.write_file(round, file.as_raw_fd(), round * 4096, pages(4096, 1), true);
            let (mut received, mut written) = (false, false);
            turn_until(&mut transport, |transport, event| {
                match event {
                    Event::Received { chunk, slot: from } => {
                        assert_eq!((from, transport.chunk(&chunk)), (slot, &[round as u8][..]));
                        transport.release(chunk);
                        received = true;
                    }
                    Event::FileDone { tag, result, .. } => {
                        assert_eq!((tag, result), (round, Ok(4096)));
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
