//! The table on the terminal.

use comfy_table::{Cell, CellAlignment, Table, presets};

use crate::figures::Figures;
use crate::summary::{self, Outcome};

pub fn print(figures: &Figures) {
    for shape in figures.shown_shapes() {
        let outcomes = summary::outcomes(figures, shape);
        if outcomes.is_empty() {
            continue;
        }
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["", "filedb", "against", "", "ratio", "target", "met"]);
        table.add_rows(outcomes.iter().map(row));
        println!("\n{}\n{table}", shape.name());
    }
    let (met, all) = summary::score(figures);
    println!("\nratio: how many times as good as the best peer; medians.  targets met: {met} of {all}");
    for failure in &figures.failures {
        println!(
            "failed: {} {} {}: {}",
            failure.engine,
            failure.group,
            failure.shape.name(),
            failure.message
        );
    }
}

fn row(outcome: &Outcome) -> Vec<Cell> {
    let unit = outcome.line.unit;
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let met = match outcome.is_met {
        Some(true) => Cell::new("yes"),
        Some(false) => Cell::new("NO"),
        None => Cell::new(""),
    };
    vec![
        Cell::new(outcome.title()),
        right(outcome.ours.map_or("-".into(), |ours| unit.show(ours.median))),
        Cell::new(outcome.rival.as_ref().map_or("-", |rival| &rival.name)),
        right(outcome.rival.as_ref().map_or("-".into(), |rival| unit.show(rival.value))),
        right(outcome.ratio.map_or("-".into(), summary::ratio)),
        right(outcome.target.clone().unwrap_or_default()),
        met,
    ]
}
