//! Tells findings to whoever asked, and counts them.

use std::collections::HashSet;
use std::fmt::Display;
use std::ops::{ControlFlow, Range};

use crate::format::names::{self, Name};
use crate::store::error::Error;
use crate::store::findings::{CheckProgress, CheckReport, Finding, Severity};
use crate::store::memory::Refused;

/// Why a look for damage ended before its end.
pub enum Ended {
    /// Whoever is told asked for it, at this file and offset.
    Stopped {
        /// The file.
        file: String,
        /// The offset.
        offset: u64,
    },
    /// The inspection cannot go on.
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Failed(error)
    }
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Ended::Failed(refused.into())
    }
}

/// As the result of whatever tells findings.
pub type Told<T> = std::result::Result<T, Ended>;

/// Whoever is told of findings, and of how far it has come.
pub struct Telling<'a> {
    pub visit: &'a mut dyn FnMut(&Finding<'_>) -> ControlFlow<()>,
    pub progress: &'a mut dyn FnMut(&CheckProgress),
    /// What was found so far.
    pub report: CheckReport,
    damaged: HashSet<String>,
    seen: CheckProgress,
}

impl<'a> Telling<'a> {
    pub fn new(
        visit: &'a mut dyn FnMut(&Finding<'_>) -> ControlFlow<()>,
        progress: &'a mut dyn FnMut(&CheckProgress),
    ) -> Self {
        Telling {
            visit,
            progress,
            report: CheckReport::default(),
            damaged: HashSet::new(),
            seen: CheckProgress::default(),
        }
    }

    /// Tells a finding.
    pub fn tell(
        &mut self,
        severity: Severity,
        file: &str,
        range: Range<u64>,
        key: Option<&[u8]>,
        message: impl Display,
    ) -> Told<()> {
        if severity > Severity::Note {
            self.report.damaged_places += 1;
            if self.damaged.len() < 1 << 16 && self.damaged.insert(file.to_string()) {
                self.report.damaged_files += 1;
            }
        }
        let message = message.to_string();
        let length = range.end.saturating_sub(range.start);
        let finding = Finding { severity, file, offset: range.start, length, message: &message, key };
        match (self.visit)(&finding) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Ended::Stopped { file: file.to_string(), offset: range.start }),
        }
    }

    /// More bytes are to be read.
    pub fn will_read(&mut self, bytes: u64) {
        self.seen.of += bytes;
    }

    /// Notes that this many bytes were read.
    pub fn passed(&mut self, bytes: u64) {
        self.seen.bytes += bytes;
        self.seen.of = self.seen.of.max(self.seen.bytes);
        (self.progress)(&self.seen);
    }
}

/// The number of the data file of this name; 0 where it is another file.
pub fn number_of(file: &str) -> u32 {
    match names::parse(file) {
        Some(Name::Data(id)) => id,
        _ => 0,
    }
}
