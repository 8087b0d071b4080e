//! The rows as a picture, in the style of docs/race.svg.

use std::fmt::Write as _;

use super::report::Row;

/// The colours and lines of the race's page.
const STYLE: &str = include_str!("../../../bench-compare/race/src/page/dots.css");

const WIDTH: f64 = 1160.0;
const NAMES: f64 = 300.0;
const RIGHT: f64 = 260.0;
const STEP: f64 = 28.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 42.0;
/// The decimal logarithms of the ends.
const LOW: f64 = -0.5;
const HIGH: f64 = 1.0;
const TICKS: [(f64, &str); 5] = [(0.5, "0.5 ×"), (1.0, "as good"), (2.0, "2 ×"), (4.0, "4 ×"), (8.0, "8 ×")];

fn x(ratio: f64) -> f64 {
    let share = (ratio.max(f64::MIN_POSITIVE).log10() - LOW) / (HIGH - LOW);
    NAMES + share.clamp(0.0, 1.0) * (WIDTH - NAMES - RIGHT)
}

pub fn draw(rows: &[Row]) -> String {
    let floor = TOP + STEP * rows.len() as f64;
    let height = floor + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\" \
         role=\"img\" aria-labelledby=\"server-race\"><style>{STYLE}</style>\
         <rect width=\"100%\" height=\"100%\" style=\"fill: var(--card)\"></rect>\
         <text x=\"14\" y=\"24\" style=\"fill: var(--ink); font-weight: 600; font-size: 16px\" id=\"server-race\">\
         filedb-server beside the best of Redis and Valkey</text>"
    );
    let legend = NAMES + 6.0;
    let _ = write!(
        svg,
        "<circle class=\"mark good\" cx=\"{legend}\" cy=\"50\" r=\"5\"></circle><text x=\"{}\" y=\"54.5\">target met</text>\
         <circle class=\"mark bad\" cx=\"{}\" cy=\"50\" r=\"5\"></circle><text x=\"{}\" y=\"54.5\">missed</text>\
         <line class=\"wanted\" x1=\"{}\" x2=\"{}\" y1=\"43\" y2=\"57\"></line><text x=\"{}\" y=\"54.5\">target</text>",
        legend + 11.0,
        legend + 110.0,
        legend + 121.0,
        legend + 194.0,
        legend + 194.0,
        legend + 202.0,
    );
    for (ratio, label) in TICKS {
        let at = x(ratio);
        let class = if ratio == 1.0 { "grid one" } else { "grid" };
        let _ = write!(
            svg,
            "<line class=\"{class}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{floor}\"></line>\
             <text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\">{label}</text>",
            floor + 16.0
        );
    }
    let _ = write!(
        svg,
        "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\">ratio, logarithmic; more is better</text>",
        f64::midpoint(NAMES, WIDTH - RIGHT),
        floor + 35.0
    );
    for (n, row) in rows.iter().enumerate() {
        let y = TOP + STEP * (n as f64 + 0.5);
        let (ratio, wanted) = row.ratio();
        let kind = if row.is_met() { "good" } else { "bad" };
        let of = match row.course.target {
            super::courses::Target::Rate(_) => "requests per second",
            super::courses::Target::Time(_) => "requests per processor time",
        };
        let _ = write!(
            svg,
            "<text class=\"name\" x=\"{}\" y=\"{:.1}\">{}</text>\
             <line class=\"stem\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\"></line>\
             <line class=\"wanted\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{}\" y2=\"{}\"></line>\
             <circle class=\"mark {kind}\" cx=\"{:.1}\" cy=\"{y}\" r=\"6\"></circle>\
             <text x=\"{}\" y=\"{:.1}\"><tspan class=\"ratio\">{ratio:.2} ×</tspan> {of}</text>",
            NAMES - 14.0,
            y + 4.5,
            row.course.name,
            x(1.0),
            x(ratio),
            x(wanted),
            x(wanted),
            y - 8.0,
            y + 8.0,
            x(ratio),
            WIDTH - RIGHT + 16.0,
            y + 4.5,
        );
    }
    svg.push_str("</svg>\n");
    svg
}
