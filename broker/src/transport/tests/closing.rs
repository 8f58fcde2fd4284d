//! The ends of connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use super::super::*;
use super::harness::*;
use super::on_both_drivers;

on_both_drivers!(
    the_last_frame_arrives_although_input_is_unread,
    a_close_says_nothing_more_about_the_connection,
    a_peer_that_neither_reads_nor_closes_is_closed_in_the_end,
    an_abort_ends_a_send_that_nobody_reads,
    a_peer_that_dies_in_mid_send_is_reported_once,
    resets_and_hasty_closes_leak_no_descriptor,
    a_slot_is_free_only_when_its_end_was_taken,
    a_stopped_listener_is_gone,
    a_transport_can_be_dropped_with_everything_under_way,
);

fn the_last_frame_arrives_although_input_is_unread<T: Transport>() {
    run(async |mut transport: T| {
        for _ in 0..20 {
            let (mut peer, slot) = connection(&mut transport);
            let client = thread::spawn(move || {
                peer.write_all(&patterned(600_000)).unwrap();
                let mut answer = Vec::new();
                peer.read_to_end(&mut answer).unwrap();
                assert_eq!(answer, b"E_INVALID");
            });
            let mut closing = false;
            turn_until(&mut transport, |transport, event| match event {
                Event::Received { chunk, .. } => {
                    transport.release(chunk);
                    if !closing {
                        transport.send(slot, b"E_INVALID".to_vec());
                        transport.close(slot, Close::Flush);
                        closing = true;
                    }
                    false
                }
                Event::Closed { .. } => true,
                event => panic!("{event:?}"),
            })
            .await;
            client.join().unwrap();
        }
    });
}

fn a_close_says_nothing_more_about_the_connection<T: Transport>() {
    run(async |mut transport: T| {
        for how in [Close::Flush, Close::Abort] {
            let (mut peer, slot) = connection(&mut transport);
            peer.write_all(&patterned(200_000)).unwrap();
            transport.send(slot, vec![1; 100]);
            // Let events of the connection gather, and leave them there.
            for _ in 0..5 {
                transport.turn(Wait::Brief).await.unwrap();
            }
            transport.close(slot, how);
            // After an abort the peer may be disconnected already.
            let _ = peer.shutdown(Shutdown::Write);
            turn_until(&mut transport, |_, event| match event {
                Event::Closed { slot: closed } => closed == slot,
                event => panic!("{event:?}"),
            })
            .await;
        }
        // Every buffer has come back, though nobody took the events.
        let (mut peer, slot) = connection(&mut transport);
        let writer = thread::spawn(move || peer.write_all(&patterned(5_000_000)).map(|()| peer));
        let mut came = 0;
        turn_until(&mut transport, |transport, event| match event {
            Event::Received { chunk, .. } => {
                came += transport.chunk(&chunk).len();
                transport.release(chunk);
                came == 5_000_000
            }
            event => panic!("{event:?}"),
        })
        .await;
        transport.close(slot, Close::Abort);
        drop(writer.join().unwrap().unwrap());
    });
}

fn a_peer_that_neither_reads_nor_closes_is_closed_in_the_end<T: Transport>() {
    run(async |mut transport: T| {
        let started = monotonic_ns();
        let (_peer, slot) = connection(&mut transport);
        transport.send(slot, vec![7; 30_000_000]);
        transport.close(slot, Close::Flush);
        turn_until(
            &mut transport,
            |_, event| matches!(event, Event::Closed { slot: closed } if closed == slot),
        )
        .await;
        let took = monotonic_ns() - started;
        assert!(took >= FLUSH_NS_MAX, "{took}");
        let (_quiet_peer, slot) = connection(&mut transport);
        transport.close(slot, Close::Flush);
        turn_until(
            &mut transport,
            |_, event| matches!(event, Event::Closed { slot: closed } if closed == slot),
        )
        .await;
    });
}

fn an_abort_ends_a_send_that_nobody_reads<T: Transport>() {
    run(async |mut transport: T| {
        let started = monotonic_ns();
        let (_peer, slot) = connection(&mut transport);
        transport.send(slot, vec![7; 30_000_000]);
        for _ in 0..5 {
            transport.turn(Wait::Brief).await.unwrap();
        }
        transport.close(slot, Close::Flush);
        transport.close(slot, Close::Abort);
        turn_until(&mut transport, |_, event| matches!(event, Event::Closed { .. })).await;
        assert!(monotonic_ns() - started < FLUSH_NS_MAX);
    });
}

fn a_peer_that_dies_in_mid_send_is_reported_once<T: Transport>() {
    run(async |mut transport: T| {
        let (mut peer, slot) = connection(&mut transport);
        transport.send(slot, vec![7; 30_000_000]);
        for _ in 0..5 {
            transport.turn(Wait::Brief).await.unwrap();
        }
        let mut some = [0; 1000];
        peer.read_exact(&mut some).unwrap();
        reset_on_close(&peer);
        drop(peer);
        let mut failures = 0;
        turn_until(&mut transport, |transport, event| match event {
            Event::Failed { errno, .. } => {
                assert!(matches!(errno, libc::ECONNRESET | libc::EPIPE), "{errno}");
                failures += 1;
                transport.close(slot, Close::Flush);
                false
            }
            Event::EndOfInput { .. } | Event::Taken { .. } => false,
            Event::Closed { .. } => true,
            event => panic!("{event:?}"),
        })
        .await;
        assert_eq!(failures, 1);
    });
}

/// Open descriptors of this process whose own address has this port.
fn sockets_of_port(port: u16) -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = descriptors.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|fd| {
            // SAFETY: other tests may close the descriptor meanwhile; the call then fails or looks at another file,
            // whose port is another one. Nothing is owned or kept.
            let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(*fd) };
            let address = socket2::SockRef::from(&socket).local_addr();
            address.ok().and_then(|address| address.as_socket()).is_some_and(|address| address.port() == port)
        })
        .count()
}

fn resets_and_hasty_closes_leak_no_descriptor<T: Transport>() {
    const CONNECTIONS: usize = 600;
    run(async |mut transport: T| {
        let address = listen(&mut transport);
        let client = thread::spawn(move || {
            for number in 0..CONNECTIONS {
                let mut peer = TcpStream::connect(address).unwrap();
                match number % 3 {
                    0 => reset_on_close(&peer),
                    1 => {}
                    _ => {
                        peer.write_all(b"hello").unwrap();
                        let mut answer = [0; 5];
                        peer.read_exact(&mut answer).unwrap();
                    }
                }
            }
        });
        Echo::default().serve(&mut transport, CONNECTIONS).await;
        client.join().unwrap();
        assert_eq!(sockets_of_port(address.port()), 1, "only the listener");
        transport.shutdown().await;
        assert_eq!(sockets_of_port(address.port()), 0);
    });
}

fn a_slot_is_free_only_when_its_end_was_taken<T: Transport>() {
    run(async |mut transport: T| {
        let (_peer, old) = connection(&mut transport);
        transport.turn(Wait::Brief).await.unwrap();
        transport.close(old, Close::Abort);
        // Time enough for the end to be queued; nobody takes it.
        for _ in 0..5 {
            transport.turn(Wait::Brief).await.unwrap();
            transport.check();
        }
        let (_other_peer, other) = connection(&mut transport);
        assert_ne!(other.index, old.index, "the caller has not heard of the end");
        turn_until(&mut transport, |_, event| matches!(event, Event::Closed { slot } if slot == old)).await;
        let (_third_peer, third) = connection(&mut transport);
        assert_eq!(third.index, old.index);
        assert_ne!(third.generation, old.generation);
    });
}

fn a_stopped_listener_is_gone<T: Transport>() {
    run(async |mut transport: T| {
        let address = listen(&mut transport);
        transport.turn(Wait::Brief).await.unwrap();
        let before = TcpStream::connect(address).unwrap();
        turn_until(&mut transport, |_, event| matches!(event, Event::Accepted { listener: 1, .. })).await;
        transport.stop_listening();
        for _ in 0..5 {
            transport.turn(Wait::Brief).await.unwrap();
        }
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        drop(before);
        TcpListener::bind(address).unwrap();
        transport.stop_listening();
        transport.turn(Wait::Brief).await.unwrap();
    });
}

fn a_transport_can_be_dropped_with_everything_under_way<T: Transport>() {
    let _watchdog = Watchdog::new();
    for turns in 0..4 {
        let mut peer = None;
        let dir = tempfile::tempdir().unwrap();
        let file = super::files::file(dir.path());
        let (address, mut idle) = run_with(&options(), async |mut transport: T| {
            let address = listen(&mut transport);
            let (slow, slot) = connection(&mut transport);
            peer = Some(slow);
            transport.send(slot, vec![7; 20_000_000]);
            let (idle, _) = connection(&mut transport);
            transport.submit(1, super::files::write(&file, 0, 4096 * 32, 1, true));
            transport.set_deadline(Some(monotonic_ns() + 3_600_000_000_000));
            for _ in 0..turns {
                transport.turn(Wait::Brief).await.unwrap();
            }
            (address, idle)
        });
        let mut rest = Vec::new();
        assert!(idle.read_to_end(&mut rest).is_ok_and(|size| size == 0));
        assert!(TcpStream::connect(address).is_err());
    }
}
