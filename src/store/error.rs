//! What can go wrong, with the facts as fields: which file, which offset, which errno.
//!
//! Sentences are written by hand so that a person can act on them; nothing here prints `Debug`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::memory::Refused;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that a call of this library can fail with.
///
/// The numbers of [`Error::code`] are part of the C ABI and are never reused.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// An argument breaks the contract of the call; nothing was done.
    InvalidArgument {
        /// What is wrong with it, as a sentence.
        message: String,
    },
    /// The operating system refused a file operation.
    Io {
        /// What was being done, as a verb phrase ("open the data file").
        action: &'static str,
        /// The file or directory it was done to.
        path: PathBuf,
        /// The operating system's error number; 0 where there is none.
        errno: i32,
    },
    /// Bytes on disk are not what was written. Nothing was changed.
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// The number of the data file, or 0 where it is not a data file.
        file_id: u32,
        /// Where in the file, in bytes.
        offset: u64,
        /// What does not hold there.
        what: &'static str,
    },
    /// Another process, or another handle of this one, has the store open.
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// The disk, a quota or a file size limit leaves no room for the write; nothing was written.
    NoSpace {
        /// What was being done.
        action: &'static str,
        /// The file that could not grow.
        path: PathBuf,
        /// `ENOSPC`, `EDQUOT` or `EFBIG`.
        errno: i32,
    },
    /// The handle was opened with `read_only`.
    ReadOnly,
    /// A key or a value is longer than the format holds; nothing was written.
    TooLarge {
        /// What is too large ("key", "value", "batch").
        what: &'static str,
        /// The size in bytes of what is too large.
        size: u64,
        /// The largest size that is accepted.
        limit: u64,
    },
    /// The store, or the machine, cannot do this.
    Unsupported {
        /// What is not supported, as a sentence.
        message: String,
    },
    /// An earlier sync failed or a panic was caught. Reads go on; writes need a reopened handle.
    Poisoned {
        /// What happened then.
        reason: String,
    },
    /// Memory could not be allocated; nothing was done.
    NoMemory {
        /// How much was asked for.
        bytes: u64,
    },
    /// `error_if_exists` was set and the store exists.
    Exists {
        /// The store's directory.
        path: PathBuf,
    },
    /// The store does not exist and `create_if_missing` is off.
    Missing {
        /// The store's directory.
        path: PathBuf,
    },
    /// The key holds another type: a list where a value was asked for, or the other way round. Nothing was changed.
    WrongType,
    /// The server of a remote store is not there, or went away.
    Connection {
        /// What happened, as a sentence; without a password.
        message: String,
    },
    /// The handle was closed.
    Closed,
    /// The handle was opened by the parent of this process.
    Forked,
    /// A bug in this library: a panic was caught at its border.
    Panic {
        /// The panic's message.
        message: String,
    },
}

impl Error {
    /// The answer of an engine that keeps no order among its keys to who asks for something that needs one.
    pub(crate) fn no_order(action: &str) -> Self {
        let message = format!(
            "this store keeps no order among its keys, so it cannot {action}: one with engine=lsm can; a list of keys is sorted for every store that is asked for one (filedb_list_sorted)"
        );
        Error::Unsupported { message }
    }

    /// The answer to who opens a store with the engine that did not make it.
    pub(crate) fn other_engine(path: &Path, engine: &str) -> Self {
        let path = path.display();
        Error::invalid(format!(
            "the store in '{path}' was made with engine={engine}; open it with that, or with engine=auto"
        ))
    }

    /// An [`Error::InvalidArgument`] with this sentence.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Error::InvalidArgument { message: message.into() }
    }

    /// Turns an error of the operating system into one of ours; a lack of room becomes [`Error::NoSpace`].
    pub(crate) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        match errno {
            libc::ENOSPC | libc::EDQUOT | libc::EFBIG => {
                Error::NoSpace { action, path: path.to_path_buf(), errno }
            }
            libc::ENOMEM => Error::NoMemory { bytes: 0 },
            _ => Error::Io { action, path: path.to_path_buf(), errno },
        }
    }

    /// The status number of this error in the C API (`FILEDB_ERR_*`).
    pub fn code(&self) -> i32 {
        match self {
            Error::InvalidArgument { .. } => -1,
            Error::Io { .. } => -2,
            Error::Corrupt { .. } => -3,
            Error::Locked { .. } => -4,
            Error::NoSpace { .. } => -5,
            Error::ReadOnly => -6,
            Error::TooLarge { .. } => -7,
            Error::Unsupported { .. } => -9,
            Error::Poisoned { .. } => -10,
            Error::Forked => -11,
            Error::Panic { .. } => -12,
            Error::NoMemory { .. } => -13,
            Error::Exists { .. } => -14,
            Error::Closed => -15,
            Error::WrongType => -16,
            Error::Connection { .. } => -17,
            Error::Missing { .. } => -18,
        }
    }

    /// The operating system's error number, or 0.
    pub fn os_errno(&self) -> i32 {
        match self {
            Error::Io { errno, .. } | Error::NoSpace { errno, .. } => *errno,
            Error::Missing { .. } => libc::ENOENT,
            _ => 0,
        }
    }

    /// The damaged data file and the offset in it, where there is one.
    pub fn place(&self) -> Option<(u32, u64)> {
        match self {
            Error::Corrupt { file_id, offset, .. } => Some((*file_id, *offset)),
            _ => None,
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::NoMemory { bytes: refused.bytes as u64 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidArgument { message } | Error::Unsupported { message } | Error::Connection { message } => {
                f.write_str(message)
            }
            Error::WrongType => f.write_str(
                "the key holds another type: a list has its own functions, and a value has no elements; nothing was changed",
            ),
            Error::Io { action, path, errno: 0 } => {
                write!(f, "could not {action}: '{}' is shorter than it should be", path.display())
            }
            Error::Io { action, path, errno } => {
                let error = io::Error::from_raw_os_error(*errno);
                write!(f, "could not {action} '{}': {error}{}", path.display(), advice(*errno))
            }
            Error::Corrupt { path, offset, what, .. } => write!(
                f,
                "'{}' is damaged at offset {offset}: {what}; nothing was changed, restore the file from a backup",
                path.display()
            ),
            Error::Locked { path } => write!(
                f,
                "the store '{}' is already open, in this process or another; close it there first",
                path.display()
            ),
            Error::NoSpace { action, path, errno } => write!(
                f,
                "no room to {action} '{}': {}; nothing was written, {} and try again",
                path.display(),
                io::Error::from_raw_os_error(*errno),
                if *errno == libc::EFBIG {
                    "raise the limit on the size of files (ulimit -f)"
                } else {
                    "make room"
                }
            ),
            Error::ReadOnly => f.write_str("the store was opened with read_only; open it without to write"),
            Error::TooLarge { what, size, limit } => {
                write!(f, "the {what} has {size} bytes, the limit is {limit}; nothing was written")
            }
            Error::Poisoned { reason } => {
                write!(f, "writes are stopped until the store is closed and opened again, because {reason}")
            }
            Error::NoMemory { bytes: 0 } => f.write_str("the operating system has no memory left to give"),
            Error::NoMemory { bytes } => write!(f, "could not allocate {bytes} bytes of memory"),
            Error::Exists { path } => {
                write!(f, "there is a store in '{}', and it was to be made anew (error_if_exists)", path.display())
            }
            Error::Missing { path } => {
                write!(
                    f,
                    "there is no store in '{}', and it was to be opened only if there is one (create_if_missing=false, or read_only)",
                    path.display()
                )
            }
            Error::Closed => f.write_str("the handle is closed"),
            Error::Forked => f.write_str(
                "the handle belongs to the parent of this process; open the store again in the child, \
                 after the parent has closed it",
            ),
            Error::Panic { message } => {
                write!(f, "a bug in filedb was caught ({message}); close the store and open it again")
            }
        }
    }
}

/// What a person can do about an error of the operating system, where that is not in its words.
fn advice(errno: i32) -> &'static str {
    match errno {
        libc::EMFILE => {
            "; close files of this process, or raise its limit on open files (ulimit -n), and try again"
        }
        libc::EROFS => "; mount the file system for writing, or open the store with read_only to read it",
        _ => "",
    }
}

impl std::error::Error for Error {
    /// What the operating system said, as an [`io::Error`], where it said something.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let errno = usize::try_from(self.os_errno()).ok().filter(|errno| *errno > 0)?;
        // An error holds a number, and a source is lent: so there is one for each number, made when it is first asked for.
        static SOURCES: [OnceLock<io::Error>; LARGEST_ERRNO + 1] =
            [const { OnceLock::new() }; LARGEST_ERRNO + 1];
        let source = SOURCES.get(errno)?.get_or_init(|| io::Error::from_raw_os_error(errno as i32));
        Some(source)
    }
}

/// No error number of Linux is larger: EHWPOISON.
const LARGEST_ERRNO: usize = 133;

impl From<Error> for io::Error {
    /// With the kind that says the same, and this error, whose sentence names the file, inside.
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::InvalidArgument { .. } | Error::TooLarge { .. } | Error::WrongType => {
                io::ErrorKind::InvalidInput
            }
            Error::Io { errno, .. } => io::Error::from_raw_os_error(*errno).kind(),
            Error::Corrupt { .. } => io::ErrorKind::InvalidData,
            Error::Locked { .. } => io::ErrorKind::ResourceBusy,
            Error::NoSpace { .. } => io::ErrorKind::StorageFull,
            Error::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
            Error::Unsupported { .. } => io::ErrorKind::Unsupported,
            Error::NoMemory { .. } => io::ErrorKind::OutOfMemory,
            Error::Exists { .. } => io::ErrorKind::AlreadyExists,
            Error::Missing { .. } => io::ErrorKind::NotFound,
            Error::Connection { .. } => io::ErrorKind::NotConnected,
            Error::Poisoned { .. } | Error::Closed | Error::Forked | Error::Panic { .. } => {
                io::ErrorKind::Other
            }
        };
        io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn what_the_operating_system_said_is_the_source() {
        let path = PathBuf::from("p");
        let errors = [
            (Error::Io { action: "open", path: path.clone(), errno: libc::EACCES }, Some(libc::EACCES)),
            (Error::NoSpace { action: "write", path: path.clone(), errno: libc::ENOSPC }, Some(libc::ENOSPC)),
            (Error::Missing { path: path.clone() }, Some(libc::ENOENT)),
            (Error::Io { action: "read", path: path.clone(), errno: 0 }, None),
            (Error::Io { action: "read", path: path.clone(), errno: 5000 }, None),
            (Error::Io { action: "read", path, errno: -1 }, None),
            (Error::Closed, None),
        ];
        for (error, errno) in errors {
            let source =
                error.source().map(|source| source.downcast_ref::<io::Error>().expect("an io::Error"));
            assert_eq!(source.and_then(io::Error::raw_os_error), errno, "{error}");
        }
    }

    #[test]
    fn an_io_error_has_the_kind_and_keeps_the_sentence() {
        let path = PathBuf::from("the/path");
        let errors = [
            (Error::invalid("m"), io::ErrorKind::InvalidInput),
            (
                Error::Io { action: "a", path: path.clone(), errno: libc::EACCES },
                io::ErrorKind::PermissionDenied,
            ),
            (
                Error::Corrupt { path: path.clone(), file_id: 1, offset: 2, what: "w" },
                io::ErrorKind::InvalidData,
            ),
            (Error::Locked { path: path.clone() }, io::ErrorKind::ResourceBusy),
            (
                Error::NoSpace { action: "a", path: path.clone(), errno: libc::EDQUOT },
                io::ErrorKind::StorageFull,
            ),
            (Error::NoMemory { bytes: 1 }, io::ErrorKind::OutOfMemory),
            (Error::Exists { path: path.clone() }, io::ErrorKind::AlreadyExists),
            (Error::Missing { path }, io::ErrorKind::NotFound),
            (Error::Closed, io::ErrorKind::Other),
        ];
        for (error, kind) in errors {
            let sentence = error.to_string();
            let io = io::Error::from(error);
            assert_eq!((io.kind(), io.to_string()), (kind, sentence));
            assert!(io.get_ref().is_some_and(|inner| inner.is::<Error>()));
        }
    }
}
