//! Connections that move between cores, with bytes on their way.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::super::*;
use super::harness::*;
use super::on_both_drivers;

on_both_drivers!(
    a_connection_moves_to_and_fro_without_losing_a_byte,
    input_that_nobody_took_yet_moves_along,
    a_send_under_way_is_finished_before_the_move,
    a_connection_can_be_closed_while_it_is_leaving,
    a_peer_that_closes_during_the_move_is_noticed_after_it,
    a_connection_reset_while_it_is_leaving_is_closed_and_not_moved,
);

/// What moves: the socket, what it received while leaving, and how many bytes were seen so far.
struct Parcel {
    socket: Socket,
    pending: Vec<u8>,
    came: usize,
}

/// One of two cores: takes a connection, reads a little, and sends it back, until the peer says goodbye.
async fn take_turns<T: Transport>(
    mut transport: T,
    parcels: Receiver<Parcel>,
    other: Sender<Parcel>,
    other_waker: RemoteWaker,
) -> Option<usize> {
    let (mut slot, mut came, mut over) = (None, 0, false);
    loop {
        transport.turn(Wait::Block).await.unwrap();
        loop {
            match parcels.try_recv() {
                Ok(parcel) => {
                    came = parcel.came;
                    for byte in parcel.pending {
                        assert_eq!(byte, pattern(came));
                        came += 1;
                    }
                    slot = Some(transport.attach(parcel.socket));
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return None,
            }
        }
        while let Some(event) = transport.poll_event() {
            match event {
                Event::Received { slot: from, chunk } => {
                    assert_eq!(Some(from), slot);
                    for byte in transport.chunk(&chunk) {
                        assert_eq!(*byte, pattern(came));
                        came += 1;
                    }
                    transport.release(chunk);
                    transport.detach(from);
                }
                Event::Detached { socket, pending, .. } => {
                    slot = None;
                    other.send(Parcel { socket, pending, came }).unwrap();
                    other_waker.wake();
                }
                Event::EndOfInput { .. } => over = true,
                event => panic!("{event:?}"),
            }
        }
        if over {
            drop(other);
            other_waker.wake();
            return Some(came);
        }
    }
}

fn a_connection_moves_to_and_fro_without_losing_a_byte<T: Transport>() {
    const SIZE: usize = 6_000_000;
    let _watchdog = Watchdog::new();
    let (mut peer, ours) = tcp_pair();
    let writer = thread::spawn(move || {
        let bytes = patterned(SIZE);
        for piece in bytes.chunks(7_001) {
            peer.write_all(piece).unwrap();
        }
        peer.shutdown(Shutdown::Write).unwrap();
        peer
    });
    let ((to_first, first_parcels), (to_second, second_parcels)) = (channel(), channel());
    to_first.send(Parcel { socket: ours.into(), pending: Vec::new(), came: 0 }).unwrap();
    let ((tell_first, first_waker), (tell_second, second_waker)) = (channel(), channel());
    let second = thread::spawn(move || {
        run_with(&options(), async |transport: T| {
            tell_second.send(transport.remote_waker().unwrap()).unwrap();
            take_turns(transport, second_parcels, to_first, first_waker.recv().unwrap()).await
        })
    });
    let first = run_with(&options(), async |transport: T| {
        let waker = transport.remote_waker().unwrap();
        waker.wake();
        tell_first.send(waker).unwrap();
        take_turns(transport, first_parcels, to_second, second_waker.recv().unwrap()).await
    });
    let second = second.join().unwrap();
    assert_eq!(first.or(second), Some(SIZE));
    drop(writer.join().unwrap());
}

fn input_that_nobody_took_yet_moves_along<T: Transport>() {
    run(async |mut transport: T| {
        let (mut peer, slot) = connection(&mut transport);
        peer.write_all(&patterned(100_000)).unwrap();
        for _ in 0..5 {
            transport.turn(Wait::Brief).await.unwrap();
        }
        transport.detach(slot);
        let mut moved = None;
        turn_until(&mut transport, |_, event| match event {
            Event::Detached { socket, pending, .. } => moved.insert((socket, pending)).1.len() > 1,
            event => panic!("{event:?}"),
        })
        .await;
        let (socket, mut bytes) = moved.unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        TcpStream::from(socket.into_descriptor()).read_to_end(&mut bytes).unwrap();
        assert!(bytes == patterned(100_000));
    });
}

fn a_send_under_way_is_finished_before_the_move<T: Transport>() {
    const SIZE: usize = 20_000_000;
    run(async |mut transport: T| {
        let (mut peer, slot) = connection(&mut transport);
        transport.send(slot, patterned(SIZE));
        transport.turn(Wait::Brief).await.unwrap();
        transport.detach(slot);
        let reader = thread::spawn(move || {
            let mut bytes = vec![0; SIZE];
            peer.read_exact(&mut bytes).unwrap();
            bytes
        });
        let mut seen = Vec::new();
        turn_until(&mut transport, |_, event| {
            seen.push(match event {
                Event::Taken { .. } => return false,
                Event::Sent { .. } => "sent",
                Event::Detached { .. } => "detached",
                event => panic!("{event:?}"),
            });
            seen.last() == Some(&"detached")
        })
        .await;
        assert_eq!(seen, ["sent", "detached"]);
        assert!(reader.join().unwrap() == patterned(SIZE));
    });
}

fn a_connection_can_be_closed_while_it_is_leaving<T: Transport>() {
    run(async |mut transport: T| {
        for turns in 0..3 {
            let (_peer, slot) = connection(&mut transport);
            transport.send(slot, vec![7; 20_000_000]);
            transport.turn(Wait::Brief).await.unwrap();
            transport.detach(slot);
            for _ in 0..turns {
                transport.turn(Wait::Brief).await.unwrap();
            }
            transport.close(slot, Close::Abort);
            turn_until(&mut transport, |_, event| match event {
                Event::Closed { .. } => true,
                event => panic!("{event:?}"),
            })
            .await;
        }
        let (_peer, slot) = connection(&mut transport);
        transport.turn(Wait::Brief).await.unwrap();
        transport.detach(slot);
        // The report of the detachment is queued by now, and gives way to the close.
        for _ in 0..3 {
            transport.turn(Wait::Brief).await.unwrap();
        }
        transport.close(slot, Close::Abort);
        turn_until(&mut transport, |_, event| match event {
            Event::Closed { .. } => true,
            event => panic!("{event:?}"),
        })
        .await;
    });
}

fn a_peer_that_closes_during_the_move_is_noticed_after_it<T: Transport>() {
    run(async |mut transport: T| {
        let (mut peer, slot) = connection(&mut transport);
        peer.write_all(b"last words").unwrap();
        drop(peer);
        for _ in 0..5 {
            transport.turn(Wait::Brief).await.unwrap();
        }
        transport.detach(slot);
        let mut moved = None;
        turn_until(&mut transport, |_, event| match event {
            Event::Detached { socket, pending, .. } => {
                assert_eq!(pending, b"last words");
                moved = Some(socket);
                true
            }
            event => panic!("{event:?}"),
        })
        .await;
        transport.attach(moved.unwrap());
        turn_until(&mut transport, |_, event| matches!(event, Event::EndOfInput { .. })).await;
    });
}

/// The reset and the end of the receive race: it is found out either here or by whom the socket is given to, and never
/// by both.
fn a_connection_reset_while_it_is_leaving_is_closed_and_not_moved<T: Transport>() {
    run(async |mut transport: T| {
        let mut failed = 0;
        for round in 0..60 {
            let (peer, slot) = connection(&mut transport);
            transport.turn(Wait::No).await.unwrap();
            reset_on_close(&peer);
            if round % 2 == 0 {
                transport.detach(slot);
                drop(peer);
            } else {
                drop(peer);
                transport.detach(slot);
            }
            let mut over = false;
            let mut broken = false;
            turn_until(&mut transport, |transport, event| match event {
                Event::Failed { .. } => {
                    assert!(!over, "it has left already");
                    failed += 1;
                    broken = true;
                    transport.close(slot, Close::Flush);
                    false
                }
                Event::Detached { .. } => {
                    assert!(!broken, "a broken connection stays");
                    over = true;
                    true
                }
                Event::Closed { .. } => broken,
                event => panic!("{event:?}"),
            })
            .await;
        }
        eprintln!("{failed} of 60 failed here");
    });
}
