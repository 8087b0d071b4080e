//! What the figures say: a row for each course, with a verdict, as a table for people.

use std::fmt::Write as _;

use super::courses::{COURSES, Course, Target};
use super::racers::{CEILING, Figures, OTHERS, OURS};
use super::results::Results;

/// filedb beside the best of the others.
pub struct Row {
    pub course: &'static Course,
    pub ours: Figures,
    /// Of each of the others, and of the ceiling.
    pub others: Vec<(&'static str, Figures)>,
    pub ceiling: Option<Figures>,
    /// Requests per second, as a part of the best of the others'.
    pub rate: f64,
    /// Processor time for a request, likewise.
    pub time: f64,
}

impl Row {
    fn new(course: &'static Course, results: &Results) -> Option<Row> {
        let ours = results.median(course, OURS)?;
        let others: Vec<_> =
            OTHERS.iter().filter_map(|name| Some((*name, results.median(course, name)?))).collect();
        if others.len() < OTHERS.len() {
            return None;
        }
        let rate = others.iter().map(|(_, it)| it.rate).fold(0f64, f64::max);
        let time = others.iter().map(|(_, it)| it.micros).fold(f64::INFINITY, f64::min);
        let ceiling = results.median(course, CEILING);
        Some(Row { course, ours, others, ceiling, rate: ours.rate / rate, time: ours.micros / time })
    }

    pub fn is_met(&self) -> bool {
        match self.course.target {
            Target::Rate(wanted) => self.rate >= wanted,
            Target::Time(wanted) => self.time <= wanted && self.rate >= 1.0,
        }
    }

    /// How many times as good as the best of the others filedb is, in what the target is of; and how good it is to be.
    pub fn ratio(&self) -> (f64, f64) {
        match self.course.target {
            Target::Rate(wanted) => (self.rate, wanted),
            Target::Time(wanted) => (1.0 / self.time, 1.0 / wanted),
        }
    }

    fn target(&self) -> String {
        match self.course.target {
            Target::Rate(wanted) => format!("{wanted} times the requests"),
            Target::Time(wanted) => format!("{wanted} of the time"),
        }
    }
}

pub fn rows(results: &Results) -> Vec<Row> {
    COURSES.iter().filter_map(|course| Row::new(course, results)).collect()
}

fn shown(figures: Figures) -> String {
    format!("{:.0} k/s, {:.2} us", figures.rate / 1e3, figures.micros)
}

/// A document in Markdown. `about` is how it was measured.
pub fn markdown(rows: &[Row], about: &str) -> String {
    let met = rows.iter().filter(|row| row.is_met()).count();
    let mut text = format!(
        "# The server beside Redis and Valkey\n\n\
         Made by `cargo xtask race-server`: {about}.\n\n\
         redis-benchmark with values of 100 bytes and 50 clients, with fsync always 10; all servers with an append-only file, synced each second where \
         nothing else is said. Requests per second, and processor time of the server for a request with what it does behind it (Redis writes its file \
         anew, filedb merges); medians. A ratio is to the best of Redis and Valkey. The empty server answers OK and does nothing else: the ceiling. Keys \
         are any of ten million, so most GETs find none, or, as \"keys that exist\", any of a million that were all set before. **{met} of {} targets \
         are met.**\n\n\
         ![filedb-server beside the best of Redis and Valkey, course by course](server-race.svg)\n\n\
         | course | filedb | Redis | Valkey | empty | requests, ratio | time, ratio | target | |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        rows.len()
    );
    for row in rows {
        let others: Vec<_> = row.others.iter().map(|(_, figures)| shown(*figures)).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.2} | {:.2} | {} | {} |",
            row.course.name,
            shown(row.ours),
            others.join(" | "),
            row.ceiling.map(shown).unwrap_or_default(),
            row.rate,
            row.time,
            row.target(),
            if row.is_met() { "met" } else { "not met" }
        );
    }
    text
}

/// The same for a terminal.
pub fn print(rows: &[Row]) {
    println!(
        "{:28} {:>20} {:>8} {:>8}  {:24} verdict; ratios are to the best of Redis and Valkey",
        "course", "filedb", "requests", "time", "target"
    );
    for row in rows {
        println!(
            "{:28} {:>20} {:8.2} {:8.2}  {:24} {}",
            row.course.name,
            shown(row.ours),
            row.rate,
            row.time,
            row.target(),
            if row.is_met() { "met" } else { "not met" }
        );
    }
    println!("{} of {} targets are met", rows.iter().filter(|row| row.is_met()).count(), rows.len());
}
