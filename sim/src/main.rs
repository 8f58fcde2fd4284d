//! `nsq-sim`: runs seeds, replays and shrinks failures, proves that planted faults are seen.

#![allow(clippy::disallowed_types, reason = "how long a run takes is no part of the world")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nsq_planted::Fault;
use nsq_sim::plan::Plan;
use nsq_sim::planted::{EXPECTED, Expected, find};
use nsq_sim::reach::MARKS;
use nsq_sim::run::{Outcome, run};
use nsq_sim::shrink::shrink;
use nsq_sim::waiting;

const USAGE: &str = "\
usage: nsq-sim run [--seeds N] [--steps N] [--first SEED] [--jobs N] [--minutes N] [--keep DIR] [--fault NAME]
       nsq-sim replay SEED|FILE [--steps N] [--trace] [--fault NAME]
       nsq-sim shrink SEED|FILE [--steps N] [--fault NAME]
       nsq-sim planted [NAME] [--steps N] [--within N]
       nsq-sim reach [--seeds N] [--steps N]";

#[derive(Debug)]
struct Options {
    seeds: u64,
    steps: u64,
    first: u64,
    jobs: u64,
    minutes: u64,
    keep: Option<PathBuf>,
    fault: Option<Fault>,
    within: u64,
    trace: bool,
    what: Option<String>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let jobs = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        let mut options = Options {
            seeds: 2_000,
            steps: 300,
            first: 0,
            jobs,
            minutes: 0,
            keep: None,
            fault: None,
            within: u64::MAX,
            trace: false,
            what: None,
        };
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
            match argument.as_str() {
                "--seeds" => options.seeds = number(value()?)?,
                "--steps" => options.steps = number(value()?)?,
                "--first" => options.first = number(value()?)?,
                "--jobs" => options.jobs = number(value()?)?.max(1),
                "--minutes" => options.minutes = number(value()?)?,
                "--keep" => options.keep = Some(value()?.into()),
                "--fault" => options.fault = Some(fault(&value()?)?),
                "--within" => options.within = number(value()?)?,
                "--trace" => options.trace = true,
                _ if argument.starts_with("--") => return Err(format!("{argument} is no option")),
                _ => options.what = Some(argument),
            }
        }
        Ok(options)
    }

    fn plan(&self) -> Result<Plan, String> {
        let what = self.what.as_deref().ok_or("which seed or file?")?;
        match what.parse() {
            Ok(seed) => Ok(Plan::of(seed, self.steps)),
            Err(_) => {
                let text = std::fs::read_to_string(what).map_err(|error| format!("{what}: {error}"))?;
                Plan::parse(&text).map_err(|line| format!("{what}: {line:?} is not understood"))
            }
        }
    }
}

fn fault(name: &str) -> Result<Fault, String> {
    let found = Fault::ALL.iter().find(|fault| fault.name() == name);
    found.copied().ok_or_else(|| format!("{name} is no planted fault"))
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let done = Options::parse(arguments).and_then(|options| match command.as_str() {
        "run" => Ok(run_seeds(&options)),
        "replay" => replay(&options),
        "shrink" => shrink_plan(&options),
        "planted" => planted(&options),
        "reach" => Ok(reach(&options)),
        _ => Err(USAGE.to_owned()),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// What came of many seeds.
#[derive(Default)]
struct Sum {
    seeds: u64,
    choices: u64,
    delivered: u64,
    lives: u64,
    failures: Vec<(u64, Outcome)>,
    reached: BTreeMap<&'static str, u64>,
}

fn all_seeds(options: &Options, stop_at: usize) -> Sum {
    let next = AtomicU64::new(options.first);
    let end = if options.minutes > 0 { u64::MAX } else { options.first + options.seeds };
    let until = (options.minutes > 0).then(|| Instant::now() + Duration::from_secs(60 * options.minutes));
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || until.is_some_and(|until| Instant::now() >= until) {
                        return;
                    }
                    let outcome = run(&Plan::of(seed, options.steps), options.fault, false);
                    let mut sum = sum.lock().expect("invariant: nobody panics with the sum");
                    sum.seeds += 1;
                    sum.choices += outcome.choices;
                    sum.delivered += outcome.delivered;
                    sum.lives += u64::from(outcome.lives);
                    for (mark, count) in &outcome.reached {
                        *sum.reached.entry(mark).or_default() += count;
                    }
                    if outcome.failure.is_some() {
                        sum.failures.push((seed, outcome));
                        if sum.failures.len() >= stop_at {
                            next.store(end, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    sum.into_inner().expect("invariant: nobody panics with the sum")
}

fn run_seeds(options: &Options) -> bool {
    let began = Instant::now();
    let mut sum = all_seeds(options, if options.minutes > 0 { usize::MAX } else { 1_000 });
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} seeds of {} steps in {seconds:.1} s: {} choices, {} messages delivered, {} lives, {} failures",
        sum.seeds,
        options.steps,
        sum.choices,
        sum.delivered,
        sum.lives,
        sum.failures.len()
    );
    sum.failures.sort_by_key(|(seed, _)| *seed);
    let mut places: BTreeMap<(String, String), Vec<(u64, Outcome)>> = BTreeMap::new();
    for (seed, outcome) in sum.failures {
        if let Some(failure) = &outcome.failure {
            let place = (failure.check.clone(), failure.place.clone());
            places.entry(place).or_default().push((seed, outcome));
        }
    }
    let mut is_sound = true;
    for ((check, place), found) in &places {
        let seeds: Vec<String> = found.iter().take(8).map(|(seed, _)| seed.to_string()).collect();
        println!("\n{check} at {place}: {} seeds: {}", found.len(), seeds.join(" "));
        if let Some((seed, Outcome { failure: Some(failure), steps, .. })) = found.first() {
            println!("  seed {seed}, step {steps}: {:.400}", failure.text);
            match waiting::reason(failure) {
                Some(reason) => println!("  is known: {reason}"),
                None => is_sound = false,
            }
            if let Some(dir) = &options.keep {
                keep(dir, *seed, options);
            }
        }
    }
    is_sound
}

/// Shrinks a failure and files it.
fn keep(dir: &Path, seed: u64, options: &Options) {
    let Some((plan, failure)) = shrink(&Plan::of(seed, options.steps), options.fault) else { return };
    let path = dir.join(format!("{}-{seed}.steps", failure.check));
    let text = format!("# {failure}\n{}", plan.to_text());
    match std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&path, text)) {
        Ok(()) => println!("  kept as {} ({} steps)", path.display(), plan.steps.len()),
        Err(error) => println!("  cannot be kept as {}: {error}", path.display()),
    }
}

fn replay(options: &Options) -> Result<bool, String> {
    let outcome = run(&options.plan()?, options.fault, options.trace);
    outcome.trace.iter().for_each(|line| println!("{line}"));
    println!(
        "hash {:016x}, {} steps, {} choices, {} messages delivered, {} lives",
        outcome.hash, outcome.steps, outcome.choices, outcome.delivered, outcome.lives
    );
    if let Some(failure) = &outcome.failure {
        println!("{failure}");
    }
    Ok(outcome.failure.is_none())
}

fn shrink_plan(options: &Options) -> Result<bool, String> {
    match shrink(&options.plan()?, options.fault) {
        None => println!("it does not fail"),
        Some((plan, failure)) => print!("# {failure}\n{}", plan.to_text()),
    }
    Ok(true)
}

fn planted(options: &Options) -> Result<bool, String> {
    let only = options.what.as_deref().map(fault).transpose()?;
    let mut all_seen = true;
    let wanted = |expected: &&Expected| {
        only.is_none_or(|only| only == expected.fault) && expected.within <= options.within
    };
    for expected in EXPECTED.iter().filter(wanted) {
        let name = expected.fault.name();
        match find(expected, options.steps) {
            Some((seed, failure)) => println!("{name}: seen by {} in seed {seed}", failure.check),
            None => {
                println!("{name}: not seen within {} seeds by {:?}", expected.within, expected.checks);
                all_seen = false;
            }
        }
    }
    Ok(all_seen)
}

fn reach(options: &Options) -> bool {
    let sum = all_seeds(options, usize::MAX);
    let mut all_reached = true;
    for (mark, least) in MARKS {
        let count = sum.reached.get(mark).copied().unwrap_or(0);
        let wanted = least * options.seeds / 300;
        println!("{count:>10} {mark}{}", if count < wanted { ": too rarely" } else { "" });
        all_reached &= count >= wanted;
    }
    for (mark, count) in sum.reached.iter().filter(|(mark, _)| MARKS.iter().all(|(known, _)| known != *mark))
    {
        println!("{count:>10} {mark}: not in the list");
    }
    all_reached
}
