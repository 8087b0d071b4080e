//! A page that draws where the space of a store is: its files by age, what is alive and what is dead in each, and which a merge would
//! take. One file, without scripts and without anything from elsewhere.

use std::fmt::Write;

use filedb::{FileStats, Stats};

use crate::text;

/// A merge begins when the files take so many times what is alive: at four fifths of the way to the default of merge_space_amplification, 2.
const DUE: f64 = 1.8;
/// A file of which less than this is alive is worth a merge.
const WORTH: f64 = 0.5;

const WIDTH: f64 = 900.0;
const BAR: f64 = 14.0;
const LEFT: f64 = 110.0;

pub fn page(store: &str, stats: &Stats, files: &[FileStats]) -> String {
    let mut page = String::new();
    let store = escape(store);
    let dead = stats.data_bytes.saturating_sub(stats.live_bytes);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{store}</title>\n<style>\
         body{{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222;background:#fff}}\
         svg{{width:100%;height:auto}}text{{font:11px system-ui,sans-serif;fill:currentColor}}\
         .live{{fill:#2a7f62}}.dead{{fill:#d9a441}}.due{{stroke:#b3261e;stroke-width:1.5}}\
         @media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}}}</style>\n\
         <h1>{store}</h1>\n<p>{} keys in {} data files: {} on disk, of which {} are alive and {} dead. The files take {:.2} times what is \
         alive{}.</p>\n",
        stats.keys,
        stats.files,
        text::size(stats.data_bytes),
        text::size(stats.live_bytes),
        text::size(dead),
        stats.space_amplification(),
        if stats.merging { "; a merge is running" } else { "" },
    );
    let _ = writeln!(page, "<h2>Files, the oldest first</h2>\n{}", bars(files));
    page.push_str(&merges(stats, files));
    page.push_str("</html>\n");
    page
}

/// A bar for each file: what is alive, what is dead.
fn bars(files: &[FileStats]) -> String {
    let largest = files.iter().map(|file| file.bytes).max().unwrap_or(0).max(1) as f64;
    let height = (BAR + 4.0) * files.len() as f64 + 4.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"data files\">\n");
    for (n, file) in files.iter().enumerate() {
        let y = (BAR + 4.0) * n as f64 + 2.0;
        let scale = |bytes: u64| bytes as f64 / largest * (WIDTH - LEFT - 160.0);
        let (live, all) = (scale(file.live_bytes.min(file.bytes)), scale(file.bytes));
        let class = if is_due(file) { "dead due" } else { "dead" };
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{0}\">{1:010}</text><rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{all:.1}\" height=\"{BAR}\"/>\
             <rect class=\"live\" x=\"{LEFT}\" y=\"{y}\" width=\"{live:.1}\" height=\"{BAR}\"><title>{2} of {3} records alive</title></rect>\
             <text x=\"{4:.1}\" y=\"{0}\">{5}, {6:.0} % alive</text>",
            y + BAR - 3.0,
            file.id,
            file.live_records,
            file.records,
            LEFT + all + 6.0,
            text::size(file.bytes),
            share(file) * 100.0,
        );
    }
    svg + "</svg>"
}

/// What merges would do next.
fn merges(stats: &Stats, files: &[FileStats]) -> String {
    let due: Vec<&FileStats> = files.iter().filter(|file| is_due(file)).collect();
    let gain: u64 = due.iter().map(|file| file.bytes.saturating_sub(file.live_bytes)).sum();
    let copied: u64 = due.iter().map(|file| file.live_bytes).sum();
    let when = if stats.space_amplification() >= DUE {
        "A merge is due by the default of merge_space_amplification (2)."
    } else {
        "No merge is due by the default of merge_space_amplification (2)."
    };
    format!(
        "<h2>Merges to come</h2>\n<p>{when} {} files are less than half alive (outlined in red): to merge them copies {} and frees {}.</p>\n",
        due.len(),
        text::size(copied),
        text::size(gain)
    )
}

fn is_due(file: &FileStats) -> bool {
    file.bytes > 0 && share(file) < WORTH
}

/// How much of a file is alive.
fn share(file: &FileStats) -> f64 {
    if file.bytes == 0 { 1.0 } else { (file.live_bytes as f64 / file.bytes as f64).min(1.0) }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
