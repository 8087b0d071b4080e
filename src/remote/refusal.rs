//! What a server's refusal means: by its first word, which is all that is fixed of it.

use crate::store::error::{Error, Result};

/// What to do about a refusal that says nothing about the request itself. The server has done nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum Detour<'a> {
    /// Another server has the key, from now on.
    Moved(&'a str),
    /// Another server has the key already, while its slot is on the way.
    Ask(&'a str),
    /// The same again, in a moment.
    Later,
    /// The same again, in a moment, over another connection: another server may be there by then.
    LaterAnew,
}

/// Whether a refusal is one of those.
pub fn detour(said: &[u8]) -> Option<Detour<'_>> {
    let said = std::str::from_utf8(said).ok()?;
    let mut words = said.split(' ');
    match words.next()? {
        "MOVED" => Some(Detour::Moved(words.nth(1)?)),
        "ASK" => Some(Detour::Ask(words.nth(1)?)),
        "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" | "BUSY" => Some(Detour::Later),
        "READONLY" | "MASTERDOWN" => Some(Detour::LaterAnew),
        // It hangs up behind this.
        "ERR" if said == "ERR max number of clients reached" => Some(Detour::LaterAnew),
        _ => None,
    }
}

/// How many characters of what a server says are shown.
const SHOWN: usize = 160;

/// What a server said, as it may be shown.
pub fn shown(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    said.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The error that a refusal of the store `at` is to a caller. In each of these cases the server has done nothing.
pub fn error_of(said: &[u8], at: &str) -> Error {
    let first = said.split(|byte| *byte == b' ').next().unwrap_or_default();
    match first {
        b"WRONGTYPE" => Error::WrongType,
        b"OOM" => Error::NoSpace { action: "write to the server", path: at.into(), errno: libc::ENOSPC },
        b"MISCONF" => Error::Io {
            action: "write to the server, whose own disk fails it:",
            path: at.into(),
            errno: libc::EIO,
        },
        b"NOAUTH" => Error::invalid("the server asks for a password, and the URL and the options have none"),
        b"NOPERM" => Error::Unsupported {
            message: format!("the server of {at} does not allow this to its user: {}", shown(said)),
        },
        b"NOREPLICAS" | b"READONLY" | b"MASTERDOWN" | b"CLUSTERDOWN" | b"TRYAGAIN" | b"LOADING" | b"BUSY"
        | b"MOVED" | b"ASK" => Error::Connection {
            message: format!("the server of {at} cannot do this now, nothing was written: {}", shown(said)),
        },
        _ => Error::Unsupported { message: format!("the server of {at} refused: {}", shown(said)) },
    }
}

/// An error for something that only some servers can do.
pub fn unsupported<T>(message: &str) -> Result<T> {
    Err(Error::Unsupported { message: message.into() })
}
