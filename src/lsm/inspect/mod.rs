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
use crate::bitcask::inspect::{
    Engine, Held, Holds, Pushed, Survey, Times, Told, Version, has_ordered_records, has_runs, put,
};
use crate::disk::Disk;
use crate::format::collection::ListHead;
use crate::format::features::{ORDERED, Refusal};
use crate::format::frame::Kind;
use crate::format::manifest::Manifest;
use crate::format::names::{self, Name};
use crate::format::ordered::{RangeDelete, RunEntry};
use crate::format::run::block::What;
use crate::log::opening::read_whole;
use crate::store::Store;
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
        let mut left_out = 0u64;
        while let Some(row) = merged.next_row(survey)? {
            left_out += u64::from(row.is_doubtful && !row.is_deleted);
            if !key::is_users(&row.key) {
                if elements.lists.is_none() {
                    elements.begin(survey, &mut lists, times)?;
                }
                elements.take(survey, store, &row)?;
                continue;
            }
            let user = key::user_part(&row.key);
            let of_log = survey.ledger.keys.get(&survey.ledger.about.hasher.hash(user));
            if of_log.is_some_and(|version| version.seq > row.meta.seq) {
                continue;
            }
            if of_log.is_some() {
                // Without a manifest the log may have what a run has newer.
                lists.retain(|_, list| list.key != user);
                store.delete(user)?;
            }
            if !row.counts() {
                continue;
            }
            match row.meta.what {
                What::Value => put(store, user, &row.value, row.meta.expiry_ms, times)?,
                What::Head => {
                    if let Ok(head) = ListHead::decode(&row.value) {
                        let key = memory::copy_of(user)?;
                        lists.insert(head.id, List { key, head, expiry_ms: row.meta.expiry_ms });
                    }
                }
                What::Nothing => {}
            }
        }
        if left_out > 0
            && let Some(run) = self.runs.iter().find(|run| !run.holes.is_empty())
        {
            survey.telling.report.keys_lost += left_out;
            let what = format!(
                "{left_out} keys are left out whose deletes may have been in blocks that are damaged"
            );
            survey.telling.tell(Severity::DataLost, &run.name, 0..0, None, what)?;
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
            self.runs.drain(..).map(|run| ((run.id, run.salt), run)).collect();
        // What was found in runs before is told for those that are there still.
        survey.ledger.pending.retain(|pending| !pending.is_final);
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
        for run in &self.runs {
            run.pend(survey)?;
        }
        Ok(())
    }

    /// Runs of one level below the first do not overlap.
    fn note_overlaps(&self, survey: &mut Survey<'_, '_>) {
        let mut last: BTreeMap<u32, &FoundRun> = BTreeMap::new();
        let mut runs: Vec<&FoundRun> =
            self.runs.iter().filter(|run| run.level > 0 && !run.blocks.is_empty()).collect();
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
            let of_log = survey.ledger.keys.get(&hash).filter(|version| version.seq > row.meta.seq);
            count += u64::from(is_there && of_log.is_none());
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
    /// The list's elements in the log, by position.
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
        // Nothing was taken out at that place since, by what the heads in the log say.
        let is_current = survey.ledger.keys.is_current(id, position, row.meta.seq);
        let is_named = (head.first..head.end).contains(&position);
        if row.counts() && row.meta.what == What::Value && is_named && is_current {
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

/// Whether a store on a disk, which may be damaged, is one of the ordered engine: without a manifest by its runs, or by records that only
/// this engine writes.
pub fn is_ordered(disk: &dyn Disk) -> Result<bool> {
    if let Ok(bytes) = read_whole(disk, names::MANIFEST) {
        match Manifest::decode(&bytes) {
            Ok(manifest) => return Ok(manifest.needs.has(ORDERED)),
            Err(Refusal::NoMemory(refused)) => return Err(Error::from(refused)),
            Err(_) => {}
        }
    }
    Ok(has_runs(disk)? || has_ordered_records(disk)?)
}
