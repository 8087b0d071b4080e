//! Servers that race: how they are started and filled, and what processor time they took.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::courses::{Course, Stage};

/// The programs.
pub struct Programs {
    pub filedb: PathBuf,
    pub empty: PathBuf,
    pub valkey: PathBuf,
}

impl Programs {
    /// Which versions race.
    pub fn versions(&self) -> Result<String> {
        let version = |program: &Path| -> Result<String> {
            let said = Command::new(program).arg("--version").output().context("no version is told")?;
            let text = String::from_utf8_lossy(&said.stdout).into_owned();
            let word = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
            Ok(word.with_context(|| format!("{} tells no version: {text}", program.display()))?.to_owned())
        };
        Ok(format!("Redis {}, Valkey {}", version(Path::new("redis-server"))?, version(&self.valkey)?))
    }
}

pub const OURS: &str = "filedb";
pub const CEILING: &str = "empty";
pub const OTHERS: [&str; 2] = ["redis", "valkey"];

pub struct Racer {
    pub name: &'static str,
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
#[derive(Clone, Copy)]
pub struct Figures {
    pub rate: f64,
    pub micros: f64,
}

/// Starts all servers, in directories of their own below `directory`. They append to a file, and sync it each second or, in [`Stage::Always`],
/// before each reply.
pub fn line_up(programs: &Programs, directory: &Path, stage: Stage) -> Result<Vec<Racer>> {
    let mut racers = Vec::new();
    let mut start =
        |name: &'static str, program: &Path, args: &dyn Fn(u16, &str) -> Vec<String>| -> Result<()> {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let dir = directory.join(name);
            fs::create_dir_all(&dir)?;
            let child = Command::new(program)
                .args(args(port, &dir.to_string_lossy()))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .with_context(|| format!("{name} cannot be started"))?;
            let racer = Racer { name, child, port };
            let until = Instant::now() + Duration::from_secs(20);
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                ensure!(Instant::now() < until, "{name} does not listen");
                std::thread::sleep(Duration::from_millis(20));
            }
            racers.push(racer);
            Ok(())
        };
    let (sync, fsync) = match stage {
        Stage::Always => ("always", "always"),
        _ => ("interval", "everysec"),
    };
    start(OURS, &programs.filedb, &|port, dir| {
        ["--dir", dir, "--port", &port.to_string(), "--sync", sync].map(String::from).to_vec()
    })?;
    let like_redis = |port: u16, dir: &str| {
        let port = port.to_string();
        ["--port", &port, "--dir", dir, "--appendonly", "yes", "--appendfsync", fsync, "--save", ""]
            .map(String::from)
            .to_vec()
    };
    start("redis", Path::new("redis-server"), &like_redis)?;
    start("valkey", &programs.valkey, &like_redis)?;
    start(CEILING, &programs.empty, &|port, _| vec![port.to_string()])?;
    if stage == Stage::Loaded {
        for racer in racers.iter().filter(|racer| racer.name != CEILING) {
            racer.load(stage.keys())?;
        }
    }
    Ok(racers)
}

impl Racer {
    /// Sets each key that redis-benchmark may choose among so many.
    fn load(&self, keys: u64) -> Result<()> {
        const AT_ONCE: u64 = 1000;
        const REPLY: &[u8] = b"+OK\r\n";
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let mut replies = BufReader::new(stream.try_clone()?);
        let value = "x".repeat(100);
        for from in (0..keys).step_by(AT_ONCE as usize) {
            let mut bytes = Vec::new();
            for n in from..keys.min(from + AT_ONCE) {
                write!(bytes, "*3\r\n$3\r\nSET\r\n$16\r\nkey:{n:012}\r\n$100\r\n{value}\r\n")?;
            }
            stream.write_all(&bytes)?;
            let mut replied = vec![0; (keys.min(from + AT_ONCE) - from) as usize * REPLY.len()];
            replies.read_exact(&mut replied)?;
            ensure!(replied.chunks(REPLY.len()).all(|reply| reply == REPLY), "{} sets no keys", self.name);
        }
        self.settle().map(drop)
    }

    /// One run of redis-benchmark. What the server does behind it because of it (Redis writes its file anew in a child, filedb merges) counts
    /// too, and is over before the next run begins.
    pub fn ride(&self, course: &Course, requests: u64) -> Result<Figures> {
        let before = self.settle()?;
        let numbers = [
            self.port.to_string(),
            requests.to_string(),
            course.pipeline.to_string(),
            course.clients().to_string(),
            course.stage.keys().to_string(),
        ];
        let output = Command::new("redis-benchmark")
            .args(["-p", &numbers[0], "-n", &numbers[1], "-P", &numbers[2], "-c", &numbers[3]])
            .args(["-t", course.test, "-r", &numbers[4], "-d", "100", "--csv"])
            .stderr(Stdio::null())
            .output()
            .context("redis-benchmark cannot be started")?;
        let spent = self.settle()? - before;
        let text = String::from_utf8_lossy(&output.stdout);
        let test = format!("\"{}\"", course.test);
        let line = text.lines().rfind(|line| line.to_ascii_lowercase().starts_with(&test));
        let rate = line.and_then(|line| line.split(',').nth(1)?.trim_matches('"').parse().ok());
        let rate =
            rate.with_context(|| format!("redis-benchmark said nothing of {}:\n{text}", course.test))?;
        Ok(Figures { rate, micros: spent / requests as f64 * 1e6 })
    }

    /// Waits until the server has nothing to do, and gives its processor time in seconds, with that of its children. Some servers have always
    /// a little to do; and after ten seconds it is as it is.
    fn settle(&self) -> Result<f64> {
        const LOOK: Duration = Duration::from_millis(150);
        let until = Instant::now() + Duration::from_secs(10);
        let mut before = processor_time(self.child.id())?;
        loop {
            std::thread::sleep(LOOK);
            let now = processor_time(self.child.id())?;
            if now - before < 0.1 * LOOK.as_secs_f64() || Instant::now() > until {
                return Ok(now);
            }
            before = now;
        }
    }
}

/// Processor time of a process and all children that it ever had, in seconds.
fn processor_time(process: u32) -> Result<f64> {
    let all = times()?;
    let Some((_, own)) = all.get(&process) else { bail!("process {process} has ended") };
    // Those that it waited for are among its own.
    let children = all.values().filter(|(parent, _)| *parent == process).map(|(_, time)| time);
    let ticks = own + children.sum::<u64>();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// All processes: the parent of each, and its processor time in ticks, with that of its children that have ended.
fn times() -> Result<BTreeMap<u32, (u32, u64)>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        let fields = stat.rsplit_once(')').context("a stat of another form")?.1;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let mut time = 0;
        for field in &fields[11..15] {
            time += field.parse::<u64>()?;
        }
        all.insert(process, (fields[1].parse()?, time));
    }
    Ok(all)
}
