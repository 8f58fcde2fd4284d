//! The rules, as a table.

use super::facts::{ChannelFacts, Facts};
use super::finding::{Level, Subject};
use super::thresholds::{Policy, Thresholds};
use crate::number::{count, duration, percent, plural, rate};

/// A rule.
pub struct Rule {
    /// Its number in the documentation.
    pub number: u8,
    /// Its stable name.
    pub name: &'static str,
    /// What it says, in words; the numbers stand in the thresholds named after it.
    pub about: &'static str,
    /// Thresholds that it looks at.
    pub knobs: &'static [&'static str],
    /// How long its condition must hold, seconds.
    pub hold_s: fn(&Thresholds) -> f64,
    /// What it looks at, for "1,000 topics checked".
    pub looks_at: &'static str,
    /// Rules that hide it on the same subject, being its cause.
    pub hidden_by: &'static [&'static str],
    /// The condition.
    pub check: fn(&Facts<'_>, &mut Report<'_>),
}

/// What a rule says of one subject at one tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Of what.
    pub subject: Subject,
    /// How bad.
    pub level: Level,
    /// Messages at stake.
    pub stake: u64,
    /// Share by which it grew.
    pub growth: f32,
    /// The figures of the sentence.
    pub figures: Vec<(&'static str, f64)>,
    /// One sentence.
    pub sentence: String,
}

/// Where a rule reports. Muted subjects never get in.
pub struct Report<'a> {
    rule: &'static str,
    policy: &'a Policy,
    held_s: &'a dyn Fn(&Subject) -> f64,
    /// What it claims.
    pub claims: Vec<Claim>,
    /// Of what it cannot tell.
    pub unknown: Vec<Subject>,
    /// How many it looked at.
    pub looked_at: usize,
}

impl<'a> Report<'a> {
    /// An empty report; `held_s` tells how long the rule's condition has held for a subject, in seconds.
    pub fn new(rule: &'static str, policy: &'a Policy, held_s: &'a dyn Fn(&Subject) -> f64) -> Self {
        Report { rule, policy, held_s, claims: Vec::new(), unknown: Vec::new(), looked_at: 0 }
    }

    /// The numbers for a subject.
    fn thresholds(&self, subject: &Subject) -> std::borrow::Cow<'a, Thresholds> {
        if self.policy.overrides.is_empty() {
            return std::borrow::Cow::Borrowed(&self.policy.thresholds);
        }
        self.policy.thresholds(&subject.text())
    }

    fn claim(
        &mut self,
        subject: Subject,
        level: Level,
        stake: u64,
        figures: &[(&'static str, f64)],
        sentence: String,
    ) {
        self.claim_growing(subject, level, stake, 0.0, figures, sentence);
    }

    fn claim_growing(
        &mut self,
        subject: Subject,
        level: Level,
        stake: u64,
        growth: f32,
        figures: &[(&'static str, f64)],
        sentence: String,
    ) {
        if self.policy.overrides.is_empty() || !self.policy.muted(self.rule, &subject.text()) {
            let figures = figures.to_vec();
            self.claims.push(Claim { subject, level, stake, growth, figures, sentence });
        }
    }
}

fn of(channel: &ChannelFacts<'_>) -> Subject {
    Subject::Channel(channel.topic.to_owned(), channel.channel.to_owned())
}

fn node(name: &str) -> Subject {
    Subject::Node(name.to_owned())
}

fn topic(name: &str) -> Subject {
    Subject::Topic(name.to_owned())
}

fn worse(critical: bool) -> Level {
    if critical { Level::Critical } else { Level::Warning }
}

fn per_second(flow: Option<f32>) -> String {
    flow.map_or_else(|| "an unknown rate".to_owned(), |flow| format!("{}/s", rate(flow)))
}

/// No rule holds back: at once.
fn at_once(_: &Thresholds) -> f64 {
    0.0
}

/// All rules, the causes before their effects.
pub static RULES: [Rule; 24] = [
    Rule {
        number: 1,
        name: "node-unreachable",
        about: "an nsqd did not answer several polls in a row",
        knobs: &["unreachable_polls"],
        hold_s: at_once,
        looks_at: "node",
        hidden_by: &[],
        check: |facts, report| {
            for one in facts.nodes.iter().filter(|one| one.listed) {
                report.looked_at += 1;
                let subject = node(one.name);
                if f64::from(one.failures) < report.thresholds(&subject).unreachable_polls {
                    continue;
                }
                let why = one.error.unwrap_or("no answer");
                let held = match one.held {
                    0 => "no messages when last seen".to_owned(),
                    held => format!("{} when last seen", plural(held, "message")),
                };
                report.claim(
                    subject,
                    Level::Critical,
                    one.held,
                    &[("failures", one.failures.into()), ("held", one.held as f64)],
                    format!("unreachable: {why}; {held}"),
                );
            }
        },
    },
    Rule {
        number: 2,
        name: "node-unhealthy",
        about: "an nsqd says itself that it is not well",
        knobs: &[],
        hold_s: at_once,
        looks_at: "node",
        hidden_by: &["node-unreachable"],
        check: |facts, report| {
            for one in facts.nodes.iter().filter(|one| one.failures == 0) {
                report.looked_at += 1;
                if let Some(text) = one.ill {
                    report.claim(node(one.name), Level::Critical, one.held, &[], format!("says: {text}"));
                }
            }
        },
    },
    Rule {
        number: 3,
        name: "node-vanished",
        about: "a node was listed by an nsqlookupd within the last hour, and is no longer",
        knobs: &["vanished_hold_s"],
        hold_s: |t| t.vanished_hold_s,
        looks_at: "node",
        hidden_by: &[],
        check: |facts, report| {
            // While no nsqlookupd answers, nobody can tell who is gone.
            let blind = !facts.lookupds.is_empty() && facts.lookupds.iter().all(|one| one.failures > 0);
            for one in &facts.nodes {
                report.looked_at += 1;
                if one.listed {
                    continue;
                }
                if blind {
                    report.unknown.push(node(one.name));
                    continue;
                }
                let (level, held) = match one.held {
                    0 => (Level::Notice, "it held no messages".to_owned()),
                    held => (Level::Critical, format!("it held {}", plural(held, "message"))),
                };
                report.claim(
                    node(one.name),
                    level,
                    one.held,
                    &[("held", one.held as f64)],
                    format!("is no longer listed by any nsqlookupd; {held} when last seen"),
                );
            }
        },
    },
    Rule {
        number: 4,
        name: "refusing",
        about: "an nsqd refuses to take messages; told by nsqds that report it",
        knobs: &[],
        hold_s: at_once,
        looks_at: "node",
        hidden_by: &["node-unreachable"],
        check: |facts, report| {
            for one in &facts.nodes {
                report.looked_at += 1;
                if let Some(why) = one.refusing {
                    report.claim(
                        node(one.name),
                        Level::Critical,
                        one.held,
                        &[],
                        format!("refuses messages: {why}"),
                    );
                }
            }
        },
    },
    Rule {
        number: 5,
        name: "lookupd-down",
        about: "an nsqlookupd did not answer several polls in a row; critical if none answers",
        knobs: &["lookupd_polls"],
        hold_s: at_once,
        looks_at: "nsqlookupd",
        hidden_by: &[],
        check: |facts, report| {
            let down = |one: &super::facts::LookupdFacts<'_>, t: &Thresholds| {
                f64::from(one.failures) >= t.lookupd_polls
            };
            let all = facts.lookupds.iter().all(|one| down(one, &report.policy.thresholds));
            for one in &facts.lookupds {
                report.looked_at += 1;
                let subject = Subject::Lookupd(one.name.to_owned());
                if down(one, &report.thresholds(&subject)) {
                    let why = one.error.unwrap_or("no answer");
                    let rest = if all {
                        "; no nsqlookupd is left, so new nodes and topics are not found"
                    } else {
                        ""
                    };
                    report.claim(
                        subject,
                        worse(all),
                        0,
                        &[("failures", one.failures.into())],
                        format!("does not answer: {why}{rest}"),
                    );
                }
            }
        },
    },
    Rule {
        number: 6,
        name: "no-consumers",
        about: "a channel that is not paused holds messages and has no consumer; critical when there are many or it grows",
        knobs: &["no_consumers_critical", "no_consumers_hold_s"],
        hold_s: |t| t.no_consumers_hold_s,
        looks_at: "channel",
        hidden_by: &[],
        check: |facts, report| {
            for one in facts.channels.iter().filter(|one| !one.ephemeral()) {
                report.looked_at += 1;
                if one.consumers.is_none() {
                    report.unknown.push(of(one));
                    continue;
                }
                let held = one.depth.saturating_add(one.deferred);
                if one.consumers != Some(0) || one.paused || held == 0 {
                    continue;
                }
                let subject = of(one);
                let steady = one.trend.is_some_and(|trend| trend.steady);
                let critical = steady || held as f64 >= report.thresholds(&subject).no_consumers_critical;
                let coming = match one.incoming {
                    Some(flow) if flow > 0.0 => format!(", {}/s coming in", rate(flow)),
                    _ => String::new(),
                };
                report.claim_growing(
                    subject,
                    worse(critical),
                    held,
                    growth(one),
                    &[("depth", one.depth as f64), ("deferred", one.deferred as f64)],
                    format!("no consumers; {} waiting{coming}", count(held)),
                );
            }
        },
    },
    Rule {
        number: 7,
        name: "node-without-consumers",
        about: "a channel has messages on a node where nobody consumes it, while it has consumers on another",
        knobs: &["node_without_consumers_hold_s"],
        hold_s: |t| t.node_without_consumers_hold_s,
        looks_at: "channel",
        hidden_by: &[],
        check: |facts, report| {
            for one in &facts.channels {
                report.looked_at += 1;
                if one.paused || one.consumers.is_none_or(|consumers| consumers == 0) {
                    continue;
                }
                let alone: Vec<_> = one
                    .nodes
                    .iter()
                    .filter(|(_, depth, consumers)| *depth > 0 && *consumers == Some(0))
                    .collect();
                let Some((first, ..)) = alone.first() else { continue };
                let depth: u64 = alone.iter().fold(0, |sum, (_, depth, _)| sum.saturating_add(*depth));
                let more =
                    if alone.len() > 1 { format!(" and {} more", alone.len() - 1) } else { String::new() };
                report.claim(
                    of(one),
                    Level::Critical,
                    depth,
                    &[("depth", depth as f64), ("nodes", alone.len() as f64)],
                    format!(
                        "{} on {first}{more} that nobody consumes; its consumers are connected elsewhere",
                        plural(depth, "message")
                    ),
                );
            }
        },
    },
    Rule {
        number: 8,
        name: "stalled",
        about: "a channel that is not paused has messages and consumers, and nothing leaves it",
        knobs: &["stalled_hold_s"],
        hold_s: |t| t.stalled_hold_s,
        looks_at: "channel",
        hidden_by: &[],
        check: |facts, report| {
            for one in facts.channels.iter().filter(|one| !one.ephemeral()) {
                report.looked_at += 1;
                let (Some(consumers), Some(out)) = (one.consumers, one.outgoing) else {
                    report.unknown.push(of(one));
                    continue;
                };
                if consumers == 0 || one.paused || one.depth == 0 || out > 0.0 {
                    continue;
                }
                let reason = match (&one.clients, one.redo) {
                    (_, Some(redo)) if redo > 0.0 => "everything comes back",
                    (Some(clients), _) if clients.ready == 0 => "they are backing off (RDY 0)",
                    (Some(clients), _) if one.in_flight >= clients.ready => "all slots are full",
                    (None, _) if one.in_flight == 0 => "nothing is in flight",
                    (None, _) => "what is in flight does not finish",
                    _ => "they take nothing",
                };
                let redo = one.redo.unwrap_or(0.0);
                report.claim_growing(
                    of(one),
                    Level::Critical,
                    one.depth.saturating_add(one.in_flight),
                    growth(one),
                    &[
                        ("depth", one.depth as f64),
                        ("consumers", consumers as f64),
                        ("redo_per_s", redo.into()),
                    ],
                    format!(
                        "nothing leaves: {} waiting, {}; {reason}",
                        count(one.depth),
                        plural(consumers, "consumer")
                    ),
                );
            }
        },
    },
    Rule {
        number: 9,
        name: "distributing-stuck",
        about: "messages stay in a topic that has channels and is not paused",
        knobs: &["distributing_stuck_hold_s"],
        hold_s: |t| t.distributing_stuck_hold_s,
        looks_at: "topic",
        hidden_by: &[],
        check: |facts, report| {
            for one in &facts.topics {
                report.looked_at += 1;
                if one.depth > 0 && one.channels > 0 && !one.paused && !one.falling {
                    report.claim(
                        topic(one.name),
                        Level::Critical,
                        one.depth,
                        &[("depth", one.depth as f64)],
                        format!(
                            "{} stay in the topic and do not reach its channels",
                            plural(one.depth, "message")
                        ),
                    );
                }
            }
        },
    },
    Rule {
        number: 10,
        name: "growing",
        about: "a channel with consumers grows steadily over 30 samples",
        knobs: &["growing_min", "growing_step", "growing_share", "growing_critical"],
        hold_s: at_once,
        looks_at: "channel",
        hidden_by: &["no-consumers", "stalled"],
        check: |facts, report| {
            for one in facts.channels.iter().filter(|one| !one.ephemeral()) {
                report.looked_at += 1;
                let Some(trend) = one.trend else {
                    report.unknown.push(of(one));
                    continue;
                };
                let subject = of(one);
                let t = report.thresholds(&subject);
                let (now, step) = (f64::from(trend.now), f64::from(trend.now - trend.before));
                let needed = t.growing_step.max(t.growing_share * f64::from(trend.before));
                if one.paused || !trend.steady || now < t.growing_min || step < needed {
                    continue;
                }
                let old = one.oldest_s.is_some_and(|age| age >= t.old_critical_s);
                let per_s =
                    trend.grown() / (facts.interval_s.max(0.001) * (super::trend::SAMPLES as f32 - 3.0));
                let consumers =
                    one.consumers.map_or_else(|| "consumers".to_owned(), |n| plural(n, "consumer"));
                let take = if one.consumers == Some(1) { "takes" } else { "take" };
                report.claim_growing(
                    subject,
                    worse(now >= t.growing_critical || old),
                    one.depth,
                    growth(one),
                    &[
                        ("depth", one.depth as f64),
                        ("per_s", per_s.into()),
                        ("out_per_s", one.outgoing.unwrap_or(0.0).into()),
                    ],
                    format!(
                        "{} waiting, +{}/s; {consumers} {take} {}",
                        count(one.depth),
                        rate(per_s),
                        per_second(one.outgoing)
                    ),
                );
            }
        },
    },
    Rule {
        number: 11,
        name: "old-messages",
        about: "the oldest message of a channel is old; told by nsqds that report it",
        knobs: &["old_warning_s", "old_critical_s", "old_messages_hold_s"],
        hold_s: |t| t.old_messages_hold_s,
        looks_at: "channel",
        hidden_by: &["no-consumers", "stalled"],
        check: |facts, report| {
            for one in &facts.channels {
                report.looked_at += 1;
                let Some(age) = one.oldest_s else {
                    report.unknown.push(of(one));
                    continue;
                };
                let subject = of(one);
                let t = report.thresholds(&subject);
                if age >= t.old_warning_s && !one.paused {
                    let text = format!(
                        "the oldest message is {} old; {} waiting",
                        duration(age as u64),
                        count(one.depth)
                    );
                    report.claim(
                        subject,
                        worse(age >= t.old_critical_s),
                        one.depth,
                        &[("oldest_s", age)],
                        text,
                    );
                }
            }
        },
    },
    Rule {
        number: 12,
        name: "redelivered",
        about: "a good part of what a channel delivers comes back",
        knobs: &[
            "redelivered_warning_share",
            "redelivered_warning_count",
            "redelivered_critical_share",
            "redelivered_critical_count",
        ],
        hold_s: at_once,
        looks_at: "channel",
        hidden_by: &["stalled"],
        check: |facts, report| {
            for one in &facts.channels {
                report.looked_at += 1;
                let Some((out, redo)) = one.means else {
                    report.unknown.push(of(one));
                    continue;
                };
                let span_s = facts.interval_s * super::trend::SAMPLES as f32;
                let came_back = f64::from(redo * span_s);
                if redo <= 0.0 {
                    continue;
                }
                let share = redo / (out + redo);
                let subject = of(one);
                let t = report.thresholds(&subject);
                let reaches =
                    |least_share: f64, least: f64| f64::from(share) >= least_share && came_back >= least;
                if !reaches(t.redelivered_warning_share, t.redelivered_warning_count) {
                    continue;
                }
                let critical = reaches(t.redelivered_critical_share, t.redelivered_critical_count);
                let back = came_back.round() as u64;
                let most = worst_client(one);
                report.claim(
                    subject,
                    worse(critical),
                    back,
                    &[("share", share.into()), ("count", came_back)],
                    format!(
                        "{} redelivered ({} in {}){most}",
                        percent(share),
                        count(back),
                        duration(span_s as u64)
                    ),
                );
            }
        },
    },
    Rule {
        number: 13,
        name: "timing-out",
        about: "messages of a channel time out in each of five minutes",
        knobs: &[],
        hold_s: at_once,
        looks_at: "channel",
        hidden_by: &["stalled", "redelivered"],
        check: |facts, report| {
            for one in &facts.channels {
                report.looked_at += 1;
                if one.timing_out {
                    let most = worst_client(one);
                    let text = format!("messages time out without an answer{most}");
                    report.claim(
                        of(one),
                        Level::Warning,
                        one.in_flight,
                        &[("in_flight", one.in_flight as f64)],
                        text,
                    );
                }
            }
        },
    },
    Rule {
        number: 14,
        name: "topic-without-channel",
        about: "a topic holds messages and has no channel that would take them",
        knobs: &["topic_without_channel_hold_s"],
        hold_s: |t| t.topic_without_channel_hold_s,
        looks_at: "topic",
        hidden_by: &[],
        check: |facts, report| {
            for one in &facts.topics {
                report.looked_at += 1;
                if one.channels == 0 && one.depth > 0 {
                    report.claim(
                        topic(one.name),
                        Level::Warning,
                        one.depth,
                        &[("depth", one.depth as f64)],
                        format!("{} and no channel to take them", plural(one.depth, "message")),
                    );
                }
            }
        },
    },
    Rule {
        number: 15,
        name: "paused",
        about: "something paused holds messages; a warning when it grows or is paused for long, else a notice",
        knobs: &["paused_warning_s"],
        hold_s: at_once,
        looks_at: "channel and topic",
        hidden_by: &[],
        check: |facts, report| {
            let channels = facts.channels.iter().map(|one| {
                let steady = one.trend.is_some_and(|trend| trend.steady);
                (of(one), one.paused, one.depth.saturating_add(one.deferred), steady)
            });
            let topics = facts.topics.iter().map(|one| (topic(one.name), one.paused, one.depth, false));
            for (subject, paused, depth, steady) in channels.chain(topics) {
                report.looked_at += 1;
                if !paused || depth == 0 {
                    continue;
                }
                let long = (report.held_s)(&subject) >= report.thresholds(&subject).paused_warning_s;
                let level = if long || steady { Level::Warning } else { Level::Notice };
                let grows = if steady { " and growing" } else { "" };
                report.claim(
                    subject,
                    level,
                    depth,
                    &[("depth", depth as f64)],
                    format!("paused, {} waiting{grows}", count(depth)),
                );
            }
        },
    },
    Rule {
        number: 16,
        name: "dead-letters",
        about: "a topic whose name ends in .dlq took messages",
        knobs: &[],
        hold_s: at_once,
        looks_at: "topic",
        hidden_by: &[],
        check: |facts, report| {
            for one in facts.topics.iter().filter(|one| one.name.ends_with(".dlq")) {
                report.looked_at += 1;
                if let Some(gained) = one.gained.filter(|gained| *gained > 0.0) {
                    let messages = (gained.round() as u64).max(1);
                    report.claim(
                        topic(one.name),
                        Level::Warning,
                        messages,
                        &[("gained", gained.into())],
                        format!("took {} in the last 15 minutes", plural(messages, "dead letter")),
                    );
                }
            }
        },
    },
    Rule {
        number: 17,
        name: "deferred-pile",
        about: "very many messages of a channel are deferred, which NSQ keeps in memory",
        knobs: &["deferred_pile", "deferred_pile_hold_s"],
        hold_s: |t| t.deferred_pile_hold_s,
        looks_at: "channel",
        hidden_by: &[],
        check: |facts, report| {
            for one in &facts.channels {
                report.looked_at += 1;
                let subject = of(one);
                if one.deferred as f64 >= report.thresholds(&subject).deferred_pile {
                    report.claim(
                        subject,
                        Level::Warning,
                        one.deferred,
                        &[("deferred", one.deferred as f64)],
                        format!("{} deferred", plural(one.deferred, "message")),
                    );
                }
            }
        },
    },
    Rule {
        number: 18,
        name: "uneven",
        about: "of three nodes or more, one holds most messages of a channel",
        knobs: &["uneven_share", "uneven_min", "uneven_hold_s"],
        hold_s: |t| t.uneven_hold_s,
        looks_at: "channel",
        hidden_by: &["node-without-consumers"],
        check: |facts, report| {
            for one in facts.channels.iter().filter(|one| one.nodes.len() >= 3) {
                report.looked_at += 1;
                let Some((name, most, _)) = one.nodes.iter().max_by_key(|(_, depth, _)| *depth) else {
                    continue;
                };
                let subject = of(one);
                let t = report.thresholds(&subject);
                let share = *most as f64 / (one.depth.max(1)) as f64;
                if one.depth as f64 >= t.uneven_min && share >= t.uneven_share {
                    let text =
                        format!("{} of {} waiting are on {name}", percent(share as f32), count(one.depth));
                    report.claim(subject, Level::Notice, one.depth, &[("share", share)], text);
                }
            }
        },
    },
    Rule {
        number: 19,
        name: "lookupds-disagree",
        about: "a node is not listed by every nsqlookupd that answers, or not with the same topics",
        knobs: &["lookupds_disagree_hold_s"],
        hold_s: |t| t.lookupds_disagree_hold_s,
        looks_at: "node",
        hidden_by: &["node-vanished"],
        check: |facts, report| {
            for one in facts.nodes.iter().filter(|one| one.listed) {
                report.looked_at += 1;
                let Some((by, answered)) = one.listed_by else { continue };
                let text = if by < answered {
                    format!(
                        "listed by {by} of {answered} nsqlookupds: consumers that ask the others do not find it"
                    )
                } else if let Some(name) = one.disputed_topic {
                    format!("not every nsqlookupd lists it for the topic {name}")
                } else {
                    continue;
                };
                report.claim(
                    node(one.name),
                    Level::Warning,
                    0,
                    &[("listed_by", by as f64), ("of", answered as f64)],
                    text,
                );
            }
        },
    },
    Rule {
        number: 20,
        name: "restarted",
        about: "an nsqd was started a short while ago; critical when it was several times in an hour",
        knobs: &["restarted_s", "restarted_times"],
        hold_s: at_once,
        looks_at: "node",
        hidden_by: &["node-unreachable"],
        check: |facts, report| {
            for one in &facts.nodes {
                report.looked_at += 1;
                let subject = node(one.name);
                let t = report.thresholds(&subject);
                // A node that is new to us was not restarted, however young it is.
                let Some(up) = one.up_s.filter(|_| one.starts > 0) else { continue };
                let often = f64::from(one.starts) >= t.restarted_times;
                if (up as f64) < t.restarted_s || often {
                    let level = if often { Level::Critical } else { Level::Notice };
                    let times = if one.starts > 1 {
                        format!(", {} times within the hour", one.starts)
                    } else {
                        String::new()
                    };
                    report.claim(
                        subject,
                        level,
                        0,
                        &[("up_s", up as f64), ("starts", one.starts.into())],
                        format!("was restarted {} ago{times}", duration(up)),
                    );
                }
            }
        },
    },
    Rule {
        number: 21,
        name: "commit-slow",
        about: "an nsqd needs long to write messages to its log; told by nsqds that report it",
        knobs: &["commit_slow_ms", "commit_slow_hold_s"],
        hold_s: |t| t.commit_slow_hold_s,
        looks_at: "node",
        hidden_by: &[],
        check: |facts, report| {
            for one in &facts.nodes {
                report.looked_at += 1;
                let subject = node(one.name);
                let slow = report.thresholds(&subject).commit_slow_ms;
                if let Some(ms) = one.commit_p99_ms.filter(|ms| *ms >= slow) {
                    report.claim(
                        subject,
                        Level::Warning,
                        0,
                        &[("p99_ms", ms)],
                        format!("1 commit in 100 takes {ms:.0} ms or more"),
                    );
                }
            }
        },
    },
    Rule {
        number: 22,
        name: "disk",
        about: "little of an nsqd's disk is free; told by nsqds that report it",
        knobs: &["disk_warning_share", "disk_critical_share", "disk_hold_s"],
        hold_s: |t| t.disk_hold_s,
        looks_at: "node",
        hidden_by: &["refusing"],
        check: |facts, report| {
            for one in &facts.nodes {
                report.looked_at += 1;
                let subject = node(one.name);
                let t = report.thresholds(&subject);
                if let Some(free) = one.disk_free.filter(|free| *free < t.disk_warning_share) {
                    let level = worse(free < t.disk_critical_share);
                    report.claim(
                        subject,
                        level,
                        one.held,
                        &[("free", free)],
                        format!("{} of its disk is free", percent(free as f32)),
                    );
                }
            }
        },
    },
    Rule {
        number: 23,
        name: "certificate-version-clock",
        about: "a certificate ends soon, a version is older than another's, or a clock is off",
        knobs: &["certificate_days", "clock_skew_s"],
        hold_s: at_once,
        looks_at: "node",
        hidden_by: &["node-unreachable"],
        check: |facts, report| {
            for one in facts.nodes.iter().filter(|one| one.listed) {
                report.looked_at += 1;
                let subject = node(one.name);
                let t = report.thresholds(&subject);
                if let Some(days) = one.certificate_days.filter(|days| *days < t.certificate_days) {
                    let text = format!("its certificate ends in {days:.0} days");
                    report.claim(subject, Level::Warning, 0, &[("certificate_days", days)], text);
                } else if let Some(version) = one.out_of_date {
                    report.claim(
                        subject,
                        Level::Notice,
                        0,
                        &[],
                        format!("runs {version}, which is older than another node's"),
                    );
                } else if let Some(skew) = one.clock_skew_s.filter(|skew| skew.abs() > t.clock_skew_s) {
                    let side = if skew > 0.0 { "ahead" } else { "behind" };
                    let text = format!("its clock is {} {side} of nsqadmin's", duration(skew.abs() as u64));
                    report.claim(subject, Level::Notice, 0, &[("clock_skew_s", skew)], text);
                }
            }
        },
    },
    Rule {
        number: 24,
        name: "nsqadmin",
        about: "nsqadmin itself is slow, short of memory for history, or cannot notify",
        knobs: &[],
        hold_s: at_once,
        looks_at: "nsqadmin",
        hidden_by: &[],
        check: |facts, report| {
            report.looked_at += 1;
            let (admin, mut said) = (&facts.admin, Vec::new());
            if admin.poll_s > facts.interval_s && facts.interval_s > 0.0 {
                said.push(format!("a poll takes {:.1} s, more than its interval", admin.poll_s));
            }
            if admin.history_refused > 0 {
                said.push(format!(
                    "{} series have no history: raise --history-memory",
                    count(admin.history_refused)
                ));
            }
            if admin.hook_failures > 0 {
                said.push(format!("{} failed", plural(admin.hook_failures, "notification")));
            }
            if !said.is_empty() {
                let figures = [
                    ("poll_s", f64::from(admin.poll_s)),
                    ("history_refused", admin.history_refused as f64),
                    ("hook_failures", admin.hook_failures as f64),
                ];
                report.claim(Subject::Admin, Level::Notice, 0, &figures, said.join("; "));
            }
        },
    },
];

/// The consumers that leave most messages unanswered, as the end of a sentence.
fn worst_client(channel: &ChannelFacts<'_>) -> String {
    let Some(clients) = channel.clients.as_ref().filter(|clients| !clients.unanswered.is_empty()) else {
        return String::new();
    };
    let names: Vec<&str> = clients.unanswered.iter().take(3).map(|(name, _)| name.as_str()).collect();
    format!(", most by {}", names.join(", "))
}

fn growth(channel: &ChannelFacts<'_>) -> f32 {
    channel.trend.map_or(0.0, |trend| trend.grown() / trend.before.max(1.0)).min(100.0)
}

/// A rule by its name.
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}
