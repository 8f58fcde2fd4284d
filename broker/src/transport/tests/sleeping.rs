//! Sleeping and being woken.

use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::super::*;
use super::harness::*;
use super::on_both_drivers;
use crate::mesh::{MeshEnd, RING_ITEMS_MAX, mesh};

on_both_drivers!(
    an_idle_core_sleeps,
    a_deadline_is_kept_asleep_and_awake,
    a_deadline_can_be_moved_and_removed,
    no_wake_up_is_lost_at_any_pace,
    a_task_of_the_core_wakes_it,
    another_thread_wakes_it,
    tasks_run_while_the_core_is_busy,
    what_was_sent_leaves_before_tasks_run,
    a_core_with_work_outside_waits_briefly_before_it_parks,
    cores_ring_each_other,
    a_brief_wait_ends_by_itself,
);

const MS: u64 = 1_000_000;

fn an_idle_core_sleeps<T: Transport>() {
    run(async |mut transport: T| {
        let _connections: Vec<_> = (0..50).map(|_| connection(&mut transport)).collect();
        let _address = listen(&mut transport);
        transport.turn(Wait::Brief).await.unwrap();
        let before = transport.counters().turns;
        let cpu = thread_cpu();
        transport.set_deadline(Some(monotonic_ns() + 200 * MS));
        turn_until(&mut transport, |_, event| matches!(event, Event::Timer)).await;
        let turns = transport.counters().turns - before;
        assert!(turns <= 5, "{turns} turns");
        let cpu = thread_cpu() - cpu;
        assert!(cpu < Duration::from_millis(50), "{cpu:?} of 200 ms");
    });
}

fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn a_deadline_is_kept_asleep_and_awake<T: Transport>() {
    run(async |mut transport: T| {
        for (ns, wait) in [
            (0, Wait::Block),
            (100_000, Wait::Block),
            (3 * MS, Wait::Block),
            (40 * MS, Wait::Block),
            (10 * MS, Wait::Brief),
            (10 * MS, Wait::No),
        ] {
            let at = monotonic_ns() + ns;
            transport.set_deadline(Some(at));
            loop {
                transport.turn(wait).await.unwrap();
                match transport.poll_event() {
                    Some(Event::Timer) => break,
                    None => {}
                    Some(event) => panic!("{event:?}"),
                }
            }
            assert!(monotonic_ns() >= at);
            assert!(monotonic_ns() - at < 500 * MS, "late by {} ns", monotonic_ns() - at);
        }
    });
}

fn a_deadline_can_be_moved_and_removed<T: Transport>() {
    run(async |mut transport: T| {
        let (mut peer, _) = connection(&mut transport);
        let started = monotonic_ns();
        // The kernel's timer is set by each sleep, then has to be made later, earlier, and forgotten.
        for at in [Some(started + 10_000 * MS), Some(started + 100 * MS), Some(started + 20_000 * MS), None] {
            transport.set_deadline(at);
            let waker = transport.remote_waker().unwrap();
            let ringing = thread::spawn(move || waker.wake());
            transport.turn(Wait::Block).await.unwrap();
            ringing.join().unwrap();
            assert!(transport.poll_event().is_none());
        }
        let writer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(150));
            peer.write_all(b"x").unwrap();
            peer
        });
        turn_until(&mut transport, |_, event| match event {
            Event::Received { .. } => true,
            event => panic!("{event:?}"),
        })
        .await;
        assert!(monotonic_ns() - started >= 150 * MS);
        drop(writer.join().unwrap());
    });
}

/// Rounds of the test below; `scripts/test` asks for more.
const PARK_ROUNDS: u64 = 20_000;

/// A lost wake-up leaves the core asleep and the client without answer.
fn no_wake_up_is_lost_at_any_pace<T: Transport>() {
    /// Shorter than in life, so that a core goes to sleep in each round and not in each millisecond.
    const WAIT_NS: u64 = 20_000;
    let rounds = std::env::var("NSQD_TEST_PARK_ROUNDS").map_or(PARK_ROUNDS, |rounds| rounds.parse().unwrap());
    let _watchdog = Watchdog::of(Duration::from_secs(60) + Duration::from_millis(2) * rounds as u32);
    run_with(&Options { wait_ns_max: WAIT_NS, ..options() }, async |mut transport: T| {
        let address = listen(&mut transport);
        let client = thread::spawn(move || {
            let mut peer = std::net::TcpStream::connect(address).unwrap();
            peer.set_nodelay(true).unwrap();
            peer.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
            for round in 0..rounds {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
                // Around the end of the wait, where the core goes to sleep, lies the danger.
                let pace = Duration::from_nanos((seed >> 33) % (3 * WAIT_NS));
                let answered = Instant::now();
                while answered.elapsed() < pace {
                    std::hint::spin_loop();
                }
                peer.write_all(&round.to_be_bytes()).unwrap();
                let mut answer = [0; 8];
                peer.read_exact(&mut answer).unwrap_or_else(|error| panic!("round {round}: {error}"));
                assert_eq!(answer, round.to_be_bytes());
            }
        });
        Echo::default().serve(&mut transport, 1).await;
        client.join().unwrap();
        // How often the danger was met depends on what else the machine does; that it was met does not.
        assert!(transport.counters().parks > rounds / 100, "{:?}", transport.counters());
    });
}

fn a_task_of_the_core_wakes_it<T: Transport>() {
    run(async |mut transport: T| {
        for _ in 0..20 {
            let waker = transport.local_waker();
            let work = Rc::new(Cell::new(false));
            let task = glommio::spawn_local({
                let work = work.clone();
                async move {
                    Timer::new(Duration::from_millis(3)).await;
                    work.set(true);
                    waker.wake();
                }
            });
            while !work.get() {
                transport.turn(Wait::Block).await.unwrap();
            }
            task.await;
        }
        // A wake before the turn counts as well.
        transport.local_waker().wake();
        transport.turn(Wait::Block).await.unwrap();
    });
}

fn another_thread_wakes_it<T: Transport>() {
    run(async |mut transport: T| {
        let waker = transport.remote_waker().unwrap();
        let (send, receive) = channel();
        let (go, gone) = channel();
        let other = thread::spawn(move || {
            for number in 0..200 {
                gone.recv().unwrap();
                if number % 2 == 0 {
                    thread::sleep(Duration::from_micros(number * 17));
                }
                send.send(number).unwrap();
                waker.wake();
            }
        });
        for number in 0..200 {
            go.send(()).unwrap();
            loop {
                transport.turn(Wait::Block).await.unwrap();
                while transport.poll_event().is_some() {}
                if let Ok(came) = receive.try_recv() {
                    assert_eq!(came, number);
                    break;
                }
            }
        }
        other.join().unwrap();
    });
}

fn tasks_run_while_the_core_is_busy<T: Transport>() {
    run(async |mut transport: T| {
        let done = Rc::new(Cell::new(0));
        let task = glommio::spawn_local({
            let done = done.clone();
            async move {
                while done.get() < 20 {
                    Timer::new(Duration::from_millis(1)).await;
                    done.set(done.get() + 1);
                }
            }
        });
        let started = Instant::now();
        while done.get() < 20 {
            transport.turn(Wait::No).await.unwrap();
        }
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
        task.await;
    });
}

/// A task that takes its time does not delay what the loop has sent before.
fn what_was_sent_leaves_before_tasks_run<T: Transport>() {
    run(async |mut transport: T| {
        let (mut peer, slot) = connection(&mut transport);
        let mut buffer = Vec::new();
        for round in 0..20u8 {
            let mut reader = peer.try_clone().unwrap();
            reader.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let task = glommio::spawn_local(async move {
                // glommio runs a new task at once, up to its first wait.
                Timer::new(Duration::from_nanos(1000)).await;
                // Blocks the executor until the bytes are there.
                let mut byte = [0];
                reader.read_exact(&mut byte).map(|()| byte[0])
            });
            buffer.push(round);
            transport.send(slot, std::mem::take(&mut buffer));
            transport.local_waker().let_tasks_run();
            turn_until(&mut transport, |_, event| match event {
                Event::Sent { buffer: back, .. } => {
                    buffer = back;
                    true
                }
                event => panic!("{event:?}"),
            })
            .await;
            assert_eq!(task.await.unwrap(), round);
        }
        peer.write_all(b"x").unwrap();
    });
}

/// A busy core stays in its ring, where waiting is cheap, although something is under way outside.
fn a_core_with_work_outside_waits_briefly_before_it_parks<T: Transport>() {
    const ROUNDS: u64 = 300;
    run(async |mut transport: T| {
        let _guard = transport.local_waker().work_outside();
        let (mut peer, ours) = tcp_pair();
        transport.attach(ours.into());
        let client = thread::spawn(move || {
            for round in 0..ROUNDS {
                peer.write_all(&round.to_be_bytes()).unwrap();
                let mut answer = [0; 8];
                peer.read_exact(&mut answer).unwrap();
            }
        });
        Echo::default().serve(&mut transport, 1).await;
        client.join().unwrap();
        let counters = transport.counters();
        if std::any::type_name::<T>().contains("Ring") {
            assert!(counters.parks <= counters.waits && counters.waits >= ROUNDS / 2, "{counters:?}");
        }
        // Nothing comes in, and the task outside is heard of long before a wait of 1 ms would be over.
        let waker = transport.local_waker();
        let woken = Rc::new(Cell::new(0));
        let task = glommio::spawn_local({
            let woken = woken.clone();
            async move {
                while woken.get() < 50 {
                    Timer::new(Duration::from_micros(400)).await;
                    woken.set(woken.get() + 1);
                    waker.wake();
                }
            }
        });
        let waits = transport.counters().waits;
        while woken.get() < 50 {
            transport.turn(Wait::Block).await.unwrap();
        }
        assert!(transport.counters().waits - waits <= 200, "{:?}", transport.counters());
        task.await;
    });
}

/// One of two cores that pass a number to and fro and sleep in between.
async fn play<T: Transport>(mut transport: T, mut end: MeshEnd<u64>, core: usize, rounds: u64) -> Counters {
    if core == 0 {
        end.send(1, 0);
    }
    let mut wait = Wait::No;
    let mut over = false;
    while !over {
        for peer in end.flush() {
            transport.ring_peer(peer);
        }
        transport.turn(wait).await.unwrap();
        end.awake();
        while let Some(event) = transport.poll_event() {
            assert!(matches!(event, Event::Doorbell), "{event:?}");
        }
        while let Some((from, number)) = end.poll() {
            assert_eq!(from, 1 - core);
            if number <= rounds {
                end.send(from, number + 1);
            }
            over |= number >= rounds;
        }
        wait = if end.about_to_sleep() { Wait::Block } else { Wait::No };
    }
    for peer in end.flush() {
        transport.ring_peer(peer);
    }
    transport.turn(Wait::No).await.unwrap();
    let counters = transport.counters();
    transport.shutdown().await;
    counters
}

fn cores_ring_each_other<T: Transport>() {
    const ROUNDS: u64 = 5000;
    let _watchdog = Watchdog::new();
    let mut ends = mesh(2, RING_ITEMS_MAX);
    let (second_end, first_end) = (ends.pop().unwrap(), ends.pop().unwrap());
    let ((to_first, for_first), (to_second, for_second)) = (channel(), channel());
    let second = thread::spawn(move || {
        run_with(&options(), async |mut transport: T| {
            to_first.send(transport.doorbell().unwrap()).unwrap();
            transport.set_peers(vec![Some(for_second.recv().unwrap()), None]);
            play(transport, second_end, 1, ROUNDS).await
        })
    });
    run_with(&options(), async |mut transport: T| {
        to_second.send(transport.doorbell().unwrap()).unwrap();
        transport.set_peers(vec![None, Some(for_first.recv().unwrap())]);
        play(transport, first_end, 0, ROUNDS).await
    });
    second.join().unwrap();
}

fn a_brief_wait_ends_by_itself<T: Transport>() {
    run(async |mut transport: T| {
        let started = Instant::now();
        for _ in 0..20 {
            transport.turn(Wait::Brief).await.unwrap();
        }
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    });
}
