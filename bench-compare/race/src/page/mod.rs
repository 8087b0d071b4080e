//! The page: one HTML file without anything from outside, light and dark, each chart with its table behind it.

mod chart;
mod latency;
mod overview;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::figures::Figures;
use crate::lines::{OURS, Shape};
use crate::summary::{self, Outcome};

const STYLE: &str = include_str!("style.css");
/// What a chart of dots needs, which is also a picture by itself.
const DOTS_STYLE: &str = include_str!("dots.css");

/// Whole or not at all. The picture of `cargo xtask race-server` is on it, where that has left one beside the page.
pub fn write(figures: &Figures, file: &Path) -> Result<()> {
    let server = fs::read_to_string(file.with_file_name("server.svg")).ok();
    replace(file, &render(figures, server.as_deref()).into_string())
}

/// The figures of the first shape beside the best peer's, as an SVG file for the README. Whole or not at all.
pub fn write_picture(figures: &Figures, file: &Path) -> Result<()> {
    let shape = figures.shown_shapes().into_iter().next().context("there are no figures to draw")?;
    replace(file, &overview::picture(shape, &summary::outcomes(figures, shape)).into_string())
}

fn replace(file: &Path, text: &str) -> Result<()> {
    let new = file.with_added_extension("new");
    fs::write(&new, text).with_context(|| new.display().to_string())?;
    fs::rename(&new, file).with_context(|| file.display().to_string())
}

fn render(figures: &Figures, server: Option<&str>) -> Markup {
    let shapes: Vec<_> =
        figures.shown_shapes().into_iter().map(|shape| (shape, summary::outcomes(figures, shape))).collect();
    let shapes: Vec<_> = shapes.into_iter().filter(|(_, outcomes)| !outcomes.is_empty()).collect();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "filedb and its peers" }
                style { (PreEscaped(DOTS_STYLE)) (PreEscaped(STYLE)) }
            }
            body {
                (heading(figures))
                main {
                    (targets(&shapes))
                    @for (i, (shape, outcomes)) in shapes.iter().enumerate() {
                        (shape_section(figures, i, *shape, outcomes))
                    }
                    (server_section(server))
                    (settings(figures))
                    (method(figures))
                    (failures(figures))
                }
            }
        }
    }
}

fn heading(figures: &Figures) -> Markup {
    let machine = &figures.machine;
    let (met, all) = summary::score(figures);
    let repeats = 1 + figures.samples.iter().map(|sample| sample.repeat).max().unwrap_or(0);
    html! {
        header {
            h1 { "filedb and its peers" }
            p.lead {
                "The same operations on the same keys, each store through its public API and tuned as its "
                "documentation recommends. Every answer is verified."
            }
            dl.facts {
                div { dt { "Targets met" } dd { strong { (met) } " of " (all) } }
                div { dt { "Repeats" } dd { (repeats) @if figures.effort.is_quick { ", quick" } } }
                div { dt { "Processor" } dd { (machine.processor) ", " (machine.cores) " cores" } }
                div { dt { "Memory" } dd { (format!("{:.0} GiB", machine.memory_bytes as f64 / (1u64 << 30) as f64)) } }
                div { dt { "System" } dd { "Linux " (machine.kernel) ", " (machine.file_system) } }
                div { dt { "Begun" } dd { (date(figures.began)) } }
            }
        }
    }
}

/// A day and time in UTC.
fn date(seconds: u64) -> String {
    // Days to a date after Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
    let z = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (seconds / 3_600 % 24, seconds / 60 % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Every line that has a target, for all shapes.
fn targets(shapes: &[(Shape, Vec<Outcome>)]) -> Markup {
    html! {
        section {
            h2 { "Targets" }
            p {
                "A ratio says how many times as good filedb is as what it is compared with: the best peer of the row, "
                "the bare floor, or itself. More is better, always."
            }
            @for (i, (shape, outcomes)) in shapes.iter().enumerate() { (overview::figure(i, *shape, outcomes)) }
            div.scroll { table {
                thead { tr {
                    th { "Row" } th.n { "filedb" } th { "against" } th.n { } th.n { "ratio" } th.n { "target" } th { }
                } }
                @for (shape, outcomes) in shapes {
                    @if outcomes.iter().any(|outcome| outcome.target.is_some()) {
                        tbody {
                            tr { th.group colspan="7" scope="rowgroup" { (shape.name()) } }
                            @for outcome in outcomes.iter().filter(|outcome| outcome.target.is_some()) {
                                (target_row(outcome))
                            }
                        }
                    }
                }
            } }
        }
    }
}

fn target_row(outcome: &Outcome) -> Markup {
    let unit = outcome.line.unit;
    html! {
        tr {
            td { (outcome.title()) }
            td.n { (outcome.ours.map_or("–".into(), |ours| unit.show(ours.median))) }
            td { (outcome.rival.as_ref().map_or("–", |rival| &rival.name)) }
            td.n { (outcome.rival.as_ref().map_or("–".into(), |rival| unit.show(rival.value))) }
            td.n { (outcome.ratio.map_or("–".into(), summary::ratio)) }
            td.n { (outcome.target.clone().unwrap_or_default()) }
            td { @match outcome.is_met {
                Some(true) => span.met { "✓ met" },
                Some(false) => span.missed { "✗ missed" },
                None => "–",
            } }
        }
    }
}

fn shape_section(figures: &Figures, number: usize, shape: Shape, outcomes: &[Outcome]) -> Markup {
    html! {
        section {
            h2 { (capitalised(&shape.name())) }
            div.charts {
                @for outcome in outcomes.iter().filter(|outcome| has_bars(outcome)) {
                    (chart::figure(&format!("c{number}-{}", outcome.line.id), outcome))
                }
                (latency::figure(figures, shape, outcomes))
            }
        }
    }
}

/// The server's race, which another program measures and draws.
fn server_section(picture: Option<&str>) -> Markup {
    html! {
        @if let Some(picture) = picture {
            section {
                h2 { "The server" }
                p {
                    "Under redis-benchmark, beside the best of Redis and Valkey in each course: cargo xtask race-server, "
                    "whose table is docs/server-race.md."
                }
                figure.wide { (PreEscaped(picture)) }
            }
        }
    }
}

/// The latencies share a chart of their own.
fn has_bars(outcome: &Outcome) -> bool {
    outcome.line.has_ranking() && outcome.line.row != "latency"
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn settings(figures: &Figures) -> Markup {
    html! {
        section {
            h2 { "Settings of each store" }
            div.settings {
                @for (store, settings) in &figures.settings {
                    details open[store == OURS] {
                        summary { (store) }
                        dl { @for (name, value) in settings { dt { (name) } dd { (value) } } }
                    }
                }
            }
        }
    }
}

fn method(figures: &Figures) -> Markup {
    html! {
        section.method {
            h2 { "How it is measured" }
            ul {
                li { "Keys have 16 bytes, in no order; values do not compress, and tell which key and version they belong to. "
                    "A get ends with the value in memory of the caller's, and every byte of it is compared." }
                li { "Each store and group of rows runs in a fresh process and a fresh directory. All stores run a group one "
                    "after the other, in another order each time; then the next group comes. Medians of all repeats." }
                li { "A put is a write of its own that other threads see when it returns, and that a killed process does not "
                    "lose. redb and sled have no such write without a sync; they run with their nearest setting, and lose "
                    "what came last." }
                li { "Reads are measured for " (figures.effort.seconds) " s, loads by single puts for "
                    (figures.effort.load_seconds) " s at most; a slower store gets its remaining keys in batches, off the clock." }
                li { "Caches: a quarter of the memory for each store that has one. Files are in the page cache throughout." }
                li { "The floor is no store: a loop in the same program that does one slot of a hash table and one copy of a "
                    "record in a mapped file, without checksums, locks or growth." }
                li { "Bars show medians, whiskers the lowest and the highest measurement." }
                li { "In synced rows sled is shown, not counted: its flush calls sync_file_range, which does not make the "
                    "disk keep what it got." }
            }
        }
    }
}

fn failures(figures: &Figures) -> Markup {
    html! {
        @if !figures.failures.is_empty() {
            section {
                h2 { "Failures" }
                ul { @for failure in &figures.failures {
                    li { b { (failure.engine) } ", " (failure.group) ", " (failure.shape.name()) ": " (failure.message) }
                } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(1_709_164_800), "2024-02-29 00:00 UTC");
        assert_eq!(date(1_772_323_260), "2026-03-01 00:01 UTC");
    }

    #[test]
    fn a_page_without_figures_is_a_page() {
        assert!(render(&Figures::default(), None).into_string().contains("</html>"));
        assert!(render(&Figures::default(), Some("<svg></svg>")).into_string().contains("<svg></svg>"));
    }
}
