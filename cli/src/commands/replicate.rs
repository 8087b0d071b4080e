//! A copy of a store that follows it: a backup, and then the changes.
//!
//! Invariants:
//! - TO is a whole store at each moment. A new backup is made beside it, and takes its place in one step.
//! - Before a backup is opened for writing, the file [`MARK`] in it says, durably, which number it has. So a backup in which no change was written yet
//!   is known from other stores that were opened for writing.
//! - The number of FROM up to which TO has everything stands in TO itself ([`STATE`]), and is written in one batch with the changes that make it
//!   so. So it is right whatever was lost with the process or the machine; where the end of TO is lost, the changes come again.
//! - A batch ends where FROM had no more to tell, unless that is very much ([`TOGETHER`]). So TO is FROM as it was at one moment, but while
//!   it is far behind, which the key says too.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use filedb::{BackupOptions, Batch, ChangeKind, Changes, Db, Error, Expiry, Followed, Options};

use super::backup;
use crate::args::{Args, Copying};
use crate::output::Answer;
use crate::progress;

/// The file that says which number the backup had that TO was, and the name of TO.
const MARK: &str = "REPLICATE";
/// The key of TO that has the number, as text; behind it that of the backup (another is that of a store which FROM itself follows), and a
/// word while TO is no moment of FROM.
const STATE: &[u8] = b"\xff\xfffiledb replicate";
const BEHIND: &str = " behind";

/// Changes are written together up to so many, or so many bytes.
const TOGETHER: (usize, usize) = (1 << 17, 32 << 20);
/// How often the command says how far it has come, where something has changed.
const SAYS_EVERY: Duration = Duration::from_secs(10);
/// A list that expires within this time is waited for before it is changed.
const SOON_MS: u64 = 1_000;

const MOST_ATTEMPTS: u32 = 4;

/// A change that is to be applied.
struct Owned {
    kind: ChangeKind,
    time_ms: u64,
    expiry_ms: Option<u64>,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// What TO is applied to, and how far it has come.
struct Copy {
    db: Db,
    /// FROM's number of the backup.
    begun: u64,
    /// FROM's number.
    at: u64,
    changes: Vec<Owned>,
    bytes: usize,
    /// When lists expire that were told of. One that has expired here is no more, though FROM changed it once more before.
    lists: HashMap<Vec<u8>, u64>,
}

pub fn replicate(args: &Args, from: &Db, from_path: &Path, to: &Path, once: bool) -> Result<Answer> {
    if to.to_string_lossy().contains("://") {
        bail!("a copy goes to a directory, and not to a URL: '{}'", to.display());
    }
    // Without what would make TO.next lie inside of it.
    let to = &to.components().collect::<PathBuf>();
    let options = options(args)?;
    let identity = from.identity()?;
    let next = beside(to);
    remove_replaced(&next, to)?;
    let mut copy = match begin(from, to, &identity, &options)? {
        Some(copy) => copy,
        None => bail!(
            "'{}' is a store that this command did not make of '{}': remove it, or choose another directory",
            to.display(),
            from_path.display()
        ),
    };
    loop {
        eprintln!("filedb: '{}' has all of '{}' up to number {}", to.display(), from_path.display(), copy.at);
        if copy.follow(from, once)? {
            copy.db.close()?;
            return Ok(Answer::Done);
        }
        eprintln!(
            "filedb: what was changed behind number {} cannot be told any more; a new backup is made (open the store with keep_tombstones_ms \
             where it is written to, so that deletes are kept as long as that)",
            copy.at
        );
        copy.db.close()?;
        back_up(from, &next)?;
        exchange(&next, to)?;
        remove_replaced(&next, to)?;
        copy = Copy::begin(to, &options)?;
    }
}

fn options(args: &Args) -> Result<Options> {
    let mut options = Options { create_if_missing: false, ..Options::default() };
    for option in &args.options {
        let (name, value) = option.split_once('=').with_context(|| {
            format!("'{option}' is no option of a store: it has to be NAME=VALUE, as sync=always")
        })?;
        options.set(name, value)?;
    }
    Ok(options)
}

fn beside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

fn back_up(from: &Db, to: &Path) -> Result<()> {
    let how = Copying { copy: false, rate: 0 };
    backup::copy(from, to, &how, "backing up").map(drop)
}

/// A backup in an empty directory, or what there is of an earlier time; `None` where that is something else.
fn begin(from: &Db, to: &Path, identity: &[u8; 16], options: &Options) -> Result<Option<Copy>> {
    // First: of a store that is a copy itself the backup has its number, and not this one's.
    match from.backup(to, &BackupOptions::new()) {
        Ok(()) => Copy::begin(to, options).map(Some),
        // There is something that is no backup, or was one.
        Err(error @ Error::InvalidArgument { .. }) => match Copy::go_on(to, identity, options) {
            Ok(Some(copy)) => Ok(Some(copy)),
            Ok(None) => Ok(None),
            Err(_) => Err(error.into()),
        },
        Err(error) => Err(error).with_context(|| format!("could not copy to '{}'", to.display())),
    }
}

impl Copy {
    /// What was just backed up.
    fn begin(to: &Path, options: &Options) -> Result<Self> {
        let backup = Db::open(to, &Options::new().read_only(true))?;
        let at = backup.last_seq()?;
        backup.close()?;
        mark(to, at).with_context(|| format!("could not write '{}'", to.join(MARK).display()))?;
        Ok(Copy::over(Db::open(to, options)?, at, at))
    }

    /// What was made before, if it was.
    fn go_on(to: &Path, identity: &[u8; 16], options: &Options) -> Result<Option<Self>> {
        let Some((begun, _)) = marked(to)? else { return Ok(None) };
        let db = Db::open(to, options)?;
        if db.identity()? != *identity {
            return Ok(None);
        }
        let state = db.get(STATE)?.unwrap_or_default();
        let state = String::from_utf8_lossy(&state);
        let mut words = state.split(' ');
        let (at, of) = (words.next(), words.next());
        let at = match of.and_then(|of| of.parse().ok()) == Some(begun) {
            true => at.and_then(|at| at.parse().ok()).context("the number in the copy is none")?,
            // No change was written yet.
            false => begun,
        };
        Ok(Some(Copy::over(db, begun, at)))
    }

    fn over(db: Db, begun: u64, at: u64) -> Self {
        Copy { db, begun, at, changes: Vec::new(), bytes: 0, lists: HashMap::new() }
    }

    /// Applies changes, until there is a gap; with `once` until there are no more, which is true.
    fn follow(&mut self, from: &Db, once: bool) -> Result<bool> {
        let mut feed = from.changes(self.at)?;
        let bar = progress::endless("changes applied");
        let (mut said, mut applied) = (Instant::now(), 0);
        loop {
            let is_empty = self.changes.is_empty();
            let wait = if is_empty && !once { SAYS_EVERY } else { Duration::ZERO };
            let is_end = match feed.next(Some(wait))? {
                Followed::Change(change) => {
                    self.take(&change);
                    false
                }
                Followed::Timeout => true,
                Followed::Gap => return Ok(false),
            };
            let count = self.changes.len();
            if count >= TOGETHER.0 || self.bytes >= TOGETHER.1 || (is_end && count > 0) {
                self.apply(&feed, is_end)?;
                applied += count as u64;
                bar.inc(count as u64);
            }
            if is_end && once {
                self.db.sync()?;
                bar.finish_and_clear();
                return Ok(true);
            }
            let passed = said.elapsed();
            if applied > 0 && passed >= SAYS_EVERY {
                if bar.is_hidden() {
                    let rate = applied as f64 / passed.as_secs_f64();
                    eprintln!(
                        "filedb: {applied} changes applied, {rate:.0} a second; up to number {}",
                        self.at
                    );
                }
                (said, applied) = (Instant::now(), 0);
            }
        }
    }

    fn take(&mut self, change: &filedb::Changed<'_>) {
        // FROM may be a copy itself.
        if change.key == STATE {
            return;
        }
        self.bytes += change.key.len() + change.value.len() + size_of::<Owned>();
        let (key, value) = (change.key.to_vec(), change.value.to_vec());
        let (kind, time_ms, expiry_ms) = (change.kind, change.time_ms, change.expiry_ms);
        self.changes.push(Owned { kind, time_ms, expiry_ms, key, value });
    }

    /// Writes what was taken, and the number that FROM has come to. `is_end` where that is all that FROM has.
    fn apply(&mut self, feed: &Changes, is_end: bool) -> Result<()> {
        let at = feed.seq();
        let state = format!("{at} {}{}", self.begun, if is_end { "" } else { BEHIND });
        let mut attempts = 0;
        loop {
            let (mut batch, lists) = self.batch()?;
            batch.put(STATE, &state)?;
            attempts += 1;
            match self.db.write(&batch) {
                // A list may have expired between the two, and is left out now.
                Err(Error::InvalidArgument { .. }) if !lists.is_empty() && attempts < MOST_ATTEMPTS => {}
                written => {
                    written?;
                    self.lists = lists;
                    break;
                }
            }
        }
        let last = self.changes.last().map_or(0, |change| change.time_ms);
        // FROM begins such a list anew, with a delete.
        self.lists.retain(|_, expiry_ms| *expiry_ms >= last);
        (self.at, self.bytes) = (at, 0);
        self.changes.clear();
        Ok(())
    }

    /// The changes as a batch, and when the lists expire after it.
    fn batch(&self) -> Result<(Batch, HashMap<Vec<u8>, u64>)> {
        let (mut batch, mut lists) = (Batch::new(), self.lists.clone());
        for Owned { kind, expiry_ms, key, value, .. } in &self.changes {
            match kind {
                ChangeKind::Put | ChangeKind::Delete => {
                    lists.remove(key);
                }
                _ => {
                    if let Some(expiry_ms) = lists.get(key) {
                        let left = expiry_ms.saturating_sub(self.db.now_ms()?);
                        if left > 0 && left <= SOON_MS {
                            std::thread::sleep(Duration::from_millis(left));
                        }
                        if left <= SOON_MS {
                            batch.delete(key)?;
                            continue;
                        }
                    }
                }
            }
            match kind {
                ChangeKind::Put => {
                    batch.put_with_expiry(key, value, expiry_ms.map_or(Expiry::Never, Expiry::At))?;
                }
                ChangeKind::Delete => batch.delete(key)?,
                ChangeKind::PushBack => batch.push_back(key, value)?,
                ChangeKind::PushFront => batch.push_front(key, value)?,
                ChangeKind::PopBack => batch.pop_back(key)?,
                ChangeKind::PopFront => batch.pop_front(key)?,
                ChangeKind::Expiry => {
                    match expiry_ms {
                        Some(at) => drop(lists.insert(key.clone(), *at)),
                        None => drop(lists.remove(key)),
                    }
                    batch.list_expire(key, expiry_ms.map_or(Expiry::Never, Expiry::At))?;
                }
            }
        }
        Ok((batch, lists))
    }
}

/// Gives two directories each other's names, durably.
fn exchange(next: &Path, to: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let what = || format!("could not put '{}' in the place of '{}'", next.display(), to.display());
    match renameat_with(CWD, next, CWD, to, RenameFlags::EXCHANGE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            bail!("{}: the file system cannot exchange two directories", what())
        }
        done => done.with_context(what)?,
    }
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::File::open(parent).and_then(|parent| parent.sync_all()).with_context(what)
}

/// Says in a backup, durably, that it is to be opened for writing here, and which number it has.
fn mark(to: &Path, at: u64) -> std::io::Result<()> {
    let temporary = to.join("REPLICATE.tmp");
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(format!("{at} {}\n", name_of(to)).as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, to.join(MARK))?;
    std::fs::File::open(to)?.sync_all()
}

/// What a backup was marked with: its number, and the name of the directory then.
fn marked(copy: &Path) -> Result<Option<(u64, String)>> {
    let path = copy.join(MARK);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("could not read '{}'", path.display()))?,
    };
    let said = text.trim_end_matches('\n').split_once(' ');
    let said = said.and_then(|(at, name)| Some((at.parse().ok()?, name.to_string())));
    said.map(Some).with_context(|| format!("'{}' does not hold a number and a name", path.display()))
}

fn name_of(directory: &Path) -> String {
    directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Removes the copy that a new one has replaced: it has the name of that.
fn remove_replaced(next: &Path, to: &Path) -> Result<()> {
    if marked(next)?.is_none_or(|(_, name)| name != name_of(to)) {
        return Ok(());
    }
    remove(next).with_context(|| format!("could not remove '{}'", next.display()))
}

/// Removes a copy. Where that is interrupted it is still known by its mark, which goes last.
fn remove(copy: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(copy)? {
        let entry = entry?;
        if entry.file_name() != MARK {
            std::fs::remove_file(entry.path())?;
        }
    }
    std::fs::remove_dir_all(copy)
}
