//! What a command fails with: the texts of Redis.

use std::borrow::Cow;

use filedb::Error;

/// Why a command failed.
#[derive(Debug)]
pub enum Fault {
    /// The text of the error, its code first.
    Text(Cow<'static, str>),
    /// The store could not do it.
    Store(Error),
}

/// What commands give back.
pub type Result<T = ()> = std::result::Result<T, Fault>;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Store(error)
    }
}

impl From<&'static str> for Fault {
    fn from(text: &'static str) -> Self {
        Fault::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Fault::Text(Cow::Owned(text))
    }
}

impl Fault {
    /// The text of the reply.
    pub fn text(&self) -> Cow<'static, str> {
        match self {
            Fault::Text(text) => text.clone(),
            Fault::Store(error) => Cow::Owned(text_of_store(error)),
        }
    }
}

/// What a client is told of an error of the store.
pub fn text_of_store(error: &Error) -> String {
    match error {
        Error::WrongType => WRONG_TYPE.into(),
        Error::NoSpace { .. } | Error::NoMemory { .. } => format!("OOM command not allowed: {error}"),
        Error::Io { .. } | Error::Poisoned { .. } | Error::ReadOnly | Error::Unsupported { .. } => {
            format!("MISCONF Errors writing to the AOF file: {error}")
        }
        Error::InvalidArgument { .. } | Error::TooLarge { .. } => format!("ERR {error}"),
        _ => format!("ERR the store failed: {error}"),
    }
}

/// What a client is told whose write, or wait for the disk, comes after a sync that failed.
pub fn not_durable(why: &str) -> String {
    format!("MISCONF Errors writing to the AOF file: {why}")
}

/// The key holds something else.
pub const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
/// Words that do not belong together.
pub const SYNTAX: &str = "ERR syntax error";
/// No number, or none of 64 bits.
pub const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
/// No number.
pub const NOT_FLOAT: &str = "ERR value is not a valid float";
/// There is no key where one must be.
pub const NO_SUCH_KEY: &str = "ERR no such key";
/// An index behind the end.
pub const OUT_OF_RANGE: &str = "ERR index out of range";
