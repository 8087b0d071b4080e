//! `cargo xtask race-server`: filedb-server beside Redis and Valkey under redis-benchmark: requests per second, and processor time of the
//! server per request. An empty server, which only answers OK, is the ceiling.

mod courses;
mod picture;
mod racers;
mod report;
mod results;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::conformance;
use crate::tools::{self, Tool};
use crate::workspace::Workspace;
use courses::STAGES;
use racers::{Programs, line_up};
use results::Results;

const USAGE: &str = "\
usage: cargo xtask race-server [OPTION...]

  --quick        one round with few requests: shows that it works, the figures mean little
  --rounds N     rounds, in each of which all servers have their turn (3)
  --requests N   requests of a run without pipelining (200000); with pipelining there are more
  --minutes N    no stage of a round begins that would end later than that (15); the first round is always whole
  --resume       goes on with the figures in target/race: what is there is not measured again
  --show         measures nothing: the table of the figures in target/race
  --write        writes docs/server-race.md and docs/server-race.svg too

The picture is in target/race/server.svg, and so a part of the page that `cargo xtask race` makes there.
";

/// What the race and the tests of the server need.
pub const TOOLS: &[Tool] = &[Tool("redis-server", "redis-server"), Tool("redis-cli", "redis-tools")];

struct Settings {
    rounds: usize,
    requests: u64,
    minutes: u64,
    resumes: bool,
    only_shows: bool,
    writes: bool,
}

impl Settings {
    /// `None` where only help was asked for.
    fn read(arguments: &[OsString]) -> Result<Option<Settings>> {
        let mut settings = Settings {
            rounds: 3,
            requests: 200_000,
            minutes: 15,
            resumes: false,
            only_shows: false,
            writes: false,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut number = || -> Result<u64> {
                let text = rest.next().context("a number is missing")?;
                text.to_string_lossy().parse().with_context(|| format!("{} is no number", text.display()))
            };
            match argument.to_str() {
                Some("--quick") => (settings.rounds, settings.requests) = (1, 10_000),
                Some("--rounds") => settings.rounds = number()?.max(1) as usize,
                Some("--requests") => settings.requests = number()?.max(100),
                Some("--minutes") => settings.minutes = number()?,
                Some("--resume") => settings.resumes = true,
                Some("--show") => settings.only_shows = true,
                Some("--write") => settings.writes = true,
                Some("--help" | "-h") => return Ok(None),
                _ => bail!("what is {}?\n\n{USAGE}", argument.display()),
            }
        }
        Ok(Some(settings))
    }
}

pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let Some(settings) = Settings::read(arguments)? else {
        print!("{USAGE}");
        return Ok(());
    };
    // Where `cargo xtask race` has its figures.
    let home = workspace.path("target/race");
    fs::create_dir_all(&home)?;
    let file = home.join("server.tsv");
    let results = match settings.only_shows {
        true => Results::load(&file)?,
        false => measure(workspace, &settings, file)?,
    };
    let rows = report::rows(&results);
    report::print(&rows);
    let drawn = picture::draw(&rows);
    fs::write(home.join("server.svg"), &drawn)?;
    if settings.writes {
        fs::write(workspace.path("docs/server-race.svg"), &drawn)?;
        fs::write(workspace.path("docs/server-race.md"), report::markdown(&rows, results.about()))?;
    }
    Ok(())
}

fn measure(workspace: &Workspace, settings: &Settings, file: PathBuf) -> Result<Results> {
    let began = Instant::now();
    tools::ensure(workspace, TOOLS)?;
    let sh = &workspace.shell;
    let target = workspace.out.with_file_name("race-build");
    cmd!(
        sh,
        "cargo build --locked --release --package filedb-server --bins --examples --target-dir {target}"
    )
    .quiet()
    .run()?;
    let release = target.join("release");
    let programs = Programs {
        filedb: release.join("filedb-server"),
        empty: release.join("examples/empty"),
        valkey: conformance::server(workspace)?,
    };
    let commit = cmd!(sh, "git rev-parse --short HEAD").quiet().ignore_stderr().read().unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let about = format!(
        "{commit}, {}, {processors} processors, {} requests without pipelining",
        programs.versions()?,
        settings.requests
    );
    let mut results = if settings.resumes {
        let results = Results::load(&file)?;
        results.ensure_about(&about)?;
        results
    } else {
        if file.exists() {
            fs::remove_file(&file)?;
        }
        Results::new(&file, &about)
    };

    let until = Duration::from_secs(settings.minutes * 60);
    let mut longest = [Duration::ZERO; STAGES.len()];
    for round in 0..settings.rounds {
        for (stage, longest) in STAGES.into_iter().zip(&mut longest) {
            if results.rounds(stage) > round {
                continue;
            }
            if results.rounds(stage) > 0 && began.elapsed() + *longest > until {
                println!("round {}, {}: left out, the time is over", round + 1, stage.name());
                continue;
            }
            let stage_began = Instant::now();
            // All servers that write to the disk write to this one.
            let directory = tempfile::tempdir_in(&target)?;
            let mut racers = line_up(&programs, directory.path(), stage)?;
            // Whoever was first is last in the next round.
            let turns = racers.len();
            racers.rotate_left(round % turns);
            let mut measured = Vec::new();
            for course in stage.courses() {
                for racer in &racers {
                    let figures = racer.ride(course, course.requests(settings.requests))?;
                    println!(
                        "round {}, {:28} {:7} {:9.0} requests/s {:7.2} us/request",
                        round + 1,
                        course.name,
                        racer.name,
                        figures.rate,
                        figures.micros
                    );
                    measured.push((course, racer.name, figures));
                }
            }
            results.add(stage, &measured)?;
            *longest = stage_began.elapsed();
        }
    }
    Ok(results)
}
