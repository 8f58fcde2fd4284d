//! What is always true of a table, between any two calls.

use super::super::Event;
use super::super::lifecycle::{Phase, Receive, Step};
use super::super::slot::Slot;
use super::{Connection, Place, Queued, Sockets, Table};

impl<K: Sockets> Table<K> {
    /// Walks every invariant. For tests and simulations: it costs the square of what is queued.
    ///
    /// # Panics
    ///
    /// When one does not hold.
    pub fn check(&self) {
        self.slots.check();
        for (slot, place) in self.slots.iter() {
            let ends = self.count(|queued| matches!(queued, Queued::Closed(of) if *of == slot));
            match place {
                Place::Closed => assert_eq!(ends, 1, "{slot:?} is closed, and its end is told once"),
                Place::Live(connection) => {
                    assert_eq!(ends, 0, "{slot:?} lives");
                    self.check_connection(slot, connection);
                }
            }
        }
        for queued in &self.events {
            if let Queued::Closed(slot) | Queued::HandOver(slot) = queued {
                assert!(self.slots.get(*slot).is_some(), "{slot:?} is kept until its end was taken");
            }
        }
    }

    fn check_connection(&self, slot: Slot, connection: &Connection<K::Socket>) {
        let Connection { life, sending, sent_size, pending, in_starved, .. } = connection;
        assert_eq!(life.clone().step(), Step::Nothing, "{slot:?} is settled: {life:?}");
        if life.sending {
            assert!(*sent_size < sending.len(), "{slot:?}: a send has something left");
            assert!(life.phase != Phase::HandedOver && life.phase != Phase::Draining, "{slot:?}: {life:?}");
        } else {
            assert_eq!((sending.capacity(), *sent_size), (0, 0), "{slot:?}: nothing is left of a send");
        }
        assert!(
            pending.is_empty() || life.phase != Phase::Open,
            "{slot:?}: an open connection reports its input"
        );
        let places = self.starved.iter().filter(|starved| **starved == slot).count();
        assert_eq!(places, usize::from(*in_starved), "{slot:?} starves once");
        assert!(*in_starved || life.receive != Receive::Starved, "{slot:?} is fed some day");
        if matches!(life.phase, Phase::Flushing | Phase::Draining) {
            assert!(self.closing.has(slot, life.phase), "{slot:?} has a deadline in {:?}", life.phase);
        }
        let of_event = |wanted: fn(&Event) -> bool| {
            self.count(|queued| match queued {
                Queued::Event(event) => event.connection() == Some(slot) && wanted(event),
                _ => false,
            })
        };
        assert!(of_event(|event| matches!(event, Event::Failed { .. })) <= usize::from(life.broken));
        assert!(of_event(|event| matches!(event, Event::EndOfInput { .. })) <= usize::from(life.input_over));
        if matches!(life.phase, Phase::Detaching | Phase::HandedOver) {
            let input = |event: &Event| matches!(event, Event::Received { .. } | Event::EndOfInput { .. });
            assert_eq!(of_event(input), 0, "{slot:?}: input of a leaving connection goes with it");
        }
        let hand_overs = self.count(|queued| matches!(queued, Queued::HandOver(of) if *of == slot));
        match life.phase {
            Phase::HandedOver => {
                assert_eq!(hand_overs, usize::from(!life.broken), "{slot:?} is handed over once")
            }
            Phase::Open | Phase::Detaching => assert_eq!(hand_overs, 0, "{slot:?}: {life:?}"),
            // It was closed after it had been handed over, perhaps.
            _ => assert!(hand_overs <= 1),
        }
    }

    fn count(&self, wanted: impl Fn(&Queued) -> bool) -> usize {
        self.events.iter().filter(|queued| wanted(queued)).count()
    }
}
