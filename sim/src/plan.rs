//! The steps of a world, and their text: one line each, `041 c3 pub 1 120`.

use std::fmt;

use crate::choice::{Draws, Purpose};
use crate::mix::Mix;

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A client, by number.
    Client(u64),
    /// An operator.
    Operator,
    /// The world.
    World,
}

macro_rules! verbs {
    ($($variant:ident $name:literal: $what:literal,)*) => {
        /// What is done. The operands are numbers, brought into range when the step is done, so that smaller ones are
        /// always possible.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Verb { $(#[doc = $what] $variant,)* }

        impl Verb {
            /// All of them.
            pub const ALL: &[Verb] = &[$(Verb::$variant,)*];

            /// Its word.
            pub fn name(self) -> &'static str {
                match self { $(Verb::$variant => $name,)* }
            }
        }
    };
}

verbs! {
    Connect "connect": "Connect to a core.",
    Identify "identify": "IDENTIFY: message timeout (ms), heartbeat interval (ms), sample rate.",
    Pub "pub": "PUB: topic, body's size.",
    Mpub "mpub": "MPUB: topic, number of messages, size of each.",
    Dpub "dpub": "DPUB: topic, delay (ms), body's size.",
    Sub "sub": "SUB: topic, channel.",
    Rdy "rdy": "RDY: count.",
    Fin "fin": "FIN: which message in hand, how many from there on.",
    Req "req": "REQ: which message in hand, delay (ms).",
    Touch "touch": "TOUCH: which message in hand.",
    Stale "stale": "FIN of a message that is not in hand any more: which.",
    Cls "cls": "CLS.",
    Nop "nop": "NOP.",
    Raw "raw": "Bytes that are no command: which of them.",
    Pace "pace": "How many bytes are read at a time from now on; 0 for none.",
    End "end": "Say that no more will be sent.",
    Reset "reset": "Reset the connection.",
    Close "close": "Close the connection.",
    CreateTopic "create-topic": "Create: topic.",
    CreateChannel "create-channel": "Create: topic, channel.",
    DeleteTopic "delete-topic": "Delete: topic.",
    DeleteChannel "delete-channel": "Delete: topic, channel.",
    EmptyTopic "empty-topic": "Empty: topic.",
    EmptyChannel "empty-channel": "Empty: topic, channel.",
    PauseTopic "pause-topic": "Pause (1) or unpause (0): topic, which.",
    PauseChannel "pause-channel": "Pause (1) or unpause (0): topic, channel, which.",
    Publish "publish": "Publish by HTTP: topic, messages, size, delay (ms).",
    Stats "stats": "Ask for statistics.",
    Time "time": "Time passes: µs.",
    Stall "stall": "A core rests: core, µs.",
    Wall "wall": "The wall clock is put forward (1) or back (0): s, which.",
    Kill "kill": "The process is killed, and starts again.",
    Cut "cut": "The power is cut, and the process starts again.",
    Stop "stop": "The process stops and starts again.",
    Die "die": "The process dies behind its next operations of the disk: how many.",
    Capacity "capacity": "The disk has so much room more than is used: KiB; 0 for no bound.",
}

/// A deliberate thing. Between two steps the world makes choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number: the key of everything that is drawn while it is done.
    pub number: u64,
    /// Who does it.
    pub who: Who,
    /// What.
    pub verb: Verb,
    /// With which operands.
    pub operands: [u64; 4],
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} ", self.number)?;
        match self.who {
            Who::Client(client) => write!(f, "c{client}")?,
            Who::Operator => write!(f, "op")?,
            Who::World => write!(f, "world")?,
        }
        write!(f, " {}", self.verb.name())?;
        let last = self.operands.iter().rposition(|operand| *operand != 0).map_or(0, |last| last + 1);
        self.operands[..last].iter().try_for_each(|operand| write!(f, " {operand}"))
    }
}

impl Step {
    fn parse(line: &str) -> Option<Step> {
        let mut words = line.split_whitespace();
        let number = words.next()?.parse().ok()?;
        let who = match words.next()? {
            "op" => Who::Operator,
            "world" => Who::World,
            client => Who::Client(client.strip_prefix('c')?.parse().ok()?),
        };
        let verb = words.next()?;
        let verb = *Verb::ALL.iter().find(|known| known.name() == verb)?;
        let mut operands = [0; 4];
        for (i, word) in words.enumerate() {
            *operands.get_mut(i)? = word.parse().ok()?;
        }
        Some(Step { number, who, verb, operands })
    }
}

/// Everything that makes a world: seed, mix, steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The key of every draw.
    pub seed: u64,
    /// What it is about.
    pub mix: Mix,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64, steps: u64) -> Plan {
        let mix = Mix::of(seed);
        let steps = (1..=steps).map(|number| generate(seed, number, &mix)).collect();
        Plan { seed, mix, steps }
    }

    /// As a file: `#` begins a comment.
    pub fn to_text(&self) -> String {
        let mut text = format!("seed {}\n{}\n", self.seed, self.mix.to_text());
        for step in &self.steps {
            text.push_str(&step.to_string());
            text.push('\n');
        }
        text
    }

    /// Reads a file; an error is the line that is not understood.
    pub fn parse(text: &str) -> Result<Plan, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut plan = Plan { seed: 0, mix: Mix::default(), steps: Vec::new() };
        for line in lines {
            if let Some(seed) = line.strip_prefix("seed ") {
                plan.seed = seed.trim().parse().map_err(|_| line.to_owned())?;
            } else if line.starts_with("mix") {
                plan.mix = Mix::parse(line)?;
            } else {
                plan.steps.push(Step::parse(line).ok_or_else(|| line.to_owned())?);
            }
        }
        Ok(plan)
    }
}

/// What kind a client is: it does what belongs to it, mostly.
fn habit(client: u64) -> u64 {
    client % 3
}

fn generate(seed: u64, number: u64, mix: &Mix) -> Step {
    let mut d = Draws::new(seed, number, Purpose::Plan);
    let weights = [
        mix.w_publish,
        mix.w_consume,
        mix.w_connect,
        mix.w_operate,
        mix.w_hostile,
        mix.w_time,
        mix.w_stall,
        mix.w_kill,
        mix.w_cut,
        mix.w_stop,
        mix.w_die,
        mix.w_wall,
        mix.w_capacity,
    ];
    // Ends of a life are rare beside everything else, however often their kind of seed has them.
    let weights = weights.map(|weight| weight * 40);
    let mut scaled = weights;
    for weight in &mut scaled[6..] {
        *weight /= 16;
    }
    let kind = d.weighted(&scaled).unwrap_or(5);
    let client = d.below(mix.clients);
    let (topic, channel) = (d.below(mix.topics), d.below(mix.channels));
    let step = |who, verb, operands| Step { number, who, verb, operands };
    let mine = |verb, operands| Step { number, who: Who::Client(client), verb, operands };
    match kind {
        0 => {
            let client = nearest(client, mix.clients, 0);
            let size = body_size(&mut d, mix);
            let who = Who::Client(client);
            match d.weighted(&[8, 3, 2]).unwrap_or(0) {
                0 => step(who, Verb::Pub, [topic, size, 0, 0]),
                1 => step(who, Verb::Mpub, [topic, d.within(1, 40), size.min(2_000), 0]),
                _ => step(who, Verb::Dpub, [topic, d.below(3_000), size, 0]),
            }
        }
        1 => {
            let who = Who::Client(nearest(client, mix.clients, 1));
            match d.weighted(&[8, 6, 3, 2, 1, 1, 1, 1]).unwrap_or(0) {
                0 => step(who, Verb::Fin, [d.below(8), d.within(1, 8), 0, 0]),
                1 => step(who, Verb::Rdy, [*d.pick(&[0, 1, 2, 10, 100, 2_500]), 0, 0, 0]),
                2 => step(who, Verb::Req, [d.below(8), *d.pick(&[0, 0, 1, 50, 5_000]), 0, 0]),
                3 => step(who, Verb::Touch, [d.below(8), 0, 0, 0]),
                4 => step(who, Verb::Stale, [d.below(64), 0, 0, 0]),
                5 => step(who, Verb::Nop, [0; 4]),
                6 => step(who, Verb::Pace, [*d.pick(&[0, 1, 100, 4_096, 1 << 20]), 0, 0, 0]),
                _ => step(who, Verb::Cls, [0; 4]),
            }
        }
        2 => match d.weighted(&[6, 3, 6, 1, 1, 1]).unwrap_or(0) {
            0 => mine(Verb::Connect, [d.below(4), 0, 0, 0]),
            1 => mine(
                Verb::Identify,
                [*d.pick(&[0, 1_000, 5_000, 60_000]), *d.pick(&[0, 1_000, 30_000]), d.below(4) / 3 * 50, 0],
            ),
            2 => step(Who::Client(nearest(client, mix.clients, 1)), Verb::Sub, [topic, channel, 0, 0]),
            3 => mine(Verb::End, [0; 4]),
            4 => mine(Verb::Reset, [0; 4]),
            _ => mine(Verb::Close, [0; 4]),
        },
        3 => {
            let verb = match d.weighted(&[3, 3, 1, 1, 1, 1, 2, 2, 4, 3]).unwrap_or(0) {
                0 => return step(Who::Operator, Verb::CreateTopic, [topic, 0, 0, 0]),
                1 => Verb::CreateChannel,
                2 => return step(Who::Operator, Verb::DeleteTopic, [topic, 0, 0, 0]),
                3 => Verb::DeleteChannel,
                4 => return step(Who::Operator, Verb::EmptyTopic, [topic, 0, 0, 0]),
                5 => Verb::EmptyChannel,
                6 => return step(Who::Operator, Verb::PauseTopic, [topic, d.below(3) / 2, 0, 0]),
                7 => {
                    return step(Who::Operator, Verb::PauseChannel, [topic, channel, d.below(3) / 2, 0]);
                }
                8 => {
                    let defer = d.below(4) / 3 * d.below(2_000);
                    let count = if defer > 0 { 1 } else { d.within(1, 10) };
                    let size = body_size(&mut d, mix).min(20_000);
                    return step(Who::Operator, Verb::Publish, [topic, count, size, defer]);
                }
                _ => return step(Who::Operator, Verb::Stats, [0; 4]),
            };
            step(Who::Operator, verb, [topic, channel, 0, 0])
        }
        4 => mine(Verb::Raw, [d.below(64), 0, 0, 0]),
        5 => {
            let exponent = d.within(4, 20);
            step(Who::World, Verb::Time, [d.below(1 << exponent), 0, 0, 0])
        }
        6 => step(Who::World, Verb::Stall, [d.below(4), d.below(200_000), 0, 0]),
        7 => step(Who::World, Verb::Kill, [0; 4]),
        8 => step(Who::World, Verb::Cut, [0; 4]),
        9 => step(Who::World, Verb::Stop, [0; 4]),
        10 => step(Who::World, Verb::Die, [d.below(40), d.below(2), 0, 0]),
        11 => step(Who::World, Verb::Wall, [*d.pick(&[1, 60, 600]), d.below(2), 0, 0]),
        _ => step(Who::World, Verb::Capacity, [*d.pick(&[0, 1, 64, 500]), 0, 0, 0]),
    }
}

/// A client of that habit near `client`: producers are 0, consumers 1, and 2 does both.
fn nearest(client: u64, clients: u64, wanted: u64) -> u64 {
    let found = (0..clients).map(|i| (client + i) % clients).find(|c| habit(*c) == wanted || habit(*c) == 2);
    found.unwrap_or(client)
}

fn body_size(d: &mut Draws, mix: &Mix) -> u64 {
    if mix.large == 1 {
        return d.within(50_000, 300_000);
    }
    match d.weighted(&[90, 5, 1, 1]).unwrap_or(0) {
        0 => d.within(16, 600),
        1 => d.within(600, 30_000).min(mix.message_bytes),
        2 => mix.message_bytes,
        _ => mix.message_bytes + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_its_text() {
        for seed in 0..20 {
            let plan = Plan::of(seed, 100);
            assert_eq!(Plan::parse(&plan.to_text()), Ok(plan));
        }
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        assert_eq!(Plan::parse("# why\nseed 3\n001 c1 fly 3"), Err("001 c1 fly 3".to_owned()));
    }
}
