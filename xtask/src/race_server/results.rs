//! Figures of all runs, in a file that grows as they are measured: a race that was stopped goes on from there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::courses::{COURSES, Course, Stage};
use super::racers::{CEILING, Figures, OTHERS, OURS};

/// See the module.
pub struct Results {
    file: PathBuf,
    /// What the figures are of: others do not go on with them.
    about: String,
    /// By course and server; one for each round.
    figures: BTreeMap<(&'static str, &'static str), Vec<Figures>>,
    /// Rounds that were whole, by stage.
    rounds: BTreeMap<&'static str, usize>,
}

impl Results {
    /// None yet.
    pub fn new(file: &Path, about: &str) -> Results {
        let (figures, rounds) = Default::default();
        Results { file: file.to_owned(), about: about.to_owned(), figures, rounds }
    }

    /// The figures in a file.
    pub fn load(file: &Path) -> Result<Results> {
        let text = fs::read_to_string(file)
            .with_context(|| format!("there is nothing to go on with: {}", file.display()))?;
        let mut lines = text.lines();
        let mut results = Results::new(file, lines.next().context("the file of figures is empty")?);
        for line in lines {
            let wrong = || format!("no line of figures: {line}");
            let words: Vec<&str> = line.split('\t').collect();
            let [course, server, rate, micros] = words.as_slice() else {
                let stage = line.strip_prefix("whole\t").with_context(wrong)?;
                let stage =
                    super::courses::STAGES.iter().find(|it| it.name() == stage).with_context(wrong)?;
                *results.rounds.entry(stage.name()).or_default() += 1;
                continue;
            };
            let course = COURSES.iter().find(|it| it.name == *course).with_context(wrong)?;
            let server =
                [OURS, CEILING].into_iter().chain(OTHERS).find(|it| it == server).with_context(wrong)?;
            let figures = Figures { rate: rate.parse()?, micros: micros.parse()? };
            results.figures.entry((course.name, server)).or_default().push(figures);
        }
        Ok(results)
    }

    /// Refuses what was measured otherwise.
    pub fn ensure_about(&self, about: &str) -> Result<()> {
        ensure!(self.about == about, "the figures are of another race: {}; this one is {about}", self.about);
        Ok(())
    }

    pub fn about(&self) -> &str {
        &self.about
    }

    /// How many rounds of a stage there are.
    pub fn rounds(&self, stage: Stage) -> usize {
        self.rounds.get(stage.name()).copied().unwrap_or(0)
    }

    /// Adds a round of a stage, whole.
    pub fn add(&mut self, stage: Stage, measured: &[(&'static Course, &'static str, Figures)]) -> Result<()> {
        let mut text = match self.file.exists() {
            true => fs::read_to_string(&self.file)?,
            false => format!("{}\n", self.about),
        };
        for (course, server, figures) in measured {
            let _ = writeln!(text, "{}\t{server}\t{}\t{}", course.name, figures.rate, figures.micros);
            self.figures.entry((course.name, server)).or_default().push(*figures);
        }
        let _ = writeln!(text, "whole\t{}", stage.name());
        *self.rounds.entry(stage.name()).or_default() += 1;
        let new = self.file.with_extension("new");
        fs::write(&new, text)?;
        Ok(fs::rename(&new, &self.file)?)
    }

    /// Of a course and a server.
    pub fn median(&self, course: &Course, server: &str) -> Option<Figures> {
        let all = self.figures.get(&(course.name, server))?;
        Some(Figures {
            rate: median(all.iter().map(|it| it.rate).collect()),
            micros: median(all.iter().map(|it| it.micros).collect()),
        })
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let (low, high) = (numbers.len().saturating_sub(1) / 2, numbers.len() / 2);
    match (numbers.get(low), numbers.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}
