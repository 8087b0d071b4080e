//! `cargo xtask torture`: the random tests with fresh seeds, for as long as one likes.
//!
//! A run is one test program with one seed and a number of histories (FILEDB_TEST_SEED and FILEDB_TEST_HISTORIES, see tests/support):
//! the same two numbers do the same again. What a run did it says in lines that begin with `tally: `. A run that fails, that dies
//! or that does not end is a violation; all that it printed is kept.

mod bugs;
mod run;
mod seeded;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};

use crate::workspace::Workspace;
use run::{Programs, Run};

pub use seeded::run as seeded;

/// Tests that are run together.
struct Suite {
    name: &'static str,
    holds: &'static str,
    /// A program of tests/, and which tests of it: those whose names contain one of these words, all without one.
    program: &'static str,
    tests: &'static [&'static str],
    /// How many histories a run has: so many that it takes some seconds.
    histories: u64,
    /// How much of the time it gets, beside the others.
    share: u32,
    /// Whether the files of its stores may lie in memory. Only where a sync has to cost what it costs, they may not.
    in_memory: bool,
}

const SUITE: Suite =
    Suite { name: "", holds: "", program: "", tests: &[], histories: 1, share: 1, in_memory: true };

const SUITES: &[Suite] = &[
    Suite {
        name: "simulated-disk",
        holds: "power cuts and kills at every operation of a history, and of the recovery; both engines",
        program: "crash",
        share: 5,
        ..SUITE
    },
    Suite {
        name: "lists",
        holds: "power cuts at every operation while lists change, and lists against a model; both engines",
        program: "lists",
        tests: &["power_cut", "random_histories"],
        histories: 2,
        share: 2,
        ..SUITE
    },
    Suite {
        name: "recovery",
        holds: "stores that lose power again and again",
        program: "recovery",
        tests: &["again_and_again"],
        histories: 100,
        ..SUITE
    },
    Suite {
        name: "error-sweep",
        holds: "each operation on the disk fails, once and from then on, with each error; disks that are full at any byte",
        program: "faults",
        share: 2,
        ..SUITE
    },
    Suite {
        name: "kill",
        holds: "a process that writes is killed at a random moment; both engines",
        program: "kill",
        tests: &["no_completed"],
        histories: 10,
        share: 7,
        ..SUITE
    },
    Suite {
        name: "merge-kill",
        holds: "a process is killed at each system call of a merge",
        program: "merge_kill",
        ..SUITE
    },
    Suite {
        name: "power-cut",
        holds: "a file system is shut down under a process that writes: ext4 and XFS; both engines",
        program: "power_cut",
        histories: 20,
        share: 5,
        ..SUITE
    },
    Suite {
        name: "damage",
        holds: "each byte and each length of small stores, files deleted, swapped, doubled; both engines",
        program: "damage",
        share: 2,
        ..SUITE
    },
    Suite {
        name: "full-disk",
        holds: "deletes and merges make room on a full disk, simulated and real",
        program: "full_disk",
        histories: 3,
        ..SUITE
    },
    Suite {
        name: "limits",
        holds: "limits on the sizes of files and on descriptors that come and go, a file system of 64 MB that fills, one that becomes read-only; both engines",
        program: "limits",
        histories: 10,
        share: 2,
        ..SUITE
    },
    Suite {
        name: "openings",
        holds: "limits of a process on its descriptors and the sizes of files, at a first opening",
        program: "host",
        tests: &["a_first_opening_that_fails"],
        ..SUITE
    },
    Suite {
        name: "salvage",
        holds: "from stores that are damaged at random all that is intact comes back, and nothing else",
        program: "salvage",
        tests: &["randomly", "random_bytes", "power_cut"],
        histories: 20,
        share: 2,
        ..SUITE
    },
    Suite {
        name: "hostile-bytes",
        holds: "files with wrong contents and right checksums: opened, used, checked and salvaged; both engines",
        program: "hostile_bytes",
        histories: 20,
        ..SUITE
    },
    Suite {
        name: "model",
        holds: "random histories against a map",
        program: "model",
        histories: 100,
        ..SUITE
    },
    Suite {
        name: "ordered",
        holds: "random histories of the ordered engine against a map",
        program: "lsm",
        tests: &["random_histories", "threads_write"],
        histories: 20,
        ..SUITE
    },
    Suite {
        name: "threads",
        holds: "no value is stale or torn while threads read and write",
        program: "concurrency",
        in_memory: false,
        ..SUITE
    },
    Suite {
        name: "hostile-clients",
        holds: "random commands and random bytes to filedb-server; both engines",
        program: "server-fuzz",
        histories: 50,
        share: 2,
        ..SUITE
    },
    Suite {
        name: "server-kill",
        holds: "filedb-server is killed under load and started again: always, interval and none; both engines",
        program: "server-kill",
        tests: &["survives_a_kill"],
        histories: 10,
        share: 2,
        ..SUITE
    },
    Suite {
        name: "feed",
        holds: "who follows the changes ends with what the store has, wherever it was stopped; both engines",
        program: "changes",
        tests: &["who_follows", "is_followed"],
        histories: 300,
        ..SUITE
    },
    Suite {
        name: "feed-live",
        holds: "the same in another process than the writer, which is killed and merges, with backups beside it",
        program: "live_changes",
        tests: &["who_follows"],
        histories: 8,
        ..SUITE
    },
    Suite {
        name: "live-starts",
        holds: "live readers that begin at checkpoints of a running writer have what that has",
        program: "live_starts",
        tests: &["random_histories", "busy_writers"],
        histories: 60,
        ..SUITE
    },
    Suite {
        name: "replicate",
        holds: "a copy that follows a store is killed at a random moment",
        program: "cli-replicate",
        tests: &["killed"],
        histories: 60,
        ..SUITE
    },
    Suite {
        name: "backups",
        holds: "backups at random moments hold a moment between their beginning and their end; both engines",
        program: "backup",
        tests: &["random_moments"],
        histories: 100,
        ..SUITE
    },
    Suite {
        name: "schedules",
        holds: "threads in random orders of their steps, by shuttle: index, group commit, merges, walks, closes, crashes beside the background; both engines",
        program: "schedules-lib",
        tests: &["schedules::"],
        histories: 2,
        share: 2,
        ..SUITE
    },
    Suite {
        name: "gate",
        holds: "the gate under all orders of the steps of its threads, also those of weak processors, by loom",
        program: "gate_model",
        ..SUITE
    },
    Suite {
        name: "segment",
        holds: "a segment of the index, whose readers take no lock, likewise",
        program: "segment_model",
        ..SUITE
    },
];

/// What a suite did so far.
#[derive(Default)]
struct Score {
    runs: u64,
    time: Duration,
    did: BTreeMap<String, u64>,
    /// The commands that fail.
    violations: Vec<String>,
    not_run: Option<String>,
}

/// What was asked for.
#[derive(Default)]
pub struct Request {
    pub names: Vec<String>,
    pub seed: Option<u64>,
    pub minutes: Option<u64>,
}

/// A run counts for no less than this.
const LEAST: Duration = Duration::from_secs(1);

/// How long it goes on where nobody says anything.
const MINUTES: u64 = 10;

pub fn list() {
    SUITES.iter().for_each(|suite| println!("{:15} {}", suite.name, suite.holds));
    println!("seeded          each deliberate mistake in the source is caught by a test");
}

/// The step of the tests.
pub fn shortly(workspace: &Workspace) -> Result<()> {
    run(workspace, &Request { minutes: Some(5), ..Request::default() })
}

/// The step of the schedules, with the seeds that every machine has.
pub fn schedules(workspace: &Workspace) -> Result<()> {
    let home = workspace.fresh_dir("schedules-short")?;
    let programs = Programs::build(workspace, ["schedules-lib"].into_iter())?;
    let status = programs.command("schedules-lib", &["schedules::"], &home.join("printed.txt"))?.status()?;
    print!("{}", fs::read_to_string(home.join("printed.txt"))?);
    ensure!(status.success(), "a schedule failed");
    Ok(())
}

pub fn run(workspace: &Workspace, request: &Request) -> Result<()> {
    if let Some(unknown) = request.names.iter().find(|name| SUITES.iter().all(|suite| suite.name != **name)) {
        bail!("there is no suite '{unknown}': cargo xtask torture --list");
    }
    let is_chosen =
        |suite: &&Suite| request.names.is_empty() || request.names.iter().any(|name| name == suite.name);
    let chosen: Vec<&Suite> = SUITES.iter().filter(is_chosen).collect();
    let programs = Programs::build(workspace, chosen.iter().map(|suite| suite.program))?;
    let home = workspace.fresh_dir("torture")?;
    let programs = programs.copied_to(&home)?;

    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let first_seed = request.seed.unwrap_or(now.as_micros() as u64);
    let time = Duration::from_secs(60 * request.minutes.unwrap_or(MINUTES));
    println!(
        "for {} minutes, from seed {first_seed} on; partial results: {}",
        time.as_secs() / 60,
        home.display()
    );
    let mut scores: Vec<Score> = chosen.iter().map(|_| Score::default()).collect();
    let began = Instant::now();
    for turn in 0.. {
        // Every suite once, then who had least of its share. A seed was asked for to see what it does: once each.
        let is_left = |at: &usize| scores[*at].not_run.is_none();
        // What takes no time is not all that is done.
        let weighed = |at: &usize| {
            (scores[*at].time + LEAST * scores[*at].runs.try_into().unwrap_or(u32::MAX)) / chosen[*at].share
        };
        let next = (0..chosen.len()).filter(is_left).min_by_key(weighed);
        let Some(at) = next else { break };
        let seen_all = scores.iter().all(|score| score.runs > 0 || score.not_run.is_some());
        if seen_all && (began.elapsed() >= time || request.seed.is_some() && request.minutes.is_none()) {
            break;
        }
        let (suite, score) = (chosen[at], &mut scores[at]);
        // Seeds of two runs do not meet.
        let run = Run { seed: first_seed + turn * 1_000, histories: suite.histories, suite };
        one(&programs, &run, score, &home)?;
        fs::write(home.join("result.txt"), table(&chosen, &scores, began.elapsed()))?;
        if turn % 50 == 49 {
            println!("{}", table(&chosen, &scores, began.elapsed()));
        }
    }
    println!("\n{}", table(&chosen, &scores, began.elapsed()));
    match scores.iter().map(|score| score.violations.len()).sum::<usize>() {
        0 => Ok(()),
        violations => bail!("{violations} violations"),
    }
}

/// Does one run, and says what it did.
fn one(programs: &Programs, run: &Run, score: &mut Score, home: &std::path::Path) -> Result<()> {
    let began = Instant::now();
    let log = home.join(format!("{}-{}.log", run.suite.name, run.seed));
    let outcome = programs.run(run, &log)?;
    score.runs += 1;
    score.time += began.elapsed();
    let mut did = String::new();
    for (what, count) in outcome.tally {
        let _ = write!(did, "{count} {what}, ");
        *score.did.entry(what).or_default() += count;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{:15} seed {}: {did}{seconds:.1} s", run.suite.name, run.seed);
    match outcome.failed {
        None => fs::remove_file(&log)?,
        Some(what) => {
            let command = run.command(&outcome.failed_tests);
            println!("VIOLATION: {what}\n  again: {command}\n  all that it printed: {}", log.display());
            score.violations.push(command);
        }
    }
    if let Some(why) = outcome.not_run
        && score.did.is_empty()
    {
        println!("{:15} {why}", run.suite.name);
        score.not_run = Some(why);
    }
    Ok(())
}

fn table(suites: &[&Suite], scores: &[Score], time: Duration) -> String {
    let mut out = format!("after {} s:\n", time.as_secs());
    let mut total: BTreeMap<&str, u64> = BTreeMap::new();
    let _ = writeln!(out, "{:15} {:>6} {:>7} {:>10}  what was done", "suite", "runs", "time", "violations");
    for (suite, score) in suites.iter().zip(scores) {
        let did: Vec<_> = score.did.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let did = score.not_run.clone().unwrap_or_else(|| did.join(", "));
        let (runs, seconds, violations) = (score.runs, score.time.as_secs(), score.violations.len());
        let _ = writeln!(out, "{:15} {runs:>6} {seconds:>5} s {violations:>10}  {did}", suite.name);
        score.did.iter().for_each(|(what, count)| *total.entry(what).or_default() += count);
    }
    let total: Vec<_> = total.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let _ = writeln!(out, "in all: {}", total.join(", "));
    for command in scores.iter().flat_map(|score| &score.violations) {
        let _ = writeln!(out, "VIOLATION: {command}");
    }
    out
}

/// Where files in memory are, if there is such a place.
fn memory() -> Option<PathBuf> {
    let place = PathBuf::from("/dev/shm");
    place.is_dir().then_some(place)
}
