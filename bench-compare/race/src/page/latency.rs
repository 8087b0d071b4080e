//! The latencies of a get while another thread loads: three dots for each store on one logarithmic axis.

use maud::{Markup, html};

use crate::figures::Figures;
use crate::lines::{OURS, Shape, Unit};
use crate::summary::Outcome;

const WIDTH: f64 = 560.0;
const NAMES: f64 = 72.0;
const RIGHT: f64 = 24.0;
const STEP: f64 = 26.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 40.0;
const POINTS: [(&str, &str); 3] = [("latency_p50", "p50"), ("latency_p99", "p99"), ("latency_p999", "p99.9")];

struct Row {
    engine: &'static str,
    nanos: Vec<f64>,
    puts_per_second: Option<f64>,
}

pub fn figure(figures: &Figures, shape: Shape, outcomes: &[Outcome]) -> Markup {
    let find = |id: &str| outcomes.iter().find(|outcome| outcome.line.id == id);
    let lines: Vec<_> = POINTS.iter().filter_map(|(id, _)| find(id)).collect();
    let Some(median) = lines.first() else { return html! {} };
    let rows = median.ranking.iter().map(|entry| Row {
        engine: entry.engine,
        nanos: lines
            .iter()
            .filter_map(|line| line.ranking.iter().find(|other| other.engine == entry.engine))
            .map(|other| other.spread.median)
            .collect(),
        puts_per_second: figures.median(shape, entry.engine, "latency", "puts_per_second"),
    });
    let rows: Vec<_> = rows.collect();
    html! {
        figure {
            figcaption id="latency" { "Get while another thread loads: p50, p99, p99.9" }
            (dots(&rows))
            (table(&rows))
        }
    }
}

fn dots(rows: &[Row]) -> Markup {
    let all = || rows.iter().flat_map(|row| row.nanos.iter().copied());
    let first = all().fold(f64::INFINITY, f64::min).max(1.0).log10().floor();
    let last = all().fold(1.0, f64::max).log10().ceil().max(first + 1.0);
    let x = |nanos: f64| NAMES + (nanos.max(1.0).log10() - first) / (last - first) * (WIDTH - NAMES - RIGHT);
    let height = TOP + STEP * rows.len() as f64 + BOTTOM;
    let floor = height - BOTTOM;
    let decades = (first as i32..=last as i32).map(|decade| 10f64.powi(decade));
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-labelledby="latency" {
            @for decade in decades {
                line.grid x1=(px(x(decade))) x2=(px(x(decade))) y1=(TOP) y2=(floor) {}
                text.tick x=(px(x(decade))) y=(floor + 15.0) { (decade_label(decade)) }
            }
            text.axis x=(px((NAMES + WIDTH - RIGHT) / 2.0)) y=(floor + 33.0) { "time of one get, logarithmic; less is better" }
            @for (i, (_, name)) in POINTS.iter().enumerate() {
                circle class=(format!("dot p{i}")) cx=(px(NAMES + 6.0 + 70.0 * i as f64)) cy="10" r="4.5" {}
                text.legend x=(px(NAMES + 16.0 + 70.0 * i as f64)) y="14" { (name) }
            }
            @for (i, row) in rows.iter().enumerate() {
                @let y = TOP + STEP * (i as f64 + 0.5);
                g class=(if row.engine == OURS { "ours" } else { "peer" }) {
                    text.name x=(NAMES - 8.0) y=(px(y + 4.5)) { (row.engine) }
                    @if let (Some(low), Some(high)) = (row.nanos.first(), row.nanos.last()) {
                        line.range x1=(px(x(*low))) x2=(px(x(*high))) y1=(px(y)) y2=(px(y)) {}
                    }
                    @for (k, nanos) in row.nanos.iter().enumerate() {
                        circle class=(format!("dot p{k}")) cx=(px(x(*nanos))) cy=(px(y)) r="5" {
                            title { (row.engine) " " (POINTS[k].1) ": " (Unit::Nanoseconds.show(*nanos)) }
                        }
                    }
                }
            }
        }
    }
}

fn decade_label(nanos: f64) -> String {
    match nanos {
        n if n >= 1e9 => format!("{:.0} s", n / 1e9),
        n if n >= 1e6 => format!("{:.0} ms", n / 1e6),
        n if n >= 1e3 => format!("{:.0} µs", n / 1e3),
        n => format!("{n:.0} ns"),
    }
}

fn px(n: f64) -> String {
    format!("{n:.1}")
}

fn table(rows: &[Row]) -> Markup {
    html! {
        details {
            summary { "Table" }
            div.scroll { table {
                thead { tr {
                    th { "Store" }
                    @for (_, name) in POINTS.iter() { th.n { (name) } }
                    th.n { "puts meanwhile" }
                } }
                tbody { @for row in rows {
                    tr {
                        td { (row.engine) }
                        @for nanos in &row.nanos { td.n { (Unit::Nanoseconds.show(*nanos)) } }
                        td.n { (row.puts_per_second.map_or("–".into(), |puts| Unit::PerSecond.show(puts))) }
                    }
                } }
            } }
        }
    }
}
