//! Plans that failed once, some fresh seeds, and determinism.

use std::path::{Path, PathBuf};

use nsq_sim::plan::Plan;
use nsq_sim::run::run;
use nsq_sim::waiting;

fn plans() -> Vec<(PathBuf, Plan)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let files =
        std::fs::read_dir(dir).expect("the directory of plans").map(|file| file.expect("a file").path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|e| e == "steps")).collect();
    files.sort();
    let plan = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a plan");
        let plan = Plan::parse(&text).unwrap_or_else(|line| panic!("{}: {line}", path.display()));
        (path, plan)
    };
    files.into_iter().map(plan).collect()
}

#[test]
fn what_failed_once_holds() {
    for (path, plan) in plans() {
        let failure = run(&plan, None, false).failure;
        assert!(failure.is_none(), "{}: {}", path.display(), failure.expect("a failure"));
    }
}

#[test]
fn fresh_seeds_hold() {
    for seed in 10_000..10_050 {
        if let Some(failure) = run(&Plan::of(seed, 200), None, false).failure {
            assert!(waiting::reason(&failure).is_some(), "seed {seed}: {failure}");
        }
    }
}

#[test]
fn a_seed_is_one_story_on_every_thread() {
    let hash = |seed| run(&Plan::of(seed, 300), None, false).hash;
    let seeds = 20_000..20_020;
    let here: Vec<u64> = seeds.clone().map(hash).collect();
    let there =
        std::thread::spawn(move || seeds.map(hash).collect::<Vec<u64>>()).join().expect("the other thread");
    assert_eq!(here, there);
}

#[test]
fn a_seed_is_one_story_in_every_process() {
    let story = |seed: u64| {
        let mut replay = std::process::Command::new(env!("CARGO_BIN_EXE_nsq-sim"));
        let output = replay.args(["replay", &seed.to_string()]).output().expect("nsq-sim");
        String::from_utf8(output.stdout).expect("text")
    };
    for seed in 30_000..30_010 {
        let first = story(seed);
        assert!(first.contains("hash "), "{first}");
        assert_eq!(first, story(seed), "seed {seed}");
    }
}
