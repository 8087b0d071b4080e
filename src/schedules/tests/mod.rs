//! The real code in threads whose order a test decides, step by step: `cargo xtask test schedules`, and a suite of `cargo xtask torture`.
//!
//! It is built with `--cfg filedb_schedules`, so that threads change at each lock and each atomic where shuttle says (src/sync/scheduled.rs).
//! Two schedulers say it in turn: one chooses who goes on at random at each step, the other lets whom it prefers go on as long as that
//! can, but for a few steps (Burckhardt et al., ASPLOS 2010). Both find orders only in which every step is seen by all at once; what
//! weaker processors do is tried by `tests/gate_model.rs` and `tests/segment_model.rs`.
//!
//! `FILEDB_TEST_SEED` and `FILEDB_TEST_HISTORIES` are as in `tests/support`. A schedule in which nobody can go on fails.

mod commit;
mod crash;
mod index;
mod store;

use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// Where the seeds begin unless the environment says otherwise.
const FIRST_SEED: u64 = 1;
/// How many schedules of each kind are tried with each seed.
const SCHEDULES: usize = 100;
/// No schedule has so many steps: threads wait for each other without end then.
const TOO_MANY_STEPS: usize = 3_000_000;
/// A schedule takes threads that it prefers away so often.
const CHANGES: usize = 4;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs `model`, which makes threads and looks at what comes of them, with seeds; a seed decides what the threads do, and the
/// schedules.
fn explore(quick: u64, model: impl Fn(u64) + Send + Sync + Copy + 'static) {
    let seed = number("FILEDB_TEST_SEED");
    let count = number("FILEDB_TEST_HISTORIES").unwrap_or(if seed.is_some() { 1 } else { quick });
    let seeds = seed.unwrap_or(FIRST_SEED)..seed.unwrap_or(FIRST_SEED) + count;
    for seed in seeds {
        let told = Told(seed);
        run(RandomScheduler::new_from_seed(seed, SCHEDULES), move || model(seed));
        run(PctScheduler::new_from_seed(seed, CHANGES, SCHEDULES), move || model(seed));
        std::mem::forget(told);
    }
    println!("tally: {} schedules", count * 2 * SCHEDULES as u64);
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // What a store does while it is opened takes more than shuttle gives threads.
    config.stack_size = 1 << 20;
    config.max_steps = MaxSteps::FailAfter(TOO_MANY_STEPS);
    config.max_time = Some(Duration::from_secs(600));
    // The seed is enough.
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    Runner::new(scheduler, config).run(model);
}

/// Says which seed it was when the test fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        println!("again: FILEDB_TEST_SEED={}", self.0);
    }
}
