//! The raw figures, in one JSON file that is complete after every row: a run that is cut off loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::lines::{Line, Shape};
use crate::machine::Machine;
use crate::plan::Effort;

#[derive(Default, Serialize, Deserialize)]
pub struct Figures {
    pub machine: Machine,
    /// Seconds since 1970.
    pub began: u64,
    pub effort: Effort,
    pub shapes: Vec<Shape>,
    /// How each store was opened: "store" and "store, synced".
    pub settings: BTreeMap<String, Vec<(String, String)>>,
    pub samples: Vec<Sample>,
    pub failures: Vec<Failure>,
    /// The jobs that are done, by their ids.
    pub done: BTreeSet<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Sample {
    pub shape: Shape,
    pub engine: String,
    pub group: String,
    pub repeat: u32,
    pub row: String,
    pub figure: String,
    pub value: f64,
    /// What else the machine did then: its load average, and the share of time that its host took away.
    pub load_average: f64,
    pub stolen: f64,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Failure {
    pub shape: Shape,
    pub engine: String,
    pub group: String,
    pub repeat: u32,
    pub message: String,
}

impl Figures {
    pub fn load(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| file.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| file.display().to_string())
    }

    /// Whole or not at all.
    pub fn save(&self, file: &Path) -> Result<()> {
        let new = file.with_extension("json.new");
        fs::write(&new, serde_json::to_vec_pretty(self)?).with_context(|| new.display().to_string())?;
        fs::rename(&new, file).with_context(|| file.display().to_string())
    }

    /// Small values first, then fewer keys first; those under a limit of memory last.
    pub fn shown_shapes(&self) -> Vec<Shape> {
        let mut shapes = self.shapes.clone();
        shapes
            .sort_by_key(|shape| (shape.memory_bytes > 0, shape.value_size, shape.keys, shape.memory_bytes));
        shapes
    }

    /// What one store reached in one line.
    pub fn result(&self, shape: Shape, line: &Line, engine: &str) -> Option<Spread> {
        let values = self.samples.iter().filter(|sample| {
            sample.shape == shape
                && sample.engine == engine
                && sample.row == line.row
                && sample.figure == line.figure
        });
        Spread::of(values.map(|sample| sample.value).collect())
    }

    /// Any figure of one store, as a median.
    pub fn median(&self, shape: Shape, engine: &str, row: &str, figure: &str) -> Option<f64> {
        let values = self.samples.iter().filter(|sample| {
            sample.shape == shape && sample.engine == engine && sample.row == row && sample.figure == figure
        });
        Spread::of(values.map(|sample| sample.value).collect()).map(|spread| spread.median)
    }
}

/// Several measurements of the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    pub count: usize,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Spread { median, low, high, count: values.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_few_and_the_mean_of_two() {
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(
            Spread::of(vec![3.0, 1.0, 2.0]),
            Some(Spread { median: 2.0, low: 1.0, high: 3.0, count: 3 })
        );
        assert_eq!(Spread::of(vec![1.0, 2.0]).map(|spread| spread.median), Some(1.5));
    }
}
