//! Elements of a list that follow upon each other: they lie side by side in the order of keys, and one pass through memtables and runs
//! finds all of them.

use std::ops::Bound;

use super::engine::{Engine, Reading};
use super::key;
use super::lists::List;
use super::walk::{Source, sources};
use crate::format::run::block::What;
use crate::store::error::{Error, Result};
use crate::sync::thread::NotCancelled;

/// A pass is begun for so many elements: for fewer, a look for each costs less than to find where each source begins.
const WORTH_A_PASS: u64 = 8;

impl Engine {
    /// Shows so many elements of a list, from a position on, to `visit`.
    pub fn elements(
        &self,
        list: &List,
        (first, count): (i64, u64),
        reading: &Reading<'_>,
        visit: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut shown = 0;
        if count >= WORTH_A_PASS {
            let passed = pass(list.head.id, (first, count), reading, &mut |value| {
                visit(value)?;
                shown += 1;
                Ok(())
            });
            match passed {
                // A pass also meets damage in what something newer took the place of. A look does not.
                Err(Error::Corrupt { .. }) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        for n in shown..count {
            self.element(list, first.wrapping_add_unsigned(n), reading, &mut *visit)?;
        }
        Ok(())
    }
}

/// Shows elements up to the first that it does not find.
fn pass(
    id: u64,
    (first, count): (i64, u64),
    reading: &Reading<'_>,
    visit: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let from = key::of_element(id, first);
    let to = key::of_element(id, first.wrapping_add_unsigned(count));
    let _not_cancelled = NotCancelled::begin();
    let mut sources = sources(&reading.tree, reading.seq, (&from, &to), false)?;
    for source in &mut sources {
        source.seek(Bound::Included(&from))?;
    }
    sources.retain(|source| source.key().is_some_and(|key| key < to.as_slice()));
    for n in 0..count {
        let element = key::of_element(id, first.wrapping_add_unsigned(n));
        let Some(source) = newest_with(&mut sources, &element)? else { return Ok(()) };
        match source.current() {
            Some((_, meta, value)) if meta.what != What::Nothing => visit(value)?,
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// The first of the sources, which are in the order from new to old, that has a key. Those before it go to the first key not before that.
fn newest_with<'a>(sources: &'a mut [Source], key: &[u8]) -> Result<Option<&'a Source>> {
    for source in sources {
        while source.key().is_some_and(|other| other < key) {
            source.advance()?;
        }
        if source.key() == Some(key) {
            return Ok(Some(source));
        }
    }
    Ok(None)
}
