//! Names of topics and channels, by number.

use crate::mix::Mix;

/// The name of a topic.
pub fn topic(mix: &Mix, number: u64) -> String {
    if is_ephemeral_topic(mix, number) { format!("t{number}#ephemeral") } else { format!("t{number}") }
}

/// The name of a channel.
pub fn channel(mix: &Mix, number: u64) -> String {
    if is_ephemeral_channel(mix, number) { format!("c{number}#ephemeral") } else { format!("c{number}") }
}

/// Whether a topic lives in memory only.
pub fn is_ephemeral_topic(mix: &Mix, number: u64) -> bool {
    mix.ephemeral_topic == 1 && number + 1 == mix.topics
}

/// Whether a channel goes with its last consumer.
pub fn is_ephemeral_channel(mix: &Mix, number: u64) -> bool {
    mix.ephemeral_channel == 1 && number + 1 == mix.channels
}
