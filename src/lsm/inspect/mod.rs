//! Looks for damage in a store of the ordered engine, and saves what is intact.
//!
//! The log is looked at as that of the default engine is (`bitcask/inspect`), as far as it is in no run yet. `found` reads one run, `merged` goes
//! through the intact blocks of all of them. Of a key the version with the largest sequence number counts, wherever it stands, so no level
//! has to be known.

mod found;
mod merged;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Lsm;
use super::key;
use super::ranges::Ranges;
use crate::bitcask::inspect::{Engine, Held, Holds, Pushed, Survey, Times, Told, Version, put};
use crate::disk::Disk;
use crate::format::collection::ListHead;
use crate::format::frame::Kind;
use crate::format::names::{self, Name};
use crate::format::ordered::{RangeDelete, RunEntry};
use crate::format::run::block::What;
use crate::store::error::{Error, Result};
use crate::store::findings::Severity;
use crate::store::memory;
use crate::store::options::{EngineKind, Options};
use crate::store::write::Expiry;
use found::FoundRun;
use merged::{Merged, Row};

/// The ordered engine, for who looks at a store of it.
#[derive(Default)]
pub struct Ordered {
    runs: Vec<FoundRun>,
    /// The deletes of ranges that the manifest has.
    ranges: Vec<RangeDelete>,
}

impl Engine for Ordered {
    const IS_ORDERED: bool = true;
    type Store = Lsm;

    fn look(&mut self, survey: &mut Survey<'_, '_>) -> Told<()> {
        let listed = match &survey.manifest {
            Some(manifest) => {
                self.ranges = RangeDelete::copies(&manifest.ordered.ranges)?;
                memory::collect(manifest.ordered.runs.iter().map(|run| (names::run(run.id), Some(*run))))?
            }
            None => {
                self.ranges = Vec::new();
                let message =
                    "deletes of ranges are lost with the manifest: keys that one deleted may come back";
                survey.ledger.pend(Severity::DataLost, names::MANIFEST, 0..0, message.into());
                let is_run = |name: &&String| matches!(names::parse(name), Some(Name::Run(_)));
                memory::collect(survey.names.iter().filter(is_run).map(|name| (name.clone(), None)))?
            }
        };
        self.look_at_runs(survey, listed)?;
        self.note_overlaps(survey);
        self.note_debris(survey);
        survey.ledger.runs = self.runs.len() as u64;
        if !survey.saves {
            let count = self.count(survey)?;
            survey.ledger.key_count = Some(count);
        }
        Ok(())
    }

    fn start(&self, disk: Arc<dyn Disk>, options: &Options, background: bool) -> Result<Lsm> {
        let options = Options { engine: EngineKind::Lsm, ..options.clone() };
        Lsm::start(disk, &options, background)
    }

    fn save(&mut self, survey: &mut Survey<'_, '_>, times: Times, store: &Lsm) -> Told<()> {
        survey.save_values(store, times)?;
        let mut lists = self.lists_of_log(survey)?;
        let mut merged = Merged::new(&self.runs, self.all_ranges(survey)?)?;
        let mut elements = Elements::default();
        while let Some(row) = merged.next_row(survey)? {
            if key::is_users(&row.key) {
                let user = key::user_part(&row.key);
                if survey.ledger.keys.get(&survey.ledger.about.hasher.hash(user)).is_some() || !row.counts() {
                    continue;
                }
                match row.meta.what {
                    What::Value => put(store, user, &row.value, row.meta.expiry_ms, times)?,
                    What::Head => {
                        if let Ok(head) = ListHead::decode(&row.value) {
                            lists.insert(
                                head.id,
                                List { key: user.to_vec(), head, expiry_ms: row.meta.expiry_ms },
                            );
                        }
                    }
                    What::Nothing => {}
                }
                continue;
            }
            if elements.lists.is_none() {
                elements.begin(survey, &mut lists, times)?;
            }
            elements.take(survey, store, &row)?;
        }
        if elements.lists.is_none() {
            elements.begin(survey, &mut lists, times)?;
        }
        elements.end(survey, store)
    }
}

/// A list, as its head says it.
struct List {
    key: Vec<u8>,
    head: ListHead,
    expiry_ms: Option<u64>,
}

impl Ordered {
    fn all_ranges(&self, survey: &Survey<'_, '_>) -> Result<Ranges> {
        let mut ranges = RangeDelete::copies(&self.ranges)?;
        let mut of_log = RangeDelete::copies(&survey.ledger.ranges)?;
        memory::reserve(&mut ranges, of_log.len())?;
        ranges.append(&mut of_log);
        Ok(Ranges::for_later(ranges)?)
    }

    /// Looks at runs. What was found sound before, in a store that changes meanwhile, is not read again.
    fn look_at_runs(
        &mut self,
        survey: &mut Survey<'_, '_>,
        listed: Vec<(String, Option<RunEntry>)>,
    ) -> Told<()> {
        let mut known: HashMap<(u32, u32), FoundRun> =
            self.runs.drain(..).filter(|run| run.is_sound).map(|run| ((run.id, run.salt), run)).collect();
        let mut store_id = survey.manifest.as_ref().map(|manifest| manifest.store_id);
        for (name, entry) in listed {
            if let Some(entry) = &entry
                && let Some(run) = known.remove(&(entry.id, entry.salt))
            {
                memory::push(&mut self.runs, run)?;
                continue;
            }
            if let Some(run) = found::look(survey, &name, entry, &mut store_id)? {
                memory::push(&mut self.runs, run)?;
            }
        }
        Ok(())
    }

    /// Runs of one level below the first do not overlap.
    fn note_overlaps(&self, survey: &mut Survey<'_, '_>) {
        let mut last: BTreeMap<u32, &FoundRun> = BTreeMap::new();
        let mut runs: Vec<&FoundRun> = self.runs.iter().filter(|run| run.level > 0).collect();
        runs.sort_by(|a, b| a.first_key.cmp(&b.first_key));
        for run in runs {
            if let Some(before) = last.insert(run.level, run)
                && before.last_key >= run.first_key
            {
                let message =
                    format!("the run overlaps with '{}' of its level; the store does not open", before.name);
                survey.ledger.pend(Severity::DataLost, &run.name, 0..0, message);
            }
        }
    }

    fn note_debris(&self, survey: &mut Survey<'_, '_>) {
        let Some(manifest) = &survey.manifest else { return };
        if survey.disk.is_locked_by_a_writer() {
            return;
        }
        let is_listed = |id| manifest.ordered.runs.iter().any(|run| run.id == id);
        let debris = survey.names.iter().filter(|name| match names::parse(name) {
            Some(Name::Run(id)) => !is_listed(id),
            _ => false,
        });
        for name in debris.cloned().collect::<Vec<_>>() {
            let message = "the manifest does not list it, so it does not count; the next opening for writing removes it";
            survey.ledger.pend(Severity::Note, &name, 0..0, message.into());
        }
    }

    /// How many keys the store has.
    fn count(&self, survey: &mut Survey<'_, '_>) -> Told<u64> {
        let now_ms = survey.ledger.about.now_ms;
        let ranges = self.all_ranges(survey)?;
        let mut count = survey.count_keys()?;
        let mut merged = Merged::new(&self.runs, ranges)?;
        while let Some(row) = merged.next_row(survey)? {
            if !key::is_users(&row.key) {
                break;
            }
            let hash = survey.ledger.about.hasher.hash(key::user_part(&row.key));
            let is_there = row.counts()
                && row.meta.what != What::Nothing
                && row.meta.expiry_ms.is_none_or(|expiry_ms| expiry_ms > now_ms);
            count += u64::from(is_there && survey.ledger.keys.get(&hash).is_none());
        }
        Ok(count)
    }

    /// The lists whose newest heads are in the log.
    fn lists_of_log(&self, survey: &mut Survey<'_, '_>) -> Told<BTreeMap<u64, List>> {
        let mut lists = BTreeMap::new();
        let mut held = Held::new();
        for list in survey.lists()? {
            let (n, offset) = list.version.place();
            match survey.read_held(n, offset, &mut held)? {
                Some((header, key, _)) if header.kind == Kind::Head => {
                    if !survey.is_in_range(&key, header.seq) {
                        lists
                            .insert(list.head.id, List { key, head: list.head, expiry_ms: header.expiry_ms });
                    }
                }
                _ => survey.tell_changed(n, offset)?,
            }
        }
        Ok(lists)
    }
}

/// A list whose elements are coming.
struct Coming {
    list: List,
    expiry: Expiry,
    pushed: Pushed,
    /// Its elements in the log, by position.
    of_log: std::iter::Peekable<std::vec::IntoIter<(i64, Version)>>,
}

/// Puts the elements of lists into the new store, those of the log and those of runs side by side.
#[derive(Default)]
struct Elements {
    /// The lists that did not come yet, by number.
    lists: Option<BTreeMap<u64, List>>,
    of_log: HashMap<u64, Vec<(i64, Version)>>,
    coming: Option<Coming>,
    held: Held,
    times: Option<Times>,
}

impl Elements {
    fn begin(
        &mut self,
        survey: &mut Survey<'_, '_>,
        lists: &mut BTreeMap<u64, List>,
        times: Times,
    ) -> Told<()> {
        let lists = std::mem::take(lists);
        for (id, position, version) in survey.ledger.keys.elements() {
            if lists.contains_key(&id) && survey.ledger.keys.is_current(id, position, version.seq) {
                memory::push(self.of_log.entry(id).or_default(), (position, version))?;
            }
        }
        (self.lists, self.times) = (Some(lists), Some(times));
        Ok(())
    }

    /// Takes an element of a run, in the order of lists and positions.
    fn take(&mut self, survey: &mut Survey<'_, '_>, store: &Lsm, row: &Row) -> Told<()> {
        let Some((id, position)) = key::place_of_element(&row.key) else { return Ok(()) };
        if self.coming.as_ref().is_none_or(|coming| coming.list.head.id != id) {
            self.finish(survey, store, Some(id))?;
        }
        let (held, Some(coming)) = (&mut self.held, &mut self.coming) else { return Ok(()) };
        if coming.push_of_log(survey, store, held, position)? {
            return Ok(());
        }
        let head = &coming.list.head;
        if row.counts() && row.meta.what == What::Value && (head.first..head.end).contains(&position) {
            coming.pushed.push(store, &row.value)?;
        }
        Ok(())
    }

    /// Ends the list that is coming, and those before the next one, of which the log has all elements.
    fn finish(&mut self, survey: &mut Survey<'_, '_>, store: &Lsm, next: Option<u64>) -> Told<()> {
        self.end_coming(survey, store)?;
        while let Some(entry) = self.lists.as_mut().and_then(BTreeMap::first_entry) {
            if next.is_some_and(|next| *entry.key() > next) {
                break;
            }
            let (id, list) = entry.remove_entry();
            let Some(expiry) = self.times.and_then(|times| times.of(list.expiry_ms)) else { continue };
            let mut of_log = self.of_log.remove(&id).unwrap_or_default();
            of_log.sort_unstable_by_key(|(position, _)| *position);
            let pushed = Pushed::new(memory::copy_of(&list.key)?);
            self.coming = Some(Coming { list, expiry, pushed, of_log: of_log.into_iter().peekable() });
            if next == Some(id) {
                break;
            }
            self.end_coming(survey, store)?;
        }
        Ok(())
    }

    fn end_coming(&mut self, survey: &mut Survey<'_, '_>, store: &Lsm) -> Told<()> {
        let Some(mut coming) = self.coming.take() else { return Ok(()) };
        coming.push_of_log(survey, store, &mut self.held, i64::MAX)?;
        Ok(coming.pushed.end(store, coming.expiry)?)
    }

    fn end(&mut self, survey: &mut Survey<'_, '_>, store: &Lsm) -> Told<()> {
        self.finish(survey, store, None)
    }
}

impl Coming {
    /// Pushes what the log has up to a position; true where it has something there.
    fn push_of_log(
        &mut self,
        survey: &mut Survey<'_, '_>,
        store: &Lsm,
        held: &mut Held,
        most: i64,
    ) -> Told<bool> {
        let mut is_there = false;
        while let Some((position, version)) = self.of_log.next_if(|(position, _)| *position <= most) {
            is_there = position == most;
            let is_named = (self.list.head.first..self.list.head.end).contains(&position);
            if version.holds() != Holds::Value || !is_named {
                continue;
            }
            let (n, offset) = version.place();
            match survey.read_held(n, offset, held)? {
                Some((header, _, value)) if header.kind == Kind::Element => {
                    self.pushed.push(store, &value)?
                }
                _ => survey.tell_changed(n, offset)?,
            }
        }
        Ok(is_there)
    }
}

/// Whether a store on a disk, which may be damaged, is one of the ordered engine.
pub fn is_ordered(disk: &dyn Disk) -> Result<bool> {
    use crate::bitcask::inspect::has_runs;
    use crate::bitcask::lifecycle::open::read_whole;
    use crate::format::features::ORDERED;
    use crate::format::manifest::Manifest;
    let bytes = match read_whole(disk, names::MANIFEST) {
        Ok(bytes) => bytes,
        Err(_) => return has_runs(disk),
    };
    match Manifest::decode(&bytes) {
        Ok(manifest) => Ok(manifest.needs.has(ORDERED)),
        Err(crate::format::features::Refusal::NoMemory(refused)) => Err(Error::from(refused)),
        Err(_) => has_runs(disk),
    }
}
