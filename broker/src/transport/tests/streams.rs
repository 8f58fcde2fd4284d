//! Bytes in, bytes out.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;

use super::super::ring::can_limit_receives;
use super::super::*;
use super::harness::*;
use super::on_both_drivers;

on_both_drivers!(
    bytes_come_back_whole_and_in_order,
    an_empty_send_is_sent,
    unix_sockets_work_alike,
    many_connections_at_once_each_get_their_own_answers,
    a_half_closed_peer_still_gets_everything,
    four_buffers_are_slow_but_correct,
    a_peer_that_does_not_read_disturbs_nobody,
    what_a_slow_peer_takes_is_told,
    a_paused_connection_is_not_read_and_resumes_without_loss,
    a_pause_in_mid_stream_loses_nothing,
    a_flooding_peer_gets_its_share_of_a_turn_and_no_more,
    a_buffer_sent_comes_back_for_reuse,
    calls_for_slots_that_are_gone_do_nothing,
);

/// Sends `bytes`, says goodbye, and reads to the end while sending.
fn exchange(stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let mut writing = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            writing.write_all(bytes).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let mut answer = Vec::new();
        (&stream).read_to_end(&mut answer).unwrap();
        answer
    })
}

fn bytes_come_back_whole_and_in_order<T: Transport>() {
    run(async |mut transport: T| {
        let address = listen(&mut transport);
        let client = thread::spawn(move || {
            for size in [1, 2, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3_000_000] {
                let bytes = patterned(size);
                assert!(exchange(TcpStream::connect(address).unwrap(), &bytes) == bytes, "{size}");
            }
        });
        Echo::default().serve(&mut transport, 6).await;
        client.join().unwrap();
        transport.shutdown().await;
    });
}

fn an_empty_send_is_sent<T: Transport>() {
    run(async |mut transport: T| {
        let (_peer, slot) = connection(&mut transport);
        transport.send(slot, Vec::with_capacity(100));
        turn_until(&mut transport, |_, event| match event {
            Event::Sent { slot: sent, buffer } => sent == slot && buffer.capacity() >= 100,
            event => panic!("{event:?}"),
        })
        .await;
    });
}

fn unix_sockets_work_alike<T: Transport>() {
    run(async |mut transport: T| {
        let (mut peer, ours) = UnixStream::pair().unwrap();
        transport.attach(OwnedFd::from(ours).into());
        let bytes = patterned(400_000);
        let client = thread::spawn(move || {
            let mut writing = peer.try_clone().unwrap();
            let sent = bytes.clone();
            let writer = thread::spawn(move || {
                writing.write_all(&sent).unwrap();
                writing.shutdown(Shutdown::Write).unwrap();
            });
            let mut answer = Vec::new();
            peer.read_to_end(&mut answer).unwrap();
            writer.join().unwrap();
            assert!(answer == bytes);
        });
        Echo::default().serve(&mut transport, 1).await;
        client.join().unwrap();
    });
}

fn many_connections_at_once_each_get_their_own_answers<T: Transport>() {
    const CONNECTIONS: usize = 120;
    run(async |mut transport: T| {
        let address = listen(&mut transport);
        let client = thread::spawn(move || {
            let mut peers: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
            for round in 0..20 {
                for (number, peer) in peers.iter_mut().enumerate() {
                    peer.write_all(&[number as u8, round]).unwrap();
                }
                for (number, peer) in peers.iter_mut().enumerate() {
                    let mut answer = [0; 2];
                    peer.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, [number as u8, round]);
                }
            }
        });
        let mut echo = Echo::default();
        echo.serve(&mut transport, CONNECTIONS).await;
        assert_eq!(echo.failed, 0);
        client.join().unwrap();
    });
}

fn a_half_closed_peer_still_gets_everything<T: Transport>() {
    run(async |mut transport: T| {
        let (mut peer, slot) = connection(&mut transport);
        peer.write_all(b"last words").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        turn_until(&mut transport, |transport, event| match event {
            Event::Received { chunk, .. } => {
                transport.release(chunk);
                false
            }
            Event::EndOfInput { .. } => true,
            event => panic!("{event:?}"),
        })
        .await;
        let bytes = patterned(1_000_000);
        transport.send(slot, bytes.clone());
        let reader = thread::spawn(move || {
            let mut answer = Vec::new();
            peer.read_to_end(&mut answer).unwrap();
            answer
        });
        transport.close(slot, Close::Flush);
        turn_until(&mut transport, |_, event| matches!(event, Event::Closed { .. })).await;
        assert!(reader.join().unwrap() == bytes);
    });
}

fn four_buffers_are_slow_but_correct<T: Transport>() {
    const CONNECTIONS: usize = 40;
    let _watchdog = Watchdog::new();
    run_with(&Options { buffer_count: 4, ..options() }, async |mut transport: T| {
        let address = listen(&mut transport);
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                thread::spawn(move || {
                    let bytes = patterned(100_000 + number);
                    assert!(exchange(TcpStream::connect(address).unwrap(), &bytes) == bytes);
                })
            })
            .collect();
        Echo::default().serve(&mut transport, CONNECTIONS).await;
        for client in clients {
            client.join().unwrap();
        }
        assert!(transport.counters().starved > 0, "{:?}", transport.counters());
    });
}

fn a_peer_that_does_not_read_disturbs_nobody<T: Transport>() {
    const SIZE: usize = 24_000_000;
    run(async |mut transport: T| {
        let (mut slow, slow_slot) = connection(&mut transport);
        transport.send(slow_slot, patterned(SIZE));
        let address = listen(&mut transport);
        let client = thread::spawn(move || {
            let mut peer = TcpStream::connect(address).unwrap();
            for round in 0..200u8 {
                peer.write_all(&[round]).unwrap();
                let mut answer = [0];
                peer.read_exact(&mut answer).unwrap();
                assert_eq!(answer, [round]);
            }
        });
        let mut echo = Echo::default();
        echo.serve(&mut transport, 1).await;
        client.join().unwrap();
        assert!(transport.counters().partial_sends > 0);
        let reader = thread::spawn(move || {
            let mut bytes = vec![0; SIZE];
            slow.read_exact(&mut bytes).unwrap();
            bytes
        });
        turn_until(&mut transport, |_, event| matches!(event, Event::Sent { slot, .. } if slot == slow_slot))
            .await;
        assert!(reader.join().unwrap() == patterned(SIZE));
    });
}

fn what_a_slow_peer_takes_is_told<T: Transport>() {
    const SIZE: usize = 24_000_000;
    run(async |mut transport: T| {
        let (mut slow, slot) = connection(&mut transport);
        transport.send(slot, patterned(SIZE));
        let (mut taken, mut came) = (0, 0);
        // What fits into the kernel's buffers goes; then nothing until the peer reads.
        loop {
            let before = taken;
            for _ in 0..20 {
                transport.turn(Wait::Brief).await.unwrap();
                while let Some(event) = transport.poll_event() {
                    match event {
                        Event::Taken { bytes, .. } => taken += bytes,
                        event => panic!("{event:?}"),
                    }
                }
            }
            if taken == before {
                break;
            }
        }
        assert!(taken < SIZE);
        let mut reports = 0;
        let mut piece = vec![0; 500_000];
        let mut sent = false;
        while !sent {
            slow.read_exact(&mut piece).unwrap();
            assert!(piece.iter().enumerate().all(|(at, byte)| *byte == pattern(came + at)));
            came += piece.len();
            transport.turn(Wait::Brief).await.unwrap();
            while let Some(event) = transport.poll_event() {
                match event {
                    Event::Taken { bytes, .. } => {
                        taken += bytes;
                        reports += 1;
                    }
                    Event::Sent { .. } => sent = true,
                    event => panic!("{event:?}"),
                }
            }
            assert!(taken < SIZE, "the last part is told by `Sent`");
        }
        assert!(reports >= 5, "{reports}");
    });
}

/// Writes the pattern from `from` on until the kernel takes no more; returns where it stopped.
fn fill(peer: &TcpStream, from: usize) -> usize {
    peer.set_nonblocking(true).unwrap();
    let mut position = from;
    loop {
        let piece: Vec<u8> = (position..position + 50_000).map(pattern).collect();
        match (&mut &*peer).write(&piece) {
            Ok(size) => position += size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return position,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Takes what comes and checks it; returns true once `all` bytes have come.
fn check<T: Transport>(transport: &mut T, event: Event, came: &mut usize, all: usize) -> bool {
    match event {
        Event::Received { chunk, .. } => {
            for byte in transport.chunk(&chunk) {
                assert_eq!(*byte, pattern(*came));
                *came += 1;
            }
            transport.release(chunk);
        }
        event => panic!("{event:?}"),
    }
    *came == all
}

fn a_paused_connection_is_not_read_and_resumes_without_loss<T: Transport>() {
    run(async |mut transport: T| {
        let (peer, slot) = connection(&mut transport);
        transport.pause(slot);
        transport.turn(Wait::Brief).await.unwrap();
        let all = fill(&peer, 0);
        for _ in 0..20 {
            transport.turn(Wait::Brief).await.unwrap();
            assert!(transport.poll_event().is_none());
        }
        transport.resume(slot);
        let mut came = 0;
        turn_until(&mut transport, |transport, event| check(transport, event, &mut came, all)).await;
    });
}

/// What may still come after a pause, as `Transport::pause` has it.
fn after_pause_max<T: Transport>() -> usize {
    let limited =
        std::any::type_name::<T>() != std::any::type_name::<RingTransport>() || can_limit_receives();
    if limited { RECEIVE_BYTES_MAX as usize } else { 1 << 20 }
}

fn a_pause_in_mid_stream_loses_nothing<T: Transport>() {
    const SIZE: usize = 8_000_000;
    run(async |mut transport: T| {
        let (mut peer, slot) = connection(&mut transport);
        let writer = thread::spawn(move || {
            peer.write_all(&patterned(SIZE)).unwrap();
            peer
        });
        let (mut came, mut rounds) = (0, 0);
        while came < SIZE {
            transport.pause(slot);
            let before = came;
            for _ in 0..4 {
                transport.turn(Wait::Brief).await.unwrap();
                while let Some(event) = transport.poll_event() {
                    check(&mut transport, event, &mut came, SIZE);
                }
            }
            assert!(came - before <= after_pause_max::<T>(), "{} came after a pause", came - before);
            transport.resume(slot);
            // Sometimes before the kernel has answered to the pause.
            if rounds % 3 == 0 {
                transport.pause(slot);
                transport.resume(slot);
            }
            rounds += 1;
            if came < SIZE {
                turn_until(&mut transport, |transport, event| {
                    check(transport, event, &mut came, SIZE);
                    true
                })
                .await;
            }
        }
        assert!(rounds > 3, "{rounds}");
        drop(writer.join().unwrap());
    });
}

/// One connection's input of a turn is bounded, so that the others' turn comes.
fn a_flooding_peer_gets_its_share_of_a_turn_and_no_more<T: Transport>() {
    const SIZE: usize = 4_000_000;
    run(async |mut transport: T| {
        let (mut peer, _slot) = connection(&mut transport);
        let writer = thread::spawn(move || {
            peer.write_all(&patterned(SIZE)).unwrap();
            peer
        });
        let mut came = 0;
        while came < SIZE {
            transport.turn(Wait::Block).await.unwrap();
            let before = came;
            while let Some(event) = transport.poll_event() {
                check(&mut transport, event, &mut came, SIZE);
            }
            assert!(came - before <= after_pause_max::<T>(), "{} in one turn", came - before);
        }
        drop(writer.join().unwrap());
    });
}

fn a_buffer_sent_comes_back_for_reuse<T: Transport>() {
    run(async |mut transport: T| {
        let (mut peer, slot) = connection(&mut transport);
        let mut buffer = Vec::with_capacity(1000);
        for round in 0..10u8 {
            buffer.extend_from_slice(&[round; 700]);
            let address = buffer.as_ptr();
            transport.send(slot, buffer);
            let mut back = None;
            turn_until(&mut transport, |_, event| match event {
                Event::Sent { buffer, .. } => back.insert(buffer).is_empty(),
                event => panic!("{event:?}"),
            })
            .await;
            buffer = back.unwrap();
            assert_eq!(buffer.as_ptr(), address);
            let mut bytes = [0; 700];
            peer.read_exact(&mut bytes).unwrap();
            assert_eq!(bytes, [round; 700]);
        }
    });
}

fn calls_for_slots_that_are_gone_do_nothing<T: Transport>() {
    run(async |mut transport: T| {
        let (_peer, slot) = connection(&mut transport);
        transport.close(slot, Close::Abort);
        transport.send(slot, b"too late".to_vec());
        turn_until(&mut transport, |_, event| matches!(event, Event::Closed { .. })).await;
        transport.send(slot, b"too late".to_vec());
        transport.pause(slot);
        transport.resume(slot);
        transport.detach(slot);
        transport.close(slot, Close::Flush);
        transport.ring_peer(7);
        for _ in 0..3 {
            transport.turn(Wait::Brief).await.unwrap();
            assert!(transport.poll_event().is_none());
        }
    });
}
