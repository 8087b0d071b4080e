//! The names of the simulated directory: as processes see them, as the disk holds them, and the changes between.

use std::collections::BTreeMap;

use super::power::{PowerCut, Random};

/// Names one file, whatever name it has.
pub(super) type FileId = u64;

#[derive(Clone, Debug)]
enum Change {
    Create { name: String, file: FileId },
    Rename { from: String, to: String, file: FileId },
    Remove { name: String },
}

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    live: BTreeMap<String, FileId>,
    durable: BTreeMap<String, FileId>,
    /// The changes since the directory was last synced, oldest first.
    unsynced: Vec<Change>,
}

impl Names {
    /// A directory that holds these names, all of them durable.
    pub fn durable(names: BTreeMap<String, FileId>) -> Self {
        Names { live: names.clone(), durable: names, unsynced: Vec::new() }
    }

    pub fn live(&self) -> &BTreeMap<String, FileId> {
        &self.live
    }

    pub fn get(&self, name: &str) -> Option<FileId> {
        self.live.get(name).copied()
    }

    pub fn has_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    pub fn create(&mut self, name: &str, file: FileId) {
        self.change(Change::Create { name: name.into(), file });
    }

    pub fn rename(&mut self, from: &str, to: &str, file: FileId) {
        self.change(Change::Rename { from: from.into(), to: to.into(), file });
    }

    pub fn remove(&mut self, name: &str) {
        self.change(Change::Remove { name: name.into() });
    }

    fn change(&mut self, change: Change) {
        apply(&change, &mut self.live);
        self.unsynced.push(change);
    }

    pub fn sync(&mut self) {
        self.durable = self.live.clone();
        self.unsynced.clear();
    }

    /// Whether a name leads to the file, or may lead to it after a power cut.
    pub fn may_reach(&self, file: FileId) -> bool {
        let held = |names: &BTreeMap<String, FileId>| names.values().any(|held| *held == file);
        held(&self.live)
            || held(&self.durable)
            || self.unsynced.iter().any(|change| match change {
                Change::Create { file: held, .. } | Change::Rename { file: held, .. } => *held == file,
                Change::Remove { .. } => false,
            })
    }

    /// The names after the power came back. A rename is atomic; everything else may be lost in any combination.
    pub fn after_power_cut(&self, random: &mut Random, policy: PowerCut) -> BTreeMap<String, FileId> {
        let fate = policy.fate(random);
        let ordered = random.below(self.unsynced.len() as u64 + 1) as usize;
        let mut names = self.durable.clone();
        for (change, number) in self.unsynced.iter().zip(0..) {
            let kept = match fate {
                PowerCut::LosesAll | PowerCut::KeepsData => false,
                PowerCut::KeepsAll | PowerCut::KeepsNames => true,
                PowerCut::Torn(_) => number < ordered,
                PowerCut::NewestFirst(_) => number >= ordered,
                PowerCut::Scattered(_) | PowerCut::Mixed => random.one_in(2),
            };
            if kept {
                apply(change, &mut names);
            }
        }
        names
    }
}

fn apply(change: &Change, names: &mut BTreeMap<String, FileId>) {
    match change {
        Change::Create { name, file } => {
            names.insert(name.clone(), *file);
        }
        Change::Rename { from, to, file } => {
            // After a power cut the creation of `from` may be lost and the renaming not.
            if names.get(from) == Some(file) {
                names.remove(from);
            }
            names.insert(to.clone(), *file);
        }
        Change::Remove { name } => {
            names.remove(name);
        }
    }
}
