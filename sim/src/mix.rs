//! What a seed is about: features, sizes, weights. Each is drawn by itself, so that features are absent often enough
//! for the others to dominate (swarm testing).

use crate::choice::{Draws, Purpose};

macro_rules! mix {
    ($($(#[$doc:meta])* $name:ident = $default:literal,)*) => {
        /// The features of one seed, all of them numbers so that a plan can name them in one line and the shrinker can
        /// switch them off.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Mix { $($(#[$doc])* pub $name: u64,)* }

        impl Default for Mix {
            /// The plainest world: one core, `sync`, everything as in production, no faults.
            fn default() -> Mix { Mix { $($name: $default,)* } }
        }

        impl Mix {
            /// The names of all fields.
            pub const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// A field by its name.
            pub fn field(&mut self, name: &str) -> Option<&mut u64> {
                match name { $(stringify!($name) => Some(&mut self.$name),)* _ => None }
            }
        }
    };
}

mix! {
    /// Cores of the first life.
    cores = 1,
    /// Shards of the data directory.
    shards = 1,
    /// 0 `sync`, 1 `write`, 2 `async`.
    durability = 0,
    /// Topics that there may be.
    topics = 1,
    /// Channels that each topic may have.
    channels = 1,
    /// The last topic is `#ephemeral`.
    ephemeral_topic = 0,
    /// The last channel is `#ephemeral`.
    ephemeral_channel = 0,
    /// Clients that there may be.
    clients = 4,
    /// Largest segment of the log, KiB.
    segment_kib = 64,
    /// `--mem-cache-size`, bytes.
    cache_bytes = 1_073_741_824,
    /// `--sync-every`.
    sync_messages = 2_500,
    /// `--sync-timeout`, ms.
    sync_ms = 2_000,
    /// Items of the rings between cores.
    ring_items = 1_024,
    /// `--max-msg-size`.
    message_bytes = 1_048_576,
    /// `--max-connections`, 0 for as many as there are clients.
    connections = 0,
    /// Bodies are large: several frames are under way at once.
    large = 0,
    /// Room of a socket buffer, bytes.
    socket_bytes = 65_536,
    /// Receive buffers of a core.
    chunks = 64,
    /// Longest time that an operation of the disk takes, µs.
    disk_us = 200,
    /// 0 uniform, 1 priorities that change at random points, 2 one core starved.
    policy = 0,
    /// Choices after each step, at most.
    choices = 12,
    /// Weights of steps: publishing,
    w_publish = 8,
    /// consuming,
    w_consume = 8,
    /// connecting, subscribing, leaving,
    w_connect = 4,
    /// what operators ask,
    w_operate = 1,
    /// what hostile clients do,
    w_hostile = 0,
    /// time that passes,
    w_time = 4,
    /// stalled cores,
    w_stall = 0,
    /// ends of a life by a kill,
    w_kill = 0,
    /// by a power cut,
    w_cut = 0,
    /// by a clean stop,
    w_stop = 0,
    /// by death behind the k-th operation of the disk,
    w_die = 0,
    /// steps of the wall clock,
    w_wall = 0,
    /// changes of the disk's capacity.
    w_capacity = 0,
    /// Faults per 1,000 operations: writes,
    f_write = 0,
    /// data syncs,
    f_sync = 0,
    /// reads,
    f_read = 0,
    /// opens,
    f_open = 0,
    /// creations,
    f_create = 0,
    /// renames, removals, syncs of directories, lists.
    f_name = 0,
    /// Connections that are reset, per 1,000 moves of bytes.
    f_reset = 0,
    /// Descriptors of the process, 0 for unlimited.
    descriptors = 0,
    /// Consumers ignore what they get, per cent.
    lazy = 0,
    /// The cores of a next life are drawn anew.
    regroup = 0,
    /// An nsqlookupd is configured.
    lookup = 0,
}

impl Mix {
    /// What `seed` is about.
    pub fn of(seed: u64) -> Mix {
        let mut d = Draws::new(seed, 0, Purpose::Mix);
        let calm = d.percent(10);
        let mut mix = Mix {
            cores: [1, 2, 3, 4][d.weighted(&[35, 35, 15, 15]).unwrap_or(0)],
            shards: d.within(1, 4),
            durability: d.weighted(&[60, 20, 20]).unwrap_or(0) as u64,
            topics: d.within(1, 4),
            channels: d.within(1, 4),
            ephemeral_topic: u64::from(d.percent(25)),
            ephemeral_channel: u64::from(d.percent(25)),
            clients: d.within(2, 12),
            segment_kib: *d.pick(&[64, 64, 128, 256]),
            cache_bytes: *d.pick(&[0, 4_096, 65_536, 1 << 30]),
            sync_messages: *d.pick(&[1, 10, 2_500]),
            sync_ms: *d.pick(&[10, 200, 2_000]),
            ring_items: *d.pick(&[4, 32, 1_024]),
            message_bytes: *d.pick(&[1_048_576, 2_048]),
            socket_bytes: *d.pick(&[256, 4_096, 65_536]),
            chunks: *d.pick(&[4, 64, 64]),
            disk_us: *d.pick(&[0, 200, 200, 5_000]),
            policy: d.weighted(&[60, 25, 15]).unwrap_or(0) as u64,
            lazy: *d.pick(&[0, 10, 50]),
            large: u64::from(d.percent(8)),
            ..Mix::default()
        };
        if mix.large == 1 {
            mix.segment_kib = 4_096;
            mix.socket_bytes = 1 << 20;
            mix.message_bytes = 1_048_576;
        }
        let mut weight = |often: u64, max: u64| if d.percent(often) { 1 + d.below(max) } else { 0 };
        mix.w_publish = weight(90, 16);
        mix.w_consume = weight(90, 16);
        mix.w_connect = 1 + weight(90, 6);
        mix.w_operate = weight(50, 6);
        mix.w_time = weight(80, 8);
        mix.w_stall = weight(20, 3);
        if calm {
            return mix;
        }
        mix.w_hostile = weight(30, 4);
        mix.w_kill = weight(30, 3);
        mix.w_cut = weight(30, 3);
        mix.w_stop = weight(30, 3);
        mix.w_die = weight(20, 3);
        mix.w_wall = weight(20, 2);
        mix.w_capacity = weight(15, 3);
        mix.f_write = weight(15, 20);
        mix.f_sync = weight(15, 40);
        mix.f_read = weight(25, 500);
        mix.f_open = weight(15, 100);
        mix.f_create = weight(15, 200);
        mix.f_name = weight(15, 60);
        mix.f_reset = weight(30, 20);
        mix.regroup = weight(50, 1);
        mix
    }

    /// `name=value`, of what differs from the plainest world.
    pub fn to_text(&self) -> String {
        let (mut mine, mut plain) = (self.clone(), Mix::default());
        let differing = Mix::NAMES.iter().filter_map(|name| {
            let (mine, plain) = (mine.field(name).copied()?, plain.field(name).copied()?);
            (mine != plain).then(|| format!(" {name}={mine}"))
        });
        let text: String = differing.collect();
        format!("mix{text}")
    }

    /// Reads what [`Mix::to_text`] has written; an error names the word.
    pub fn parse(text: &str) -> Result<Mix, String> {
        let mut mix = Mix::default();
        for word in text.split_whitespace().skip(1) {
            let (name, value) = word.split_once('=').ok_or_else(|| word.to_owned())?;
            let value = value.parse().map_err(|_| word.to_owned())?;
            *mix.field(name).ok_or_else(|| word.to_owned())? = value;
        }
        Ok(mix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_survives_its_text() {
        for seed in 0..50 {
            let mix = Mix::of(seed);
            assert_eq!(Mix::parse(&mix.to_text()), Ok(mix));
        }
        assert_eq!(Mix::parse("mix cores=x"), Err("cores=x".to_owned()));
        assert_eq!(Mix::parse("mix colour=3"), Err("colour=3".to_owned()));
    }
}
