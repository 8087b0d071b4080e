//! From samples to verdicts: the best peer of each line, filedb's ratio to it, and whether a target is met.

use crate::figures::{Figures, Spread};
use crate::lines::{self, FLOOR, LINES, Line, OURS, OURS_ORDERED, OURS_PREAD, Shape, Target};
use crate::plan::ENGINES;

/// One line for one shape.
pub struct Outcome {
    pub line: &'static Line,
    /// Which of ours is compared.
    pub engine: &'static str,
    /// Every store that has a figure, the best first.
    pub ranking: Vec<Entry>,
    pub ours: Option<Spread>,
    /// What filedb is compared with: the best peer, the floor, or its own figure in another line.
    pub rival: Option<Rival>,
    /// How many times as good as the rival filedb is.
    pub ratio: Option<f64>,
    pub target: Option<String>,
    /// The ratio that the target asks for, if it asks for one.
    pub wanted_ratio: Option<f64>,
    pub is_met: Option<bool>,
}

pub struct Entry {
    pub engine: &'static str,
    pub spread: Spread,
    /// Why it does not count as a peer here.
    pub discounted: Option<&'static str>,
}

pub struct Rival {
    pub name: String,
    pub value: f64,
}

/// All lines of a shape that have figures.
pub fn outcomes(figures: &Figures, shape: Shape) -> Vec<Outcome> {
    let lines = LINES.iter().flat_map(|line| shape.ours().iter().map(move |engine| (line, *engine)));
    lines.filter_map(|(line, engine)| outcome(figures, shape, line, engine)).collect()
}

impl Outcome {
    pub fn title(&self) -> String {
        let mode = if self.engine == OURS_PREAD { ", io=pread" } else { "" };
        format!("{}{mode}", self.line.title)
    }
}

fn outcome(figures: &Figures, shape: Shape, line: &'static Line, engine: &'static str) -> Option<Outcome> {
    let mut ranking: Vec<_> = ENGINES
        .iter()
        .filter_map(|&engine| {
            let spread = figures.result(shape, line, engine)?;
            Some(Entry { engine, spread, discounted: lines::discounted(line, engine) })
        })
        .collect();
    if ranking.is_empty() {
        return None;
    }
    let sign = if line.unit.is_better_high() { -1.0 } else { 1.0 };
    ranking.sort_by(|a, b| (sign * a.spread.median).total_cmp(&(sign * b.spread.median)));

    let target = line.target(shape);
    let ours = figures.result(shape, line, engine);
    let rival = match if shape.is_ordered { target } else { line.small } {
        Some(Target::TimesPeer(peer, _)) => {
            figures.result(shape, line, peer).map(|own| Rival { name: peer.into(), value: own.median })
        }
        Some(Target::TimesFloorTime(_)) => {
            figures.result(shape, line, FLOOR).map(|floor| Rival { name: FLOOR.into(), value: floor.median })
        }
        Some(Target::TimesOwn(id, _)) => lines::find(id)
            .and_then(|other| figures.result(shape, other, OURS))
            .map(|own| Rival { name: "its own, one thread".into(), value: own.median }),
        _ => best_peer(figures, shape, line, &ranking),
    };
    let ratio = ours.zip(rival.as_ref()).map(|(ours, rival)| {
        if line.unit.is_better_high() { ours.median / rival.value } else { rival.value / ours.median }
    });
    let is_met = target.and_then(|target| is_met(target, shape, ours?.median, ratio));
    let wanted_ratio = target.and_then(wanted_ratio);
    let target = target.map(|target| describe(target, line, shape));
    // A line without a target that only repeats another says nothing.
    if target.is_none() && !line.has_ranking() {
        return None;
    }
    Some(Outcome { line, engine, ranking, ours, rival, ratio, target, wanted_ratio, is_met })
}

fn best_peer(figures: &Figures, shape: Shape, line: &Line, ranking: &[Entry]) -> Option<Rival> {
    let is_peer = |engine: &str| ![OURS, OURS_PREAD, OURS_ORDERED, FLOOR].contains(&engine);
    let best = ranking.iter().find(|entry| is_peer(entry.engine) && entry.discounted.is_none());
    let mut best = best.map(|entry| Rival { name: entry.engine.into(), value: entry.spread.median });
    let Some(also) = line.peers_also.and_then(lines::find) else { return best };
    for &engine in ENGINES.iter().filter(|engine| is_peer(engine)) {
        let Some(spread) = figures.result(shape, also, engine) else { continue };
        if best.as_ref().is_none_or(|best| spread.median > best.value) {
            best = Some(Rival { name: format!("{engine}, {}", also.id), value: spread.median });
        }
    }
    best
}

fn limit_per_million(shape: Shape, limit: f64) -> f64 {
    limit * (shape.keys as f64 / 1e6).max(1.0)
}

fn is_met(target: Target, shape: Shape, ours: f64, ratio: Option<f64>) -> Option<bool> {
    Some(match target {
        Target::TimesBestPeer(wanted) | Target::TimesOwn(_, wanted) | Target::TimesPeer(_, wanted) => {
            ratio? >= wanted
        }
        Target::TimesFloorTime(wanted) => ratio? >= 1.0 / wanted,
        Target::AtMost(limit) => ours <= limit,
        Target::AtMostPerMillion(limit) => ours <= limit_per_million(shape, limit),
    })
}

fn wanted_ratio(target: Target) -> Option<f64> {
    match target {
        Target::TimesBestPeer(wanted) | Target::TimesOwn(_, wanted) | Target::TimesPeer(_, wanted) => {
            Some(wanted)
        }
        Target::TimesFloorTime(wanted) => Some(1.0 / wanted),
        Target::AtMost(_) | Target::AtMostPerMillion(_) => None,
    }
}

fn describe(target: Target, line: &Line, shape: Shape) -> String {
    match target {
        Target::TimesBestPeer(wanted) | Target::TimesOwn(_, wanted) | Target::TimesPeer(_, wanted) => {
            format!("≥ {wanted:.1}")
        }
        Target::TimesFloorTime(wanted) => format!("≥ {:.2}", 1.0 / wanted),
        Target::AtMost(limit) => format!("≤ {}", line.unit.show(limit)),
        Target::AtMostPerMillion(limit) => format!("≤ {}", line.unit.show(limit_per_million(shape, limit))),
    }
}

/// How many targets are met, and how many there are with figures.
pub fn score(figures: &Figures) -> (usize, usize) {
    let verdicts: Vec<_> = figures
        .shown_shapes()
        .into_iter()
        .flat_map(|shape| outcomes(figures, shape))
        .filter_map(|outcome| outcome.is_met)
        .collect();
    (verdicts.iter().filter(|met| **met).count(), verdicts.len())
}

/// How a ratio is written.
pub fn ratio(ratio: f64) -> String {
    format!("{ratio:.2}")
}
