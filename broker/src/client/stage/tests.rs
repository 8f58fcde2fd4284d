//! The table in the head of the file is the function, and every way through it ends.

use std::collections::{HashSet, VecDeque};

use super::{Act, Event, How, Reason, Stage, Why, step};

const WHYS: [Why; 6] = [Why::Log, Why::Window, Why::Output, Why::Turn, Why::Core, Why::Discovery];
const REASONS: [Reason; 9] = [
    Reason::EndOfInput,
    Reason::LastCommand,
    Reason::Failed,
    Reason::ChannelDeleted,
    Reason::NoMagic,
    Reason::Silent,
    Reason::TakesNothing,
    Reason::NotMoved,
    Reason::Stop,
];

fn stages() -> Vec<Stage> {
    let mut stages = vec![Stage::Magic, Stage::Open, Stage::Moving { to: 1 }, Stage::Detaching { to: 1 }];
    stages.extend(WHYS.map(Stage::Held));
    stages.extend(REASONS.map(Stage::Ending));
    stages.extend(REASONS.map(Stage::Closing));
    stages
}

fn column(stage: Stage) -> &'static str {
    match stage {
        Stage::Magic => "Magic",
        Stage::Open => "Open",
        Stage::Held(_) => "Held",
        Stage::Moving { .. } => "Moving",
        Stage::Detaching { .. } => "Detaching",
        Stage::Ending(_) => "Ending",
        Stage::Closing(_) => "Closing",
    }
}

/// The events of a row, at a stage.
fn events(row: &str, stage: Stage) -> Vec<Event> {
    let others = |why: Why| WHYS.into_iter().filter(move |other| *other != why);
    match (row, stage) {
        ("bytes", _) => vec![Event::Bytes],
        ("magic read", _) => vec![Event::MagicRead],
        ("end of input", _) => vec![Event::EndOfInput],
        ("taken", _) => vec![Event::Taken { low: false }],
        ("taken, few answers left", _) => vec![Event::Taken { low: true }],
        ("failed", _) => vec![Event::Failed],
        ("closed", _) => vec![Event::Closed],
        ("detached", _) => vec![Event::Detached],
        ("released, its reason", Stage::Held(why)) => vec![Event::Released(why)],
        ("released, another reason", Stage::Held(why)) => others(why).map(Event::Released).collect(),
        ("released, its reason" | "released, another reason", _) => WHYS.map(Event::Released).to_vec(),
        ("answer of a publish", _) => vec![Event::Answered { low: false }],
        ("answer, few unanswered", _) => vec![Event::Answered { low: true }],
        ("delivery", _) => vec![Event::Delivery],
        ("channel deleted", _) => vec![Event::ChannelDeleted],
        ("last command", _) => vec![Event::LastCommand],
        ("must wait", _) => WHYS.map(Event::MustWait).to_vec(),
        ("must move", _) => vec![Event::MustMove { to: 2 }],
        ("all sent", _) => vec![Event::AllSent],
        ("no magic in time", _) => vec![Event::NoMagic],
        ("heartbeat due", _) => vec![Event::HeartbeatDue],
        ("silent for too long", _) => vec![Event::Silent],
        ("takes no bytes", _) => vec![Event::TakesNothing],
        ("move overdue", _) => vec![Event::MoveOverdue],
        ("stop", _) => vec![Event::Stop],
        ("stop overdue", _) => vec![Event::StopOverdue],
        (row, _) => panic!("the table has a row that the test does not know: {row}"),
    }
}

/// How many kinds of events there are: a new one breaks this match, and then wants its row in the table.
fn kind(event: Event) -> u8 {
    match event {
        Event::Bytes => 0,
        Event::MagicRead => 1,
        Event::EndOfInput => 2,
        Event::Taken { .. } => 3,
        Event::Failed => 4,
        Event::Closed => 5,
        Event::Detached => 6,
        Event::Released(_) => 7,
        Event::Answered { .. } => 8,
        Event::Delivery => 9,
        Event::ChannelDeleted => 10,
        Event::LastCommand => 11,
        Event::MustWait(_) => 12,
        Event::MustMove { .. } => 13,
        Event::AllSent => 14,
        Event::NoMagic => 15,
        Event::HeartbeatDue => 16,
        Event::Silent => 17,
        Event::TakesNothing => 18,
        Event::MoveOverdue => 19,
        Event::Stop => 20,
        Event::StopOverdue => 21,
    }
}

const KINDS: usize = 22;

/// What the function does, in the words of the table.
fn cell(stage: Stage, event: Event) -> String {
    let mut next = stage;
    let act = step(&mut next, event);
    let words = match act {
        Act::None => "–",
        Act::Run => "run",
        Act::Keep => "keep",
        Act::Drop => "drop",
        Act::Note => "note",
        Act::Free => "free",
        Act::FreeAndRelease => "free; release",
        Act::Write => "write",
        Act::WriteAndRelease => "write; release",
        Act::Heartbeat => "heartbeat",
        Act::Opened | Act::Hold | Act::Move | Act::End => "",
        Act::Resume => "resume",
        Act::Detach => "detach",
        Act::HandOver => "hand over",
        Act::EndWithLastWords => "last words",
        Act::Close(How::Flush) => "flush",
        Act::Close(How::Abort) => "abort",
        Act::AbortNow => "abort",
        Act::Gone => "gone",
        Act::Impossible => "✗",
    };
    match (next == stage, words) {
        (true, words) => words.to_owned(),
        (false, "") => format!("→ {}", column(next)),
        (false, words) => format!("→ {}, {words}", column(next)),
    }
}

/// What a cell says of this very stage: `free; Output: release` means `free` but for one reason.
fn said(cell: &str, stage: Stage) -> String {
    match cell.split_once("; ").and_then(|(usual, rest)| Some((usual, rest.split_once(": ")?))) {
        Some((usual, (why, more))) if stage == Stage::Held(named(why)) => format!("{usual}; {more}"),
        Some((usual, _)) => usual.to_owned(),
        None => cell.to_owned(),
    }
}

fn named(why: &str) -> Why {
    WHYS.into_iter().find(|known| format!("{known:?}") == why).expect("a reason that is known")
}

#[test]
fn the_table_in_the_head_of_the_file_is_what_the_function_does() {
    let rows: Vec<Vec<&str>> = include_str!("../stage.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! |"))
        .map(|row| row.trim_end_matches('|').split('|').map(str::trim).collect())
        .collect();
    let [head, rule, rows @ ..] = rows.as_slice() else { panic!("no table") };
    assert!(rule.iter().all(|cell| *cell == "---"));
    let (mut cases, mut kinds) = (0, HashSet::new());
    for row in rows {
        for stage in stages() {
            let place = head.iter().position(|name| *name == column(stage)).expect("a column per stage");
            for event in events(row[0], stage) {
                assert_eq!(cell(stage, event), said(row[place], stage), "{event:?} at {stage:?}");
                kinds.insert(kind(event));
                cases += 1;
            }
        }
    }
    assert_eq!(kinds.len(), KINDS, "each event has its row");
    assert!(cases > 900, "{cases}");
}

/// A stage is entered at most once on each way, but for Open and Held, which take turns.
#[test]
fn nothing_leads_back_from_the_end() {
    let rank = |stage: Stage| match stage {
        Stage::Magic => 0,
        Stage::Open | Stage::Held(_) => 1,
        Stage::Moving { .. } => 2,
        Stage::Detaching { .. } => 3,
        Stage::Ending(_) => 4,
        Stage::Closing(_) => 5,
    };
    for stage in stages() {
        for event in all_events() {
            let mut next = stage;
            step(&mut next, event);
            assert!(rank(next) >= rank(stage), "{event:?} leads from {stage:?} back to {next:?}");
        }
    }
}

fn all_events() -> Vec<Event> {
    let mut events = vec![
        Event::Bytes,
        Event::MagicRead,
        Event::EndOfInput,
        Event::Taken { low: false },
        Event::Taken { low: true },
        Event::Failed,
        Event::Closed,
        Event::Detached,
        Event::Answered { low: false },
        Event::Answered { low: true },
        Event::Delivery,
        Event::ChannelDeleted,
        Event::LastCommand,
        Event::MustMove { to: 2 },
        Event::AllSent,
        Event::NoMagic,
        Event::HeartbeatDue,
        Event::Silent,
        Event::TakesNothing,
        Event::MoveOverdue,
        Event::Stop,
        Event::StopOverdue,
    ];
    events.extend(WHYS.map(Event::Released));
    events.extend(WHYS.map(Event::MustWait));
    events
}

/// From every stage that can be reached, a kernel that answers and a peer that closes lead to the end, and the slot is
/// given back once.
#[test]
fn every_way_ends() {
    let (mut seen, mut open) = (HashSet::new(), VecDeque::from([Stage::Magic]));
    while let Some(stage) = open.pop_front() {
        if !seen.insert(format!("{stage:?}")) {
            continue;
        }
        for event in all_events() {
            let mut next = stage;
            if step(&mut next, event) != Act::Impossible {
                open.push_back(next);
            }
        }
        ends(stage);
    }
    assert!(seen.len() > 20, "{} stages were reached", seen.len());
}

fn ends(from: Stage) {
    let (mut stage, mut ended) = (from, false);
    for _ in 0..20 {
        let event = match stage {
            Stage::Magic | Stage::Open => Event::EndOfInput,
            Stage::Held(_) if !ended => Event::EndOfInput,
            Stage::Held(why) => Event::Released(why),
            Stage::Moving { .. } | Stage::Ending(_) => Event::AllSent,
            Stage::Detaching { .. } => Event::Detached,
            Stage::Closing(_) => Event::Closed,
        };
        match step(&mut stage, event) {
            Act::Gone | Act::HandOver => return,
            Act::Note => ended = true,
            Act::Impossible => panic!("{event:?} at {stage:?}"),
            _ => {}
        }
    }
    panic!("{from:?} does not end");
}
