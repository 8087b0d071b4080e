//! One small program in five languages, `examples/*/shortener`: each is held to the same words, and to what a kill leaves.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

const URL: &str = "https://example.org/a/long/way?to=go";
const MOST_LINES: usize = 60;

/// `program` and `arguments` are how the shortener is run, for instance `python shortener.py`; `source` is its text.
pub fn check(source: &Path, program: impl AsRef<OsStr>, arguments: &[&OsStr]) -> Result<()> {
    let lines = std::fs::read_to_string(source)?.lines().count();
    ensure!(lines <= MOST_LINES, "{} has {lines} lines, more than {MOST_LINES}", source.display());
    let directory = tempfile::tempdir()?;
    let shortener =
        Shortener { program: program.as_ref(), arguments, store: &directory.path().join("store") };
    shortener.keeps_names().and_then(|()| shortener.counts_every_visit()).and_then(|()| shortener.is_killed())
}

struct Shortener<'a> {
    program: &'a OsStr,
    arguments: &'a [&'a OsStr],
    store: &'a Path,
}

impl Shortener<'_> {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(self.arguments).arg(self.store).args(words).stdin(Stdio::null());
        command
    }

    /// What it prints, and whether it ended well.
    fn run(&self, words: &[&str]) -> Result<(String, bool)> {
        let output =
            self.command(words).output().with_context(|| format!("{:?} cannot run", self.program))?;
        Ok((String::from_utf8(output.stdout)?, output.status.success()))
    }

    fn does(&self, words: &[&str]) -> Result<String> {
        let (said, well) = self.run(words)?;
        ensure!(well, "{:?} {words:?} failed, and printed:\n{said}", self.program);
        Ok(said)
    }

    fn keeps_names(&self) -> Result<()> {
        for name in ["rust", "go", "python"] {
            self.does(&["add", name, URL, "3600"])?;
        }
        ensure!(!self.run(&["add", "go", "https://example.net", "60"])?.1, "a name was given twice");
        ensure!(!self.run(&["visit", "nobody", "1"])?.1, "a name that is not there was visited");
        ensure!(self.does(&["list"])? == "go\npython\nrust\n", "the names are not all there in order");

        self.does(&["add", "brief", URL, "1"])?;
        let begun = Instant::now();
        while self.does(&["list"])?.contains("brief") {
            ensure!(
                begun.elapsed() < Duration::from_secs(60),
                "a name of one second is there after a minute"
            );
        }
        ensure!(!self.run(&["visit", "brief", "1"])?.1, "a name that ended was visited");
        Ok(())
    }

    fn counts_every_visit(&self) -> Result<()> {
        let said = self.does(&["visit", "go", "100"])?;
        let mut hits = said.lines().map(hits).collect::<Result<Vec<_>>>()?;
        hits.sort_unstable();
        ensure!(hits == (1..=400).collect::<Vec<_>>(), "four threads of 100 visits counted {hits:?}");
        Ok(())
    }

    /// Every number that it printed was counted, though it was killed in the middle of it.
    fn is_killed(&self) -> Result<()> {
        let mut child = self.command(&["visit", "go", "1000000"]).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let (mut line, mut most, mut count) = (String::new(), 0, 0);
        while lines.read_line(&mut line)? > 0 {
            if line.ends_with('\n') {
                most = most.max(hits(&line)?);
                count += 1;
            }
            if count == 1000 {
                child.kill()?;
            }
            line.clear();
        }
        child.wait()?;
        ensure!(count >= 1000, "it ended by itself after {count} visits");
        let said = self.does(&["visit", "go", "1"])?;
        let least = said.lines().map(hits).collect::<Result<Vec<_>>>()?.into_iter().min();
        ensure!(least > Some(most), "{most} visits were printed before the kill, and the next was {least:?}");
        Ok(())
    }
}

/// The number in a line `URL NUMBER`.
fn hits(line: &str) -> Result<u64> {
    let number = line.trim_end().strip_prefix(URL).and_then(|rest| rest.strip_prefix(' '));
    number.and_then(|number| number.parse().ok()).with_context(|| format!("a visit printed '{line}'"))
}
