//! Starts the driver and reads what it prints: `report.h` in ../../driver says what that is.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::group::ControlGroup;
use crate::lines::Shape;
use crate::plan::{Effort, Process};

pub struct Driver {
    pub program: PathBuf,
    pub cores: usize,
    pub memory_bytes: u64,
    pub effort: Effort,
}

/// One line of the driver's output.
pub enum Event {
    Setting { name: String, value: String },
    Start { row: String },
    Figure { row: String, figure: String, value: f64 },
}

const CACHE_SHARE: u64 = 4;
/// Past this a process is taken for hung.
const LONGEST: Duration = Duration::from_secs(20 * 60);
const SIGKILL: i32 = 9;

impl Driver {
    /// What the stores with a cache of their own get: this part of the memory, as fjall advises and RocksDB nearly does.
    fn cache_bytes(&self, shape: Shape) -> u64 {
        let memory = if shape.memory_bytes > 0 { shape.memory_bytes } else { self.memory_bytes };
        memory / CACHE_SHARE
    }

    /// Runs one process to its end and tells `watch` all it says. An error when it fails, with its reason.
    #[allow(clippy::too_many_arguments, reason = "each is a different thing, and there is one caller")]
    pub fn run(
        &self,
        engine: &str,
        directory: &Path,
        shape: Shape,
        durable: bool,
        process: &Process,
        rows: &[&str],
        mut watch: impl FnMut(Event) -> Result<()>,
    ) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.arg("--engine").arg(engine).arg("--dir").arg(directory).arg("--rows").arg(rows.join(","));
        let numbers = [
            ("--keys", shape.keys.to_string()),
            ("--value-size", shape.value_size.to_string()),
            ("--threads", self.cores.to_string()),
            ("--cache-bytes", self.cache_bytes(shape).to_string()),
            ("--seconds", self.effort.seconds.to_string()),
            ("--load-seconds", self.effort.load_seconds.to_string()),
            ("--operations", self.effort.operations.to_string()),
        ];
        for (name, number) in numbers {
            command.arg(name).arg(number);
        }
        let group = (shape.memory_bytes > 0).then(|| ControlGroup::new(shape.memory_bytes)).transpose()?;
        if let Some(group) = &group {
            command.arg("--memory-bytes").arg(shape.memory_bytes.to_string());
            command.arg("--group").arg(group.members());
        }
        if durable {
            command.arg("--durable");
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let outcome = listen(&mut child, &mut watch);
        if outcome.is_err() {
            child.kill()?;
        }
        let status = child.wait()?;
        let complaint = outcome?;
        if ended_well(status, process.dies) {
            return Ok(());
        }
        bail!("{status}: {}", complaint.trim())
    }
}

fn ended_well(status: ExitStatus, dies: bool) -> bool {
    if dies { status.signal() == Some(SIGKILL) } else { status.success() }
}

/// Returns what the child printed to its standard error, once it has closed its outputs.
fn listen(child: &mut Child, watch: &mut impl FnMut(Event) -> Result<()>) -> Result<String> {
    let output = child.stdout.take().context("the driver has no output")?;
    let mut errors = child.stderr.take().context("the driver has no error output")?;
    let (sender, lines) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for line in BufReader::new(output).lines() {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let complaint = scope.spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text
        });
        let began = Instant::now();
        let outcome = loop {
            match lines.recv_timeout(LONGEST.saturating_sub(began.elapsed())) {
                Ok(line) => {
                    if let Err(why) = line.map_err(Into::into).and_then(|line| watch(parse(&line)?)) {
                        break Err(why);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
                Err(RecvTimeoutError::Timeout) => break Err(anyhow::anyhow!("no end after {LONGEST:?}")),
            }
        };
        if outcome.is_err() {
            child.kill()?;
        }
        drop(lines);
        let complaint = complaint.join().unwrap_or_default();
        outcome.map(|()| complaint)
    })
}

fn parse(line: &str) -> Result<Event> {
    let fields: Vec<_> = line.split('\t').collect();
    Ok(match fields[..] {
        ["setting", name, value] => Event::Setting { name: name.into(), value: value.into() },
        ["start", row] => Event::Start { row: row.into() },
        ["figure", row, figure, value] => Event::Figure {
            row: row.into(),
            figure: figure.into(),
            value: value.parse().with_context(|| format!("no number: {line}"))?,
        },
        _ => bail!("the driver said: {line}"),
    })
}
