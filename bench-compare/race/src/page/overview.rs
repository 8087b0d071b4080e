//! All ratios that have a target, on one logarithmic axis: where filedb stands, and where it is to be.

use maud::{Markup, PreEscaped, html};

use super::DOTS_STYLE;
use crate::lines::{FLOOR, Shape};
use crate::summary::{self, Outcome};

const WIDTH: f64 = 1160.0;
const NAMES: f64 = 400.0;
const RIGHT: f64 = 130.0;
const STEP: f64 = 28.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 42.0;
/// The height of the title of a picture.
const TITLE: f64 = 40.0;
/// The decimal logarithms of the ends: a tenth of the rival to thirty times.
const LOW: f64 = -1.0;
const HIGH: f64 = 1.5;
const TICKS: [(f64, &str); 6] =
    [(0.1, "0.1 ×"), (0.3, "0.3 ×"), (1.0, "as good"), (3.0, "3 ×"), (10.0, "10 ×"), (30.0, "30 ×")];

pub fn figure(number: usize, shape: Shape, outcomes: &[Outcome]) -> Markup {
    let rows: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome, outcome.ratio?, outcome.wanted_ratio?)))
        .collect();
    let id = format!("overview-{number}");
    html! {
        @if !rows.is_empty() {
            figure.wide {
                figcaption id=(id) { "filedb against the best peer, the floor or itself: " (shape.name()) }
                (dots(&id, &rows))
            }
        }
    }
}

/// The rows in which filedb is compared with another store, as a picture that stands by itself.
pub fn picture(shape: Shape, outcomes: &[Outcome]) -> Markup {
    let is_of_peer = |outcome: &&Outcome| {
        outcome.rival.as_ref().is_some_and(|rival| rival.name != FLOOR && !rival.name.starts_with("its own"))
    };
    let rows: Vec<_> = outcomes
        .iter()
        .filter(is_of_peer)
        .filter_map(|outcome| Some((outcome, outcome.ratio?, outcome.wanted_ratio?)))
        .collect();
    let height = height(rows.len());
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {}", height + TITLE)) font-family="sans-serif" font-size="13" {
            style { (PreEscaped(DOTS_STYLE)) }
            rect width="100%" height="100%" style="fill: var(--card)" {}
            text x="14" y="24" style="fill: var(--ink); font-weight: 600; font-size: 16px" id="picture" {
                "filedb against the best of the other stores: " (shape.name())
            }
            svg x="0" y=(TITLE) width=(WIDTH) height=(height) { (dots("picture", &rows)) }
        }
    }
}

fn height(rows: usize) -> f64 {
    TOP + STEP * rows as f64 + BOTTOM
}

fn x(ratio: f64) -> f64 {
    let share = (ratio.max(f64::MIN_POSITIVE).log10() - LOW) / (HIGH - LOW);
    NAMES + share.clamp(0.0, 1.0) * (WIDTH - NAMES - RIGHT)
}

fn dots(id: &str, rows: &[(&Outcome, f64, f64)]) -> Markup {
    let height = height(rows.len());
    let floor = height - BOTTOM;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-labelledby=(id) {
            circle.mark.good cx=(NAMES + 6.0) cy="10" r="5" {}
            text.legend x=(NAMES + 17.0) y="14.5" { "target met" }
            circle.mark.bad cx=(NAMES + 116.0) cy="10" r="5" {}
            text.legend x=(NAMES + 127.0) y="14.5" { "missed" }
            line.wanted x1=(NAMES + 200.0) x2=(NAMES + 200.0) y1="3" y2="17" {}
            text.legend x=(NAMES + 208.0) y="14.5" { "target" }
            @for (ratio, label) in TICKS {
                line.grid.one[ratio == 1.0] x1=(px(x(ratio))) x2=(px(x(ratio))) y1=(TOP) y2=(floor) {}
                text.tick x=(px(x(ratio))) y=(floor + 16.0) { (label) }
            }
            text.axis x=(px((NAMES + WIDTH - RIGHT) / 2.0)) y=(floor + 35.0) {
                "ratio, logarithmic; more is better"
            }
            @for (i, (outcome, ratio, wanted)) in rows.iter().enumerate() {
                @let y = TOP + STEP * (i as f64 + 0.5);
                @let kind = if outcome.is_met == Some(true) { "good" } else { "bad" };
                text.name x=(NAMES - 14.0) y=(px(y + 4.5)) { (outcome.title()) }
                line.stem x1=(px(x(1.0))) x2=(px(x(*ratio))) y1=(px(y)) y2=(px(y)) {}
                line.wanted x1=(px(x(*wanted))) x2=(px(x(*wanted))) y1=(px(y - 8.0)) y2=(px(y + 8.0)) {}
                circle class=(format!("mark {kind}")) cx=(px(x(*ratio))) cy=(px(y)) r="6" {}
                text.against x=(WIDTH - RIGHT + 16.0) y=(px(y + 4.5)) {
                    tspan.ratio { (summary::ratio(*ratio)) " ×" }
                    @if let Some(rival) = &outcome.rival { " " (short(&rival.name)) }
                }
            }
        }
    }
}

/// The store alone: the row says the rest.
fn short(rival: &str) -> &str {
    rival.split(',').next().unwrap_or(rival)
}

fn px(n: f64) -> String {
    format!("{n:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_the_axis_is_drawn_at_its_end() {
        assert_eq!(x(0.0), NAMES);
        assert_eq!(x(1e9), WIDTH - RIGHT);
        assert!(x(1.0) > NAMES && x(1.0) < x(2.0));
    }

    #[test]
    fn a_picture_names_what_it_shows_and_needs_nothing_else() {
        let shape = Shape { keys: 1_000_000, value_size: 100, ..Shape::default() };
        let drawn = picture(shape, &[]).into_string();
        assert!(drawn.contains("1 million keys") && drawn.contains("xmlns"));
    }
}
