//! Where a store is: a directory, or a URL that names one of the other kinds.
//!
//! ```text
//! DIR, file://DIR                                            a directory
//! memory://, memory://NAME                                   in this process
//! valkey://[user[:password]@]host[:port][/db]                a server; valkeys:// is the same over TLS
//! valkey-cluster://[user[:password]@]host[:port][,...]       a cluster
//! ```

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use super::options::Secret;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A directory of this machine.
    Directory(PathBuf),
    /// The memory of this process, under a name, or for one handle.
    Memory(Option<String>),
    /// A server of another kind; how to reach it is what stands behind `://`, which may hold a password.
    Server(Scheme, Secret),
}

/// The kinds of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// One server.
    Valkey,
    /// One server, over TLS.
    ValkeyTls,
    /// A cluster.
    ValkeyCluster,
}

/// What URLs begin with.
const SCHEMES: &str = "file://, memory://, valkey://, valkeys:// or valkey-cluster://";
const NAMES: [&[u8]; 5] = [b"file", b"memory", b"valkey", b"valkeys", b"valkey-cluster"];

impl Address {
    /// What a path or URL names.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a URL of a kind that there is not, and for one that lacks its slashes, which would be a directory
    /// that nobody means. The URL itself is not in the message: it may hold a password.
    pub fn parse(path: &Path) -> Result<Self> {
        let bytes = path.as_os_str().as_bytes();
        let Some((scheme, rest)) = split_scheme(bytes) else {
            let before = bytes.split(|byte| *byte == b':').next().filter(|before| before.len() < bytes.len());
            if let Some(name) =
                NAMES.iter().find(|name| before.is_some_and(|it| it.eq_ignore_ascii_case(name)))
            {
                let name = name.escape_ascii();
                return Err(Error::invalid(format!(
                    "'{name}:' begins neither a path nor a URL: a URL begins with '{name}://', and the path of a directory of such a name with './{name}:'"
                )));
            }
            return Ok(Address::Directory(path.to_path_buf()));
        };
        let server = |scheme| match rest.is_empty() {
            true => Err(Error::invalid("the URL names no host; a server is reached at HOST or HOST:PORT")),
            false => Ok(Address::Server(scheme, rest.into())),
        };
        match scheme.to_ascii_lowercase().as_slice() {
            b"file" if rest.is_empty() => Err(Error::invalid("the URL 'file://' names no directory")),
            // As it stands: a directory may have any name, and nothing in it is decoded.
            b"file" => Ok(Address::Directory(PathBuf::from(OsStr::from_bytes(rest)))),
            b"memory" => match std::str::from_utf8(rest) {
                Ok("") => Ok(Address::Memory(None)),
                Ok(name) => Ok(Address::Memory(Some(name.to_string()))),
                Err(_) => Err(Error::invalid("the name of a store in memory is UTF-8 text")),
            },
            b"valkey" => server(Scheme::Valkey),
            b"valkeys" => server(Scheme::ValkeyTls),
            b"valkey-cluster" => server(Scheme::ValkeyCluster),
            other => Err(Error::invalid(format!(
                "there is no kind of store called '{}'; a store is a directory, or a URL that begins with {SCHEMES}",
                other.escape_ascii()
            ))),
        }
    }
}

/// The scheme of a URL and what follows it; `None` for a path.
fn split_scheme(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.windows(3).position(|three| three == b"://")?;
    let (scheme, rest) = (&bytes[..at], &bytes[at + 3..]);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(c));
    is_scheme.then_some((scheme, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_directory_and_a_url_is_what_it_says() {
        let parse = |text: &str| Address::parse(Path::new(text));
        let directory = |text: &str| Address::Directory(text.into());
        assert_eq!(parse("/var/lib/store").unwrap(), directory("/var/lib/store"));
        assert_eq!(parse("odd:/name://x").unwrap(), directory("odd:/name://x"));
        assert_eq!(parse("file:///var/lib/a%20b").unwrap(), directory("/var/lib/a%20b"));
        assert_eq!(parse("file://here").unwrap(), directory("here"));
        assert_eq!(parse("memory://").unwrap(), Address::Memory(None));
        assert_eq!(parse("Memory://").unwrap(), Address::Memory(None));
        assert_eq!(parse("memory://jobs").unwrap(), Address::Memory(Some("jobs".into())));
        let server = parse("valkeys://:secret@host").unwrap();
        assert_eq!(server, Address::Server(Scheme::ValkeyTls, ":secret@host".into()));
        assert!(!format!("{server:?}").contains("secret"));
    }

    #[test]
    fn a_url_that_lacks_a_slash_is_no_directory() {
        for url in
            ["memory:", "Memory:/", "valkey:/secret@localhost:1", "file:/tmp/x", "valkey-cluster:secret"]
        {
            let error = Address::parse(Path::new(url)).unwrap_err().to_string();
            assert!(error.contains("://") && !error.contains("secret"), "{error}");
        }
        for path in ["./memory:", "/tmp/memory:", "memory", "a:b", "file"] {
            assert_eq!(Address::parse(Path::new(path)).unwrap(), Address::Directory(path.into()));
        }
    }

    #[test]
    fn an_error_does_not_repeat_what_may_be_a_password() {
        for url in ["redis://user:secret@host", "valkey://", "file://", "REDIS://secret"] {
            let error = Address::parse(Path::new(url)).unwrap_err().to_string();
            assert!(!error.contains("secret") && !error.is_empty(), "{error}");
        }
    }
}
