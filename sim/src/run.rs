//! One plan to its end, whatever happens.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;

use nsq_planted::Fault;

use crate::failure::Failure;
use crate::plan::Plan;
use crate::trace::Trace;
use crate::world::World;

/// Entries of the trace that are told with a failure.
const TOLD_ENTRIES: usize = 60;

/// What came of a plan.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What is wrong, if anything.
    pub failure: Option<Failure>,
    /// Steps that were done.
    pub steps: usize,
    /// One number for everything that happened.
    pub hash: u64,
    /// The last things that happened; all of them if that was wished.
    pub trace: Vec<String>,
    /// Choices that were made.
    pub choices: u64,
    /// Messages that were delivered.
    pub delivered: u64,
    /// Lives of the process.
    pub lives: u32,
    /// Arms that were reached, and how often.
    pub reached: BTreeMap<&'static str, u64>,
}

thread_local! {
    static IN_WORLD: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<Failure>> = const { RefCell::new(None) };
}

/// Panics within worlds are noted and not printed.
fn catch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IN_WORLD.get() {
                return usual(info);
            }
            let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
            let payload = info.payload();
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let text = text.unwrap_or_default();
            PANIC.with_borrow_mut(|noted| {
                noted.get_or_insert(Failure { check: "panic".to_owned(), place, text });
            });
        }));
    });
}

/// Runs a plan; with `whole`, all of the trace is kept.
pub fn run(plan: &Plan, fault: Option<Fault>, whole: bool) -> Outcome {
    catch_panics();
    nsq_planted::plant(fault);
    PANIC.set(None);
    IN_WORLD.set(true);
    let trace: RefCell<Option<Rc<RefCell<Trace>>>> = RefCell::default();
    let (steps, choices, delivered, lives) = (Cell::new(0), Cell::new(0), Cell::new(0), Cell::new(0));
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(plan, whole);
        *trace.borrow_mut() = Some(world.trace.clone());
        for step in &plan.steps {
            steps.set(steps.get() + 1);
            world.step(step);
        }
        world.heal();
        choices.set(world.choice_count);
        let book = world.book.borrow();
        delivered.set(book.queue.delivered_count);
        lives.set(book.life);
    }));
    IN_WORLD.set(false);
    nsqd::core::observe::observe(None);
    nsq_planted::plant(None);
    let failure = result.err().map(|payload| match payload.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(_) => PANIC.take().unwrap_or_else(|| Failure {
            check: "panic".to_owned(),
            place: String::new(),
            text: String::new(),
        }),
    });
    let trace = trace.into_inner();
    let trace = trace.as_ref().map(|trace| trace.borrow());
    Outcome {
        steps: steps.get(),
        hash: trace.as_ref().map_or(0, |trace| trace.hash()),
        trace: match &trace {
            Some(trace) if whole => trace.tail(usize::MAX),
            Some(trace) if failure.is_some() => trace.tail(TOLD_ENTRIES),
            _ => Vec::new(),
        },
        failure,
        choices: choices.get(),
        delivered: delivered.get(),
        lives: lives.get(),
        reached: nsq_planted::take_reached(),
    }
}
