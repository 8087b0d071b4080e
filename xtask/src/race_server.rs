//! `cargo xtask race-server`: filedb-server beside Redis, and Valkey where it is installed, under redis-benchmark: requests per second, and
//! processor time of the server per request. An empty server, which only answers OK, is the ceiling.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::tools::{self, Tool};
use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask race-server [--quick] [--rounds N] [--requests N]

  --quick        fewer requests: shows that it works, the figures mean little
  --rounds N     rounds, in each of which all servers have their turn (3)
  --requests N   requests of a run without pipelining (200000); with pipelining there are more
";

/// What the race and the tests of the server need.
pub const TOOLS: &[Tool] = &[Tool("redis-server", "redis-server"), Tool("redis-cli", "redis-tools")];

/// A test of redis-benchmark: its name, how many requests are under way on a connection, connections, and whether each write is synced.
struct Course {
    name: &'static str,
    test: &'static str,
    pipeline: u32,
    clients: u32,
    always: bool,
}

const COURSES: &[Course] = &[
    Course { name: "set", test: "set", pipeline: 1, clients: 50, always: false },
    Course { name: "get", test: "get", pipeline: 1, clients: 50, always: false },
    Course { name: "set -P 16", test: "set", pipeline: 16, clients: 50, always: false },
    Course { name: "get -P 16", test: "get", pipeline: 16, clients: 50, always: false },
    Course { name: "set -P 64", test: "set", pipeline: 64, clients: 50, always: false },
    Course { name: "get -P 64", test: "get", pipeline: 64, clients: 50, always: false },
    Course { name: "lpush -P 16", test: "lpush", pipeline: 16, clients: 50, always: false },
    Course { name: "lpop -P 16", test: "lpop", pipeline: 16, clients: 50, always: false },
    Course { name: "set, always", test: "set", pipeline: 1, clients: 10, always: true },
];

struct Settings {
    rounds: usize,
    requests: u64,
}

struct Racer {
    name: &'static str,
    child: Child,
    port: u16,
}

impl Drop for Racer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Requests per second, and processor time of the server per request in microseconds.
type Figures = (f64, f64);

pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let mut settings = Settings { rounds: 3, requests: 200_000 };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut number = || -> Result<u64> {
            let text = rest.next().context("a number is missing")?;
            text.to_string_lossy().parse().with_context(|| format!("{} is no number", text.display()))
        };
        match argument.to_str() {
            Some("--quick") => settings = Settings { rounds: 1, requests: 10_000 },
            Some("--rounds") => settings.rounds = number()?.max(1) as usize,
            Some("--requests") => settings.requests = number()?.max(1),
            Some("--help" | "-h") => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => bail!("what is {}?\n\n{USAGE}", argument.display()),
        }
    }
    tools::ensure(workspace, TOOLS)?;
    let sh = &workspace.shell;
    let target = workspace.out.with_file_name("race-build");
    cmd!(
        sh,
        "cargo build --locked --release --package filedb-server --bins --examples --target-dir {target}"
    )
    .quiet()
    .run()?;
    let directory = tempfile::tempdir()?;
    let release = target.join("release");

    let mut results: BTreeMap<(usize, &str), Vec<Figures>> = BTreeMap::new();
    let mut names = Vec::new();
    for round in 0..settings.rounds {
        for always in [false, true] {
            let mut racers = line_up(&release, directory.path(), always, round)?;
            // Whoever was first is last in the next round.
            let turns = racers.len();
            racers.rotate_left(round % turns);
            names = racers.iter().map(|racer| racer.name).collect();
            for (n, course) in COURSES.iter().enumerate().filter(|(_, course)| course.always == always) {
                for racer in &racers {
                    let figures = ride(course, racer, settings.requests)?;
                    results.entry((n, racer.name)).or_default().push(figures);
                }
            }
        }
    }
    names.sort_unstable();
    print(&results, &names);
    Ok(())
}

/// Starts all servers.
fn line_up(release: &Path, directory: &Path, always: bool, round: usize) -> Result<Vec<Racer>> {
    let mut racers = Vec::new();
    let mut start =
        |name: &'static str, program: &Path, args: &dyn Fn(u16, &str) -> Vec<String>| -> Result<()> {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let dir = directory.join(format!("{name}-{always}-{round}"));
            std::fs::create_dir_all(&dir)?;
            let child = Command::new(program)
                .args(args(port, &dir.to_string_lossy()))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .with_context(|| format!("{name} cannot be started"))?;
            let racer = Racer { name, child, port };
            let until = Instant::now() + Duration::from_secs(20);
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                if Instant::now() > until {
                    bail!("{name} does not listen");
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            racers.push(racer);
            Ok(())
        };
    let sync = if always { "always" } else { "interval" };
    start("filedb", &release.join("filedb-server"), &|port, dir| {
        ["--dir", dir, "--port", &port.to_string(), "--sync", sync].map(String::from).to_vec()
    })?;
    let fsync = if always { "always" } else { "everysec" };
    let like_redis = |port: u16, dir: &str| {
        let port = port.to_string();
        ["--port", &port, "--dir", dir, "--appendonly", "yes", "--appendfsync", fsync, "--save", ""]
            .map(String::from)
            .to_vec()
    };
    start("redis", Path::new("redis-server"), &like_redis)?;
    if tools::is_on_path("valkey-server") {
        start("valkey", Path::new("valkey-server"), &like_redis)?;
    }
    if !always {
        start("empty", &release.join("examples/empty"), &|port, _| vec![port.to_string()])?;
    }
    Ok(racers)
}

/// Processor time of a process in seconds.
fn processor_time(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("no stat")?.1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn ride(course: &Course, racer: &Racer, requests: u64) -> Result<Figures> {
    let requests = match (course.always, course.pipeline) {
        (true, _) => requests / 10,
        (false, 1) => requests,
        (false, _) => requests * 8,
    };
    let before = processor_time(racer.child.id())?;
    let numbers = [
        racer.port.to_string(),
        requests.to_string(),
        course.pipeline.to_string(),
        course.clients.to_string(),
    ];
    let output = Command::new("redis-benchmark")
        .args(["-p", &numbers[0], "-n", &numbers[1], "-P", &numbers[2], "-c", &numbers[3]])
        .args(["-t", course.test, "-r", "10000000", "-d", "100", "--csv"])
        .stderr(Stdio::null())
        .output()
        .context("redis-benchmark cannot be started")?;
    let spent = processor_time(racer.child.id())? - before;
    let text = String::from_utf8_lossy(&output.stdout);
    let line =
        text.lines().rfind(|line| line.to_ascii_lowercase().starts_with(&format!("\"{}\"", course.test)));
    let rate =
        line.and_then(|line| line.split(',').nth(1)).and_then(|rate| rate.trim_matches('"').parse().ok());
    let rate: f64 =
        rate.with_context(|| format!("redis-benchmark said nothing of {}:\n{text}", course.test))?;
    Ok((rate, spent / requests as f64 * 1e6))
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print(results: &BTreeMap<(usize, &str), Vec<Figures>>, names: &[&'static str]) {
    println!(
        "Requests per second, and processor time of the server per request; medians. Ratios are to the best of the others.\n"
    );
    println!(
        "{:14} {:10} {:>12} {:>8} {:>10} {:>8}",
        "test", "server", "requests/s", "ratio", "us/request", "ratio"
    );
    for (n, course) in COURSES.iter().enumerate() {
        let of = |name: &str| -> Option<Figures> {
            let figures = results.get(&(n, name))?;
            Some((
                median(figures.iter().map(|it| it.0).collect()),
                median(figures.iter().map(|it| it.1).collect()),
            ))
        };
        let others =
            names.iter().filter(|name| !["filedb", "empty"].contains(*name)).filter_map(|name| of(name));
        let (rate, time) =
            others.fold((0f64, f64::INFINITY), |best, it| (best.0.max(it.0), best.1.min(it.1)));
        let mut all = vec!["filedb", "redis", "valkey", "empty"];
        all.retain(|name| of(name).is_some());
        for name in all {
            if let Some((its_rate, its_time)) = of(name) {
                println!(
                    "{:14} {name:10} {its_rate:12.0} {:8.2} {its_time:10.2} {:8.2}",
                    course.name,
                    its_rate / rate,
                    its_time / time
                );
            }
        }
    }
}
