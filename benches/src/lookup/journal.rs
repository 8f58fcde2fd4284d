//! What a lookup must answer, also while registrations come and go.
//!
//! A registration is settled from the `OK` of one command until the next one is written. A settled registration must
//! be in every answer to a request sent since, a settled absence in none. In between either is right.

use serde::Deserialize;

use super::plan::{HTTP_PORT, Plan, TCP_PORT, VERSION};
use crate::error::BenchError;

/// Whether an nsqd has a topic, as far as we can know.
#[derive(Clone, Copy, Debug)]
enum Presence {
    Absent { since_ns: u64 },
    Unsettled,
    Present { since_ns: u64 },
}

/// The body of `/lookup`. Our names need no escapes in JSON, so text can be borrowed.
#[derive(Debug, Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    channels: Vec<&'a str>,
    #[serde(borrow)]
    producers: Vec<Producer<'a>>,
}

#[derive(Debug, Deserialize)]
struct Producer<'a> {
    remote_address: &'a str,
    hostname: &'a str,
    broadcast_address: &'a str,
    tcp_port: u16,
    http_port: u16,
    version: &'a str,
}

/// All registrations of a fleet.
#[derive(Debug)]
pub(crate) struct Journal<'a> {
    plan: &'a Plan,
    /// By nsqd, then by slot.
    presences: Vec<Presence>,
    /// Our end of each connection, which the server sees as the remote one.
    remotes: Vec<String>,
    /// For each nsqd the last answer it was seen in.
    seen_in: Vec<u64>,
    answers: u64,
    absences: u64,
}

impl<'a> Journal<'a> {
    /// Nothing is registered; `remotes` has our address of each nsqd's connection.
    pub(crate) fn new(plan: &'a Plan, remotes: Vec<String>) -> Self {
        Self {
            plan,
            presences: vec![Presence::Absent { since_ns: 0 }; plan.peers() * plan.slots()],
            remotes,
            seen_in: vec![0; plan.peers()],
            answers: 0,
            absences: 0,
        }
    }

    /// A command about this registration is being written.
    pub(crate) fn unsettle(&mut self, peer: usize, slot: usize) {
        *self.presence(peer, slot) = Presence::Unsettled;
    }

    /// The last command that registers it was answered.
    pub(crate) fn set_present(&mut self, peer: usize, slot: usize, since_ns: u64) {
        *self.presence(peer, slot) = Presence::Present { since_ns };
    }

    /// The command that unregisters it was answered.
    pub(crate) fn set_absent(&mut self, peer: usize, slot: usize, since_ns: u64) {
        *self.presence(peer, slot) = Presence::Absent { since_ns };
    }

    /// It is registered, and no command about it is under way.
    pub(crate) fn is_present(&self, peer: usize, slot: usize) -> bool {
        matches!(self.presences[peer * self.plan.slots() + slot], Presence::Present { .. })
    }

    /// Answers in which an nsqd was rightly missing.
    pub(crate) fn absences(&self) -> u64 {
        self.absences
    }

    fn presence(&mut self, peer: usize, slot: usize) -> &mut Presence {
        &mut self.presences[peer * self.plan.slots() + slot]
    }

    /// Holds the body of `/lookup` for `topic` against the registrations.
    ///
    /// # Errors
    /// Anything missing, surplus, doubled or different from what was announced.
    pub(crate) fn check(&mut self, topic: usize, sent_ns: u64, body: &[u8]) -> Result<(), BenchError> {
        let name = || self.plan.topic_name(topic);
        let answer: Answer<'_> = serde_json::from_slice(body)
            .map_err(|error| BenchError::Answer(format!("lookup of {}: {error}", name())))?;
        self.check_channels(topic, &answer.channels)?;
        self.answers += 1;
        for producer in &answer.producers {
            self.check_producer(topic, sent_ns, producer)?;
        }
        self.check_missing(topic, sent_ns)
    }

    fn check_channels(&self, topic: usize, channels: &[&str]) -> Result<(), BenchError> {
        let mut found = channels.to_vec();
        found.sort_unstable();
        // Zero-padded names sort as their numbers do.
        let expected = (0..self.plan.channels()).map(Plan::channel_name);
        if found.len() == self.plan.channels() && expected.zip(&found).all(|(name, &found)| name == found) {
            return Ok(());
        }
        Err(BenchError::Answer(format!("{} has the channels {found:?}", self.plan.topic_name(topic))))
    }

    fn check_producer(
        &mut self,
        topic: usize,
        sent_ns: u64,
        producer: &Producer<'_>,
    ) -> Result<(), BenchError> {
        let wrong =
            |what: &str| BenchError::Answer(format!("{what} in the lookup of topic {topic}: {producer:?}"));
        let peer = self.plan.peer_at(producer.broadcast_address).ok_or_else(|| wrong("unknown producer"))?;
        let slot = self.plan.slot_of(peer, topic).ok_or_else(|| wrong("producer of other topics"))?;
        let announced = producer.remote_address == self.remotes[peer]
            && producer.hostname == Plan::hostname(peer)
            && (producer.tcp_port, producer.http_port) == (TCP_PORT, HTTP_PORT)
            && producer.version == VERSION;
        if !announced {
            return Err(wrong("not what was announced"));
        }
        if std::mem::replace(&mut self.seen_in[peer], self.answers) == self.answers {
            return Err(wrong("listed twice"));
        }
        match *self.presence(peer, slot) {
            Presence::Absent { since_ns } if since_ns <= sent_ns => Err(wrong("unregistered producer")),
            _ => Ok(()),
        }
    }

    fn check_missing(&mut self, topic: usize, sent_ns: u64) -> Result<(), BenchError> {
        let slot = topic / (self.plan.topic_count() / self.plan.slots());
        for peer in self.plan.peers_of(topic) {
            if self.seen_in[peer] == self.answers {
                continue;
            }
            match self.presences[peer * self.plan.slots() + slot] {
                Presence::Present { since_ns } if since_ns <= sent_ns => {
                    let address = Plan::broadcast_address(peer);
                    let text = format!("{address} is missing in the lookup of topic {topic}");
                    return Err(BenchError::Answer(text));
                }
                _ => self.absences += 1,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::plan::tests::plan;
    use super::*;

    fn producer(peer: usize) -> Value {
        json!({"remote_address": format!("r{peer}"), "hostname": Plan::hostname(peer),
            "broadcast_address": Plan::broadcast_address(peer), "tcp_port": TCP_PORT, "http_port": HTTP_PORT,
            "version": VERSION, "topology_zone": ""})
    }

    fn answer(peers: &[usize]) -> Value {
        let producers: Vec<Value> = peers.iter().map(|&peer| producer(peer)).collect();
        json!({"channels": ["channel_01", "channel_00"], "producers": producers})
    }

    /// Four nsqds with one topic each; topic 0 is on 0 and 2, both there since 10 ns.
    fn with_journal(test: impl FnOnce(&mut Journal<'_>)) {
        let plan = plan(4, 1, 2);
        let mut journal = Journal::new(&plan, (0..4).map(|peer| format!("r{peer}")).collect());
        [0, 2].into_iter().for_each(|peer| journal.set_present(peer, 0, 10));
        test(&mut journal);
    }

    fn check(journal: &mut Journal<'_>, sent_ns: u64, answer: &Value) -> bool {
        journal.check(0, sent_ns, answer.to_string().as_bytes()).is_ok()
    }

    #[test]
    fn the_answer_is_exactly_what_is_registered_in_any_order() {
        with_journal(|journal| {
            assert!(check(journal, 10, &answer(&[2, 0])));
            for wrong in [&[0][..], &[], &[0, 2, 2], &[0, 2, 1], &[0, 0], &[0, 2, 77]] {
                assert!(!check(journal, 10, &answer(wrong)), "{wrong:?}");
            }
        });
    }

    #[test]
    fn every_field_is_compared() {
        with_journal(|journal| {
            for key in ["remote_address", "hostname", "version", "tcp_port", "http_port"] {
                let mut changed = answer(&[0, 2]);
                let field = &mut changed["producers"][1][key];
                *field = if field.is_string() { json!("other") } else { json!(1) };
                assert!(!check(journal, 10, &changed), "{key}");
            }
            let mut null = answer(&[0, 2]);
            null["channels"] = Value::Null;
            assert!(!check(journal, 10, &null));
            let mut fewer = answer(&[0, 2]);
            fewer["channels"] = json!(["channel_00"]);
            assert!(!check(journal, 10, &fewer));
        });
    }

    #[test]
    fn only_a_change_since_the_request_excuses_a_difference() {
        with_journal(|journal| {
            assert!(check(journal, 9, &answer(&[0])), "registered after the request was sent");
            journal.unsettle(2, 0);
            assert!(check(journal, 20, &answer(&[0])) && check(journal, 20, &answer(&[0, 2])));
            journal.set_absent(2, 0, 30);
            assert!(check(journal, 29, &answer(&[0, 2])), "unregistered after the request was sent");
            assert!(!check(journal, 30, &answer(&[0, 2])));
            assert!(check(journal, 30, &answer(&[0])));
        });
    }
}
