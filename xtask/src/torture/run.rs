//! One run of a test program with a seed: started, watched, and its output read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use xshell::cmd;

use super::{Suite, memory};
use crate::workspace::Workspace;

/// Programs that are built alike.
struct Kind {
    /// What they are called: with this in front.
    prefix: &'static str,
    package: &'static str,
    /// What the compiler is told.
    flags: &'static str,
    features: &'static [&'static str],
}

const TESTING: &[&str] = &["--features", "filedb/testing"];
const KINDS: [Kind; 4] = [
    Kind { prefix: "server-", package: "filedb-server", flags: "", features: TESTING },
    Kind { prefix: "cli-", package: "filedb-cli", flags: "", features: TESTING },
    // See src/sync/scheduled.rs.
    Kind {
        prefix: "schedules-",
        package: "filedb",
        flags: "--cfg filedb_schedules",
        features: &["--no-default-features", "--features", "filedb/testing"],
    },
    Kind { prefix: "", package: "filedb", flags: "", features: TESTING },
];

/// The kind of a program, and how it is called in its package.
fn kind_of(program: &str) -> (&'static Kind, &str) {
    let named = |kind: &'static Kind| Some((kind, program.strip_prefix(kind.prefix)?));
    KINDS.iter().find_map(named).unwrap_or((&KINDS[3], program))
}

/// What chooses a program among those of its package.
fn choice(name: &str) -> Vec<&str> {
    if name == "lib" { vec!["--lib"] } else { vec!["--test", name] }
}

/// Nothing takes so long. What does hangs.
const TOO_LONG: Duration = Duration::from_secs(20 * 60);

/// The programs of tests/, built.
pub struct Programs {
    root: PathBuf,
    paths: BTreeMap<String, PathBuf>,
}

pub struct Run<'a> {
    pub seed: u64,
    pub histories: u64,
    pub suite: &'a Suite,
}

#[derive(Default)]
pub struct Outcome {
    /// What it did, and how much of it.
    pub tally: BTreeMap<String, u64>,
    /// How it failed.
    pub failed: Option<String>,
    pub failed_tests: Vec<String>,
    /// What a machine needs that this one has not.
    pub not_run: Option<String>,
}

impl Programs {
    pub fn build<'a>(workspace: &Workspace, names: impl Iterator<Item = &'a str>) -> Result<Programs> {
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names.dedup();
        let sh = &workspace.shell;
        println!("building {}", names.join(", "));
        let mut paths = BTreeMap::new();
        for Kind { prefix, package, flags, features } in KINDS {
            let mut of_kind =
                names.iter().map(|name| kind_of(name)).filter(|(its, _)| its.prefix == prefix).peekable();
            if of_kind.peek().is_none() {
                continue;
            }
            let which = of_kind.flat_map(|(_, name)| choice(name));
            // Other flags would build everything anew each time.
            let others = sh.var("RUSTFLAGS").unwrap_or_default();
            let _built = (!flags.is_empty()).then(|| {
                let target = if others.is_empty() { "schedules" } else { "seeded-schedules" };
                let flags = sh.push_env("RUSTFLAGS", format!("{others} {flags}"));
                (flags, sh.push_env("CARGO_TARGET_DIR", workspace.out.join(target)))
            });
            let told = cmd!(sh, "cargo test --package {package} {features...} --no-run {which...}");
            let told = told.quiet().ignore_status().output()?;
            let told_text = String::from_utf8_lossy(&told.stderr);
            anyhow::ensure!(told.status.success(), "the tests do not build:\n{told_text}");
            // `  Executable tests/kill.rs (target/debug/deps/kill-0123)`
            for line in told_text.lines().filter(|line| line.trim_start().starts_with("Executable")) {
                let (source, path) = line.rsplit_once(" (").context("cargo names no program")?;
                let source = source.rsplit(['/', ' ']).next().unwrap_or("").trim_end_matches(".rs");
                // `unittests src/lib.rs`
                let path = workspace.root.join(path.trim_end_matches(')'));
                paths.insert(format!("{prefix}{}", source.trim_end_matches(')')), path);
            }
        }
        for name in &names {
            anyhow::ensure!(paths.contains_key(*name), "cargo did not say where the test {name} is");
        }
        Ok(Programs { root: workspace.root.clone(), paths })
    }

    /// Copies of them, which no later build replaces.
    pub fn copied_to(mut self, directory: &Path) -> Result<Programs> {
        for (name, path) in &mut self.paths {
            let copy = directory.join(name);
            fs::copy(&*path, &copy).with_context(|| path.display().to_string())?;
            *path = copy;
        }
        Ok(self)
    }

    pub fn run(&self, run: &Run, log: &Path) -> Result<Outcome> {
        let mut command = self.command(run.suite.program, run.suite.tests, log)?;
        command.env("FILEDB_TEST_SEED", run.seed.to_string());
        command.env("FILEDB_TEST_HISTORIES", run.histories.to_string());
        if let Some(memory) = memory().filter(|_| run.suite.in_memory) {
            command.env("TMPDIR", memory);
        }
        let status = wait(&mut command.spawn()?, TOO_LONG)?;
        Ok(read(&String::from_utf8_lossy(&fs::read(log)?), status))
    }

    /// The command that runs some tests of a program, with their output in `log`.
    pub fn command(&self, program: &str, tests: &[&str], log: &Path) -> Result<Command> {
        let output = File::create(log)?;
        let mut command = Command::new(&self.paths[program]);
        command.args(["--nocapture", "--test-threads=1"]).args(tests).current_dir(&self.root);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Ok(command)
    }
}

impl Run<'_> {
    /// What does the same again.
    pub fn command(&self, failed_tests: &[String]) -> String {
        let Suite { program, tests, .. } = self.suite;
        let tests = if failed_tests.is_empty() { tests.join(" ") } else { failed_tests.join(" ") };
        let (seed, histories) = (self.seed, self.histories);
        let (Kind { package, flags, features, .. }, program) = kind_of(program);
        let flags = if flags.is_empty() { String::new() } else { format!("RUSTFLAGS='{flags}' ") };
        let (features, program) = (features.join(" "), choice(program).join(" "));
        format!(
            "{flags}FILEDB_TEST_SEED={seed} FILEDB_TEST_HISTORIES={histories} cargo test --package {package} {features} {program} -- {tests}"
        )
    }
}

/// Waits for the end of a program; `None` where it had to be killed.
pub fn wait(child: &mut Child, most: Duration) -> Result<Option<ExitStatus>> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if began.elapsed() > most {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the output of a test program tells.
pub fn read(output: &str, status: Option<ExitStatus>) -> Outcome {
    let mut outcome = Outcome::default();
    for line in output.lines() {
        if let Some((_, tally)) = line.split_once("tally: ")
            && let Some((count, what)) = tally.split_once(' ')
            && let Ok(count) = count.parse::<u64>()
        {
            *outcome.tally.entry(what.to_owned()).or_default() += count;
        }
        if let Some(at) = line.find("NOT RUN") {
            outcome.not_run = Some(line[at..].to_owned());
        }
    }
    // The last list of names, four spaces in.
    if let Some((_, names)) = output.rsplit_once("\nfailures:\n") {
        let names = names.lines().take_while(|line| line.starts_with("    "));
        outcome.failed_tests = names.map(|name| name.trim().to_owned()).collect();
    }
    let tests = outcome.failed_tests.join(", ");
    outcome.failed = match status {
        Some(status) if status.success() => None,
        Some(status) if tests.is_empty() => {
            Some(format!("it ended with {status}, in {}", last_begun(output)))
        }
        Some(_) => Some(tests),
        None => Some(format!("it did not end, in {}", last_begun(output))),
    };
    outcome
}

/// The test that was under way at the end of this output.
fn last_begun(output: &str) -> &str {
    let begun = output.lines().rev().find_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
    begun.map_or("no test", |(name, _)| name)
}
