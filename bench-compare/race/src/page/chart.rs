//! One row as horizontal bars, the best on top, with a table behind it.

use maud::{Markup, html};

use crate::lines::{FLOOR, OURS, OURS_ORDERED, OURS_PREAD, Unit};
use crate::summary::{self, Entry, Outcome};

const WIDTH: f64 = 560.0;
const NAMES: f64 = 72.0;
const LABELS: f64 = 84.0;
const BAR: f64 = 16.0;
const STEP: f64 = 24.0;
const TOP: f64 = 6.0;
const BOTTOM: f64 = 40.0;

pub fn figure(id: &str, outcome: &Outcome) -> Markup {
    html! {
        figure {
            figcaption id=(id) { (outcome.title()) }
            (bars(id, outcome))
            (table(outcome))
        }
    }
}

fn bars(id: &str, outcome: &Outcome) -> Markup {
    let unit = outcome.line.unit;
    let largest = outcome.ranking.iter().map(|entry| entry.spread.high).fold(f64::MIN_POSITIVE, f64::max);
    let ticks = ticks(largest);
    let end = ticks.last().copied().unwrap_or(largest).max(largest);
    let x = |value: f64| NAMES + value / end * (WIDTH - NAMES - LABELS);
    let height = TOP + STEP * outcome.ranking.len() as f64 + BOTTOM;
    let floor = height - BOTTOM;
    let better = if unit.is_better_high() { "more is better" } else { "less is better" };
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-labelledby=(id) {
            @for &tick in &ticks {
                line.grid x1=(px(x(tick))) x2=(px(x(tick))) y1=(TOP) y2=(floor) {}
                text.tick x=(px(x(tick))) y=(floor + 15.0) { (tick_label(unit, tick)) }
            }
            text.axis x=(px((NAMES + WIDTH - LABELS) / 2.0)) y=(floor + 33.0) { (unit.title()) ", " (better) }
            @for (i, entry) in outcome.ranking.iter().enumerate() {
                (bar(unit, entry, TOP + STEP * i as f64, &x))
            }
        }
    }
}

fn bar(unit: Unit, entry: &Entry, y: f64, x: &impl Fn(f64) -> f64) -> Markup {
    let spread = entry.spread;
    let kind = match entry.engine {
        OURS | OURS_PREAD | OURS_ORDERED => "ours",
        FLOOR => "floor",
        _ if entry.discounted.is_some() => "discounted",
        _ => "peer",
    };
    let (middle, end) = (y + STEP / 2.0, x(spread.median));
    let baseline = middle + 4.5;
    html! {
        g class=(kind) {
            text.name x=(NAMES - 8.0) y=(px(baseline)) { (entry.engine) }
            rect.bar x=(NAMES) y=(px(middle - BAR / 2.0)) width=(px((end - NAMES).max(1.0))) height=(BAR) rx="2" {}
            @if spread.count > 1 {
                path.whisker d=(format!("M{} {m}H{}M{l} {a}V{b}M{h} {a}V{b}", px(x(spread.low)), px(x(spread.high)),
                    m = px(middle), l = px(x(spread.low)), h = px(x(spread.high)), a = px(middle - 3.0), b = px(middle + 3.0))) {}
            }
            text.value x=(px(x(spread.high.max(spread.median)) + 7.0)) y=(px(baseline)) { (unit.show(spread.median)) }
        }
    }
}

fn px(n: f64) -> String {
    format!("{n:.1}")
}

/// Round numbers from 0 to just past `largest`, four or five of them.
fn ticks(largest: f64) -> Vec<f64> {
    let rough = largest / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|n| n * power).find(|step| *step >= rough).unwrap_or(rough);
    (0..=(largest / step).ceil() as u32).map(|i| f64::from(i) * step).collect()
}

/// As a figure, without needless zeros.
fn tick_label(unit: Unit, tick: f64) -> String {
    if tick == 0.0 {
        return "0".into();
    }
    let text = unit.show(tick);
    let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{}", rest.trim_end_matches("/s"))
}

fn table(outcome: &Outcome) -> Markup {
    let unit = outcome.line.unit;
    let ours = outcome.ours.map(|ours| ours.median);
    html! {
        details {
            summary { "Table" }
            div.scroll { table {
                thead { tr {
                    th { "Store" } th.n { "median" } th.n { "lowest" } th.n { "highest" } th.n { "n" } th.n { "filedb is" }
                } }
                tbody { @for entry in &outcome.ranking {
                    tr {
                        td { (entry.engine) @if let Some(why) = entry.discounted { " (not counted: " (why) ")" } }
                        td.n { (unit.show(entry.spread.median)) }
                        td.n { (unit.show(entry.spread.low)) }
                        td.n { (unit.show(entry.spread.high)) }
                        td.n { (entry.spread.count) }
                        td.n { @if let Some(ours) = ours { (times(unit, ours, entry.spread.median)) } }
                    }
                } }
            } }
        }
    }
}

fn times(unit: Unit, ours: f64, theirs: f64) -> String {
    format!("{} ×", summary::ratio(if unit.is_better_high() { ours / theirs } else { theirs / ours }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_past_the_largest() {
        assert_eq!(ticks(3.7), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(ticks(1_900_000.0), [0.0, 500_000.0, 1_000_000.0, 1_500_000.0, 2_000_000.0]);
        assert_eq!(tick_label(Unit::PerSecond, 500_000.0), "500 k");
        assert_eq!(tick_label(Unit::PerSecond, 2_000_000.0), "2 M");
    }
}
