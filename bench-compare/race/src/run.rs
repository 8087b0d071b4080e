//! The run: job after job, each figure kept as it comes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::driver::{Driver, Event};
use crate::figures::{Failure, Figures, Sample};
use crate::lines::{LINES, Shape};
use crate::machine::{Ticks, load_average};
use crate::plan::{Effort, Job};

pub struct Run<'a> {
    pub driver: Driver,
    pub figures: Figures,
    /// Where the figures go.
    pub file: &'a Path,
    /// Where the stores lie.
    pub stores: &'a Path,
}

impl Run<'_> {
    /// All jobs that are not done yet. `pause` is called whenever every store has done a group.
    pub fn all(&mut self, jobs: &[Job], mut pause: impl FnMut(&Figures) -> Result<()>) -> Result<()> {
        let left: Vec<_> = jobs.iter().filter(|job| !self.figures.done.contains(&job.id())).collect();
        let mut clock = Clock::new(&left, self.driver.effort);
        println!("{} jobs, about {}", left.len(), minutes(clock.left()));
        let bar = ProgressBar::new(left.len() as u64);
        if let Ok(style) = ProgressStyle::with_template("[{elapsed_precise}] {bar:24} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        for (i, job) in left.iter().enumerate() {
            let began = Instant::now();
            let eta = minutes(clock.left());
            let doing = |row: &str| {
                let what = format!("{} {} {row}", job.engine, job.group.name);
                bar.set_message(format!("{what}, {}; {eta} left", job.shape.name()));
            };
            let samples_before = self.figures.samples.len();
            if let Err(why) = self.one(job, doing) {
                let failure = Failure {
                    shape: job.shape,
                    engine: job.engine.into(),
                    group: job.group.name.into(),
                    repeat: job.repeat,
                    message: format!("{why:#}"),
                };
                bar.suspend(|| println!("{} {}: FAILED: {}", failure.engine, failure.group, failure.message));
                self.figures.failures.push(failure);
            }
            self.figures.done.insert(job.id());
            self.figures.save(self.file)?;
            clock.finished(job, began.elapsed().as_secs_f64());
            let line = partial_results(job, &self.figures.samples[samples_before..]);
            let passed = format!("{:.0} s", began.elapsed().as_secs_f64());
            bar.suspend(|| {
                println!("{:>3}/{} {line}  ({passed}; {} left)", i + 1, left.len(), minutes(clock.left()))
            });
            bar.inc(1);
            let is_group_done = left
                .get(i + 1)
                .is_none_or(|next| (next.group.name, next.shape) != (job.group.name, job.shape));
            if is_group_done {
                pause(&self.figures)?;
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn one(&mut self, job: &Job, doing: impl Fn(&str)) -> Result<()> {
        let parent = self.stores.join("now");
        let directory = parent.join(job.engine);
        let cleared = clear(&parent);
        cleared.and_then(|()| fs::create_dir_all(&parent).context("no directory for the store"))?;
        let outcome = self.processes(job, &directory, doing);
        clear(&parent)?;
        outcome
    }

    fn processes(&mut self, job: &Job, directory: &Path, doing: impl Fn(&str)) -> Result<()> {
        let Run { driver, figures, file, .. } = self;
        for (process, rows) in &job.processes {
            let (load_average, began) = (load_average(), Ticks::now());
            let first = figures.samples.len();
            let outcome =
                driver.run(job.engine, directory, job.shape, job.group.durable, process, rows, |event| {
                    match event {
                        Event::Start { row } => {
                            figures.save(file)?;
                            doing(&row);
                        }
                        Event::Setting { name, value } => remember_setting(figures, job, name, value),
                        Event::Figure { row, figure, value } => figures.samples.push(Sample {
                            shape: job.shape,
                            engine: job.engine.into(),
                            group: job.group.name.into(),
                            repeat: job.repeat,
                            row,
                            figure,
                            value,
                            load_average,
                            stolen: 0.0,
                        }),
                    }
                    Ok(())
                });
            let stolen = Ticks::now().stolen_since(began);
            figures.samples[first..].iter_mut().for_each(|sample| sample.stolen = stolen);
            outcome?;
        }
        Ok(())
    }
}

/// The first process with small values, and the first synced one, tell for all.
fn remember_setting(figures: &mut Figures, job: &Job, name: String, value: String) {
    let title = match (job.group.durable, job.shape.is_small()) {
        (true, _) => format!("{}, synced rows", job.engine),
        (false, true) => job.engine.to_owned(),
        (false, false) => format!("{}, values of {} bytes", job.engine, job.shape.value_size),
    };
    let known = figures.settings.entry(title).or_default();
    if known.iter().all(|(other, _)| *other != name) {
        known.push((name, value));
    }
}

fn clear(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
            Err(why).with_context(|| directory.display().to_string())
        }
        _ => Ok(()),
    }
}

/// The figures of one job in one line of text.
fn partial_results(job: &Job, samples: &[Sample]) -> String {
    let mut text = format!("{:8}", job.engine);
    for line in LINES.iter().filter(|line| line.has_ranking() && line.unit.is_better_high()) {
        let found = samples.iter().find(|sample| sample.row == line.row && sample.figure == line.figure);
        if let Some(sample) = found {
            text += &format!(" {} {}", line.id, line.unit.show(sample.value));
        }
    }
    for sample in samples.iter().filter(|sample| sample.figure.ends_with("_ns")) {
        text += &format!(" {} {:.0} ns", sample.figure.trim_end_matches("_ns"), sample.value);
    }
    format!("{text}, {}", short(job.shape))
}

fn short(shape: Shape) -> String {
    format!("{} x {} B", shape.keys, shape.value_size)
}

fn minutes(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

/// Guesses how long the rest takes: the plan's guess, corrected by how wrong it has been so far for each store.
struct Clock {
    effort: Effort,
    /// Store, guess.
    left: Vec<(&'static str, f64)>,
    /// Store, guess, truth.
    done: Vec<(&'static str, f64, f64)>,
}

impl Clock {
    fn new(jobs: &[&Job], effort: Effort) -> Self {
        let left = jobs.iter().rev().map(|job| (job.engine, job.guessed_seconds(effort))).collect();
        Clock { effort, left, done: Vec::new() }
    }

    fn finished(&mut self, job: &Job, seconds: f64) {
        self.left.pop();
        self.done.push((job.engine, job.guessed_seconds(self.effort), seconds));
    }

    fn left(&self) -> f64 {
        self.left
            .iter()
            .map(|(engine, guess)| guess * self.correction(engine))
            .fold(0.0, |sum, left| sum + left)
    }

    fn correction(&self, engine: &str) -> f64 {
        let own = self.done.iter().filter(|(other, ..)| *other == engine);
        // One second at the guess's word, so that the first job does not decide.
        let (guess, truth) = own.fold((1.0, 1.0), |(guess, truth), (_, g, t)| (guess + g, truth + t));
        truth / guess
    }
}
