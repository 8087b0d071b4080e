//! Runs many histories; when one fails, shrinks it to few operations and prints it with the seed that replays it.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::time::{SystemTime, UNIX_EPOCH};

use super::generate::Case;
use super::history::Op;

/// Where the seeds begin unless the environment says otherwise: the same histories on every machine.
const FIRST_SEED: u64 = 20_240_601;

/// How often a failing history is run again to make it shorter.
const SHRINK_RUNS: usize = 1_500;

/// How many histories to run.
pub fn histories(default: u64) -> u64 {
    env_number("FILEDB_TEST_HISTORIES").unwrap_or(default)
}

/// Runs that many histories and panics with a report of the first that fails.
pub fn run_histories(count: u64, generate: impl Fn(u64) -> Case, run: impl Fn(&Case) -> Result<(), String>) {
    let seeds = seeds(count);
    for seed in seeds.clone() {
        let case = generate(seed);
        if let Err(why) = quietly(|| run(&case)) {
            let (case, why) = shrink(case, why, &run);
            panic!("{}", report(&case, &why));
        }
    }
    tally(seeds.end - seeds.start, "histories");
}

/// This many seeds to run, or those that the environment names.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("FILEDB_TEST_SEED") {
        Ok(text) if text == "random" => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
            let first = now.as_nanos() as u64 >> 8;
            first..first + count
        }
        Ok(text) => {
            let seed: u64 = text.parse().expect("FILEDB_TEST_SEED is a number or 'random'");
            let count = if env_number("FILEDB_TEST_HISTORIES").is_some() { count } else { 1 };
            seed..seed + count
        }
        Err(_) => FIRST_SEED..FIRST_SEED + count,
    }
}

/// Says how much of something a test did. `cargo xtask torture` adds up these lines.
pub fn tally(count: u64, what: &str) {
    println!("tally: {count} {what}");
}

/// A number from the environment.
pub fn env_number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not '{text}'")))
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs it; a panic is a failure like any other, and is not printed.
pub fn quietly<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A panic during another one ends the process: then there is no report, and this is all that will be seen.
            if QUIET.get() && LAST_PANIC.with_borrow(String::is_empty) {
                LAST_PANIC.replace(info.to_string());
            } else {
                usual(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    LAST_PANIC.take();
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    QUIET.set(before);
    outcome.unwrap_or_else(|_| Err(LAST_PANIC.take()))
}

/// Leaves out operations, then makes values shorter, as long as it still fails, whatever with.
fn shrink(mut case: Case, mut why: String, run: &impl Fn(&Case) -> Result<(), String>) -> (Case, String) {
    let mut runs = 0;
    let mut try_it = |case: &mut Case, why: &mut String, ops: Vec<Op>| {
        if runs == SHRINK_RUNS {
            return false;
        }
        runs += 1;
        let shorter = Case { ops, ..case.clone() };
        match quietly(|| run(&shorter)) {
            Ok(()) => false,
            Err(new) => {
                (*case, *why) = (shorter, new);
                true
            }
        }
    };
    let mut chunk = case.ops.len().div_ceil(2);
    while chunk > 0 {
        let mut shrunk = false;
        let mut start = 0;
        while start < case.ops.len() {
            let end = (start + chunk).min(case.ops.len());
            let mut ops = case.ops.clone();
            ops.drain(start..end);
            if try_it(&mut case, &mut why, ops) {
                shrunk = true;
            } else {
                start = end;
            }
        }
        if chunk > 1 {
            chunk /= 2;
        } else if !shrunk {
            break;
        }
    }
    for index in 0..case.ops.len() {
        for len in [0, 4, 40] {
            let mut ops = case.ops.clone();
            let (Op::Put { value, .. } | Op::PutWith { value, .. }) = &mut ops[index] else { continue };
            if len < value.len {
                value.len = len;
                if try_it(&mut case, &mut why, ops) {
                    break;
                }
            }
        }
    }
    (case, why)
}

fn report(case: &Case, why: &str) -> String {
    let ops: String = case.ops.iter().zip(0..).map(|(op, i)| format!("  {i:3} {op}\n")).collect();
    format!(
        "{why}\n\nthe history, shrunk to {} operations, with {:?}:\n{ops}\nFILEDB_TEST_SEED={} runs it again",
        case.ops.len(),
        case.settings,
        case.seed,
    )
}
