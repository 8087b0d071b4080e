//! The public verbs of a store, and which engine answers them: what each does is in `bitcask/`, `lsm/` and `remote/`.

mod copied;
mod copies;
mod keys;
mod lists;
mod serving;
#[cfg(any(test, feature = "testing"))]
mod testing;
mod upkeep;

use std::path::Path;
use std::sync::Arc;

use crate::bitcask::Bitcask;
use crate::bitcask::live::Live;
use crate::bitcask::memory::{self, Named};
use crate::disk::Disk;
use crate::lsm::{self, Lsm};
#[cfg(feature = "valkey")]
use crate::remote::Remote;
pub(crate) use crate::store::Copying;
use crate::store::Store;
use crate::store::address::Address;
use crate::store::capabilities::Capabilities;
use crate::store::error::{Error, Result};
use crate::store::options::{EngineKind, Options};

/// An open store. Clones share it; all methods may be called from any thread at once. It is closed by [`Db::close`], or
/// when the last clone is dropped. What goes wrong with the close then, nobody is there to be told: it is an event of the
/// level `error`. A last clone that is dropped inside the visitor of an [`Iter`](crate::Iter) closes the store when the visitor returns.
///
/// ```
/// # fn main() -> filedb::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("store");
/// let db = filedb::Db::open(&path, &filedb::Options::default())?;
/// db.put("planet", "earth")?; // whatever is bytes: text, slices, arrays, vectors
/// assert_eq!(db.get("planet")?.as_deref(), Some(&b"earth"[..]));
/// assert!(db.delete("planet")?);
/// db.close()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Db {
    store: Open,
}

/// The engines that a store can have.
#[derive(Clone)]
enum Open {
    Bitcask(Arc<Bitcask>),
    Live(Arc<Live>),
    Ordered(Arc<Lsm>),
    LiveOrdered(Arc<lsm::live::Live>),
    Other(Arc<dyn Store>),
}

impl Open {
    fn any(&self) -> &dyn Store {
        match self {
            Open::Bitcask(store) => store.as_ref(),
            Open::Live(store) => store.as_ref(),
            Open::Ordered(store) => store.as_ref(),
            Open::LiveOrdered(store) => store.as_ref(),
            Open::Other(store) => store.as_ref(),
        }
    }
}

fn not_live(why: &str) -> Error {
    Error::Unsupported { message: format!("a store {why}; open it without the option live") }
}

/// Starts a store in memory that has a name.
fn start_named(disk: Arc<dyn Disk>, options: &Options) -> Result<Arc<dyn Store>> {
    Ok(match options.engine {
        EngineKind::Lsm => Arc::new(Lsm::start(disk, options, true)?),
        _ => Arc::new(Bitcask::start(disk, options, true)?),
    })
}

impl Db {
    /// Opens the store at `path`, or creates it there: in a directory (also `file://DIR`), or in the memory of this process
    /// (`memory://`, gone with the handle and its clones; `memory://NAME`, shared by all who open it and gone with the last); or connects to the
    /// one on a server (`valkey://[user[:password]@]host[:port][/database]`, `valkeys://` over TLS) or a cluster
    /// (`valkey-cluster://[user[:password]@]host[:port][,host[:port]...]`).
    ///
    /// # Errors
    /// [`Error::Locked`] where it is open already, [`Error::Corrupt`] where it is damaged, [`Error::Missing`] and
    /// [`Error::Exists`] as the options say, [`Error::Unsupported`] where it needs another version of this library, [`Error::Io`]
    /// where the directory cannot be used, [`Error::Connection`] where a server is not there.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Db> {
        let store = match Address::parse(path.as_ref())? {
            Address::Directory(path) => {
                let is_ordered = match options.engine {
                    EngineKind::Auto => !options.truncate && lsm::is_ordered(&path),
                    engine => engine == EngineKind::Lsm,
                };
                if options.live {
                    return Self::open_live(&path, options, is_ordered);
                }
                if is_ordered {
                    return Ok(Db { store: Open::Ordered(Arc::new(Lsm::open(&path, options)?)) });
                }
                Bitcask::open(&path, options)?
            }
            Address::Memory(_) if options.live => {
                return Err(not_live("in memory is of one process, and no other can read it live"));
            }
            Address::Memory(None) => {
                let (disk, options) = memory::alone(options)?;
                if options.engine == EngineKind::Lsm {
                    return Ok(Db { store: Open::Ordered(Arc::new(Lsm::start(disk, &options, true)?)) });
                }
                Bitcask::start(disk, &options, true)?
            }
            Address::Memory(Some(name)) => {
                return Ok(Db { store: Open::Other(Arc::new(Named::open(&name, options, &start_named)?)) });
            }
            #[cfg(feature = "valkey")]
            Address::Server(scheme, rest) => {
                return Ok(Db { store: Open::Other(Remote::open(scheme, &rest, options)?) });
            }
            #[cfg(not(feature = "valkey"))]
            Address::Server(..) => {
                let message =
                    "this build of filedb has no Valkey in it; stores are directories, file:// and memory://";
                return Err(Error::Unsupported { message: message.into() });
            }
        };
        Ok(Self::over(store))
    }

    /// Opens a store beside its writer. The writer may be making the store just now, so that the engine was guessed: if the opening fails, and
    /// the store turns out to be of the other engine, it is opened once more with that.
    fn open_live(path: &Path, options: &Options, is_ordered: bool) -> Result<Db> {
        let open = |is_ordered| -> Result<Open> {
            Ok(match is_ordered {
                true => Open::LiveOrdered(Arc::new(lsm::live::Live::open(path, options)?)),
                false => Open::Live(Arc::new(Live::open(path, options)?)),
            })
        };
        let mut opened = open(is_ordered);
        if opened.is_err() && options.engine == EngineKind::Auto && lsm::is_ordered(path) != is_ordered {
            opened = open(!is_ordered);
        }
        Ok(Db { store: opened? })
    }

    fn over(store: Bitcask) -> Self {
        Db { store: Open::Bitcask(Arc::new(store)) }
    }

    /// What this store can do.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Forked`].
    pub fn capabilities(&self) -> Result<Capabilities> {
        self.store.any().capabilities()
    }

    /// Closes the store: waits for calls under way, makes everything durable and writes what lets the next open skip all
    /// scanning. Values that are pinned stay readable. The store is closed whatever this returns.
    ///
    /// # Errors
    /// [`Error::Closed`] where it is closed already; what went wrong with the last writes otherwise.
    pub fn close(&self) -> Result<()> {
        self.store.any().close()
    }

    /// Stops all writes, because what happened leaves the state of the store in doubt.
    pub(crate) fn poison(&self, reason: &str) {
        self.store.any().poison(reason);
    }
}
