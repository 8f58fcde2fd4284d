//! The numbers of the rules, as the operator may set them, for all or for what a pattern names.

/// A number that the operator may set.
#[derive(Clone, Copy, Debug)]
pub struct Knob {
    /// Its key under `[attention]`.
    pub key: &'static str,
    /// Its value unless set.
    pub default: f64,
    /// What it is, with its unit.
    pub about: &'static str,
}

macro_rules! thresholds {
    ($($key:ident = $default:expr, $about:literal;)*) => {
        /// The numbers of all rules.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Thresholds { $(#[doc = $about] pub $key: f64,)* }

        /// All numbers.
        pub const KNOBS: &[Knob] =
            &[$(Knob { key: stringify!($key), default: $default, about: $about },)*];

        impl Default for Thresholds {
            fn default() -> Self {
                Thresholds { $($key: $default,)* }
            }
        }

        impl Thresholds {
            /// Sets a number by its key; false if there is no such key.
            pub fn set(&mut self, key: &str, value: f64) -> bool {
                match key {
                    $(stringify!($key) => self.$key = value,)*
                    _ => return false,
                }
                true
            }

            /// A number by its key.
            pub fn get(&self, key: &str) -> Option<f64> {
                match key {
                    $(stringify!($key) => Some(self.$key),)*
                    _ => None,
                }
            }
        }
    };
}

thresholds! {
    unreachable_polls = 2.0, "polls in a row that an nsqd did not answer";
    vanished_hold_s = 60.0, "seconds that no nsqlookupd lists a node";
    lookupd_polls = 2.0, "polls in a row that an nsqlookupd did not answer";
    no_consumers_critical = 10_000.0, "messages without a consumer that are critical";
    no_consumers_hold_s = 60.0, "seconds without a consumer";
    node_without_consumers_hold_s = 150.0, "seconds that one node has no consumer while others have";
    stalled_hold_s = 150.0, "seconds in which nothing leaves";
    distributing_stuck_hold_s = 60.0, "seconds that messages stay in a topic with channels";
    growing_min = 1_000.0, "messages below which growth is not told";
    growing_step = 500.0, "messages that it must grow by in 30 samples";
    growing_share = 0.10, "share that it must grow by in 30 samples";
    growing_critical = 100_000.0, "messages of a growing channel that are critical";
    old_warning_s = 300.0, "age in seconds of the oldest message that is a warning";
    old_critical_s = 900.0, "age in seconds of the oldest message that is critical";
    old_messages_hold_s = 60.0, "seconds that the oldest message is too old";
    redelivered_warning_share = 0.05, "share of deliveries that come back that is a warning";
    redelivered_warning_count = 20.0, "messages that came back that are a warning";
    redelivered_critical_share = 0.50, "share of deliveries that come back that is critical";
    redelivered_critical_count = 100.0, "messages that came back that are critical";
    topic_without_channel_hold_s = 60.0, "seconds that a topic holds messages without a channel";
    paused_warning_s = 900.0, "seconds paused that are a warning";
    deferred_pile = 100_000.0, "deferred messages that are a pile";
    deferred_pile_hold_s = 60.0, "seconds of a pile of deferred messages";
    uneven_share = 0.80, "share of a channel's messages on one node";
    uneven_min = 10_000.0, "messages below which a channel is never uneven";
    uneven_hold_s = 300.0, "seconds of being uneven";
    lookupds_disagree_hold_s = 60.0, "seconds that the nsqlookupds tell different things";
    restarted_s = 900.0, "seconds after a start in which it is told";
    restarted_times = 3.0, "starts in an hour that are critical";
    commit_slow_ms = 100.0, "p99 in milliseconds of a commit that is slow";
    commit_slow_hold_s = 300.0, "seconds of slow commits";
    disk_warning_share = 0.20, "free share of the disk that is a warning";
    disk_critical_share = 0.10, "free share of the disk that is critical";
    disk_hold_s = 60.0, "seconds of a full disk";
    certificate_days = 14.0, "days before the end of a certificate";
    clock_skew_s = 5.0, "seconds that a clock may be off";
}

/// Numbers for what a pattern names.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// `topic/channel`, a topic or a node, where `*` stands for any text.
    pub pattern: String,
    /// Keys and values.
    pub numbers: Vec<(String, f64)>,
    /// Rules by name that say nothing about it; `*` is all of them.
    pub mute: Vec<String>,
}

/// What the operator set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// For all.
    pub thresholds: Thresholds,
    /// For some; all that match apply, in order.
    pub overrides: Vec<Override>,
}

impl Policy {
    /// The numbers for a subject.
    pub fn thresholds(&self, subject: &str) -> std::borrow::Cow<'_, Thresholds> {
        let mut own = std::borrow::Cow::Borrowed(&self.thresholds);
        for one in
            self.overrides.iter().filter(|one| !one.numbers.is_empty() && matches(&one.pattern, subject))
        {
            for (key, value) in &one.numbers {
                own.to_mut().set(key, *value);
            }
        }
        own
    }

    /// Whether a rule says nothing about a subject.
    pub fn muted(&self, rule: &str, subject: &str) -> bool {
        self.overrides.iter().any(|one| {
            one.mute.iter().any(|muted| muted == rule || muted == "*") && matches(&one.pattern, subject)
        })
    }
}

/// Whether the text is what the pattern says; `*` stands for any text, also none.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, wanted) in [
            ("*/transcode", "video/transcode", true),
            ("*/transcode", "video/transcoder", false),
            ("video/*", "video/", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("ab*ba", "aba", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn overrides_apply_in_order_to_what_they_match() {
        let policy = Policy {
            overrides: vec![
                Override {
                    pattern: "*/slow".into(),
                    numbers: vec![("stalled_hold_s".into(), 600.0)],
                    mute: vec![],
                },
                Override { pattern: "batch/*".into(), numbers: vec![], mute: vec!["growing".into()] },
            ],
            ..Policy::default()
        };
        assert_eq!(policy.thresholds("video/slow").stalled_hold_s, 600.0);
        assert_eq!(policy.thresholds("video/quick").stalled_hold_s, 150.0);
        assert!(policy.muted("growing", "batch/x") && !policy.muted("stalled", "batch/x"));
    }

    #[test]
    fn each_knob_is_reached_by_its_key() {
        let mut thresholds = Thresholds::default();
        for knob in KNOBS {
            assert_eq!(thresholds.get(knob.key), Some(knob.default));
            assert!(thresholds.set(knob.key, -1.0));
            assert_eq!(thresholds.get(knob.key), Some(-1.0));
        }
        assert!(!thresholds.set("no_such", 1.0));
    }
}
