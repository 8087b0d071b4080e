//! What a URL of a remote store says: `[user[:password]@]host[:port][,host[:port]...][/database]`.
//!
//! No message of these repeats a part of the URL in which a password may stand.

use crate::store::error::{Error, Result};
use crate::store::options::Secret;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// The host's name or address, an IPv6 address without brackets.
    pub name: String,
    /// The host's port.
    pub port: u16,
}

impl Host {
    /// As people write it.
    pub fn text(&self) -> String {
        match self.name.contains(':') {
            true => format!("[{}]:{}", self.name, self.port),
            false => format!("{}:{}", self.name, self.port),
        }
    }
}

/// What stands behind `://`.
#[derive(Debug, PartialEq, Eq)]
pub struct Url {
    /// Whom the server is told.
    pub user: Option<Secret>,
    /// What proves that the user is this one.
    pub password: Option<Secret>,
    /// The servers, at least one.
    pub hosts: Vec<Host>,
    /// The number of the database, if there is one.
    pub database: Option<u32>,
}

/// The port where none is named.
const PORT: u16 = 6379;

impl Url {
    /// What stands behind `://`.
    pub fn parse(rest: &Secret) -> Result<Url> {
        let text = std::str::from_utf8(rest.reveal()).map_err(|_| Error::invalid("the URL is not UTF-8"))?;
        if text.contains(['?', '#']) {
            return Err(Error::invalid(
                "the URL has a '?' or '#': what a store needs besides its place is said by options; in a password \
                 they are written %3F and %23",
            ));
        }
        // The last one: passwords have been seen with an '@' as it stands.
        let (login, place) = match text.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, text),
        };
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            Some((user, password)) => (unescaped(user)?, unescaped(password)?),
            None => (None, None),
        };
        let (hosts, database) = match place.split_once('/') {
            Some((hosts, "")) => (hosts, None),
            Some((hosts, number)) => (hosts, Some(number)),
            None => (place, None),
        };
        let database = database.map(str::parse).transpose().map_err(|_| {
            Error::invalid("what follows the host in the URL is not the number of a database; a '/' in a password is written %2F")
        })?;
        let hosts = hosts.split(',').map(host).collect::<Result<Vec<_>>>()?;
        Ok(Url { user, password, hosts, database })
    }
}

/// A host with its port.
fn host(text: &str) -> Result<Host> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest
                .split_once(']')
                .ok_or_else(|| Error::invalid("an IPv6 address in the URL has no ']' behind it"))?;
            (name, if port.is_empty() { None } else { Some(port.strip_prefix(':').unwrap_or("")) })
        }
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let port = port.map_or(Ok(PORT), str::parse).ok().filter(|port| *port != 0);
    let port = port.ok_or_else(|| {
        Error::invalid(
            "a port in the URL is no number from 1 to 65535; an IPv6 address is written in brackets",
        )
    })?;
    if name.is_empty() {
        return Err(Error::invalid("the URL names no host; a server is reached at HOST or HOST:PORT"));
    }
    Ok(Host { name: name.into(), port })
}

/// Text in which `%40` is an `@`; `None` for none.
fn unescaped(text: &str) -> Result<Option<Secret>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = others.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(|| {
            Error::invalid("a '%' in the user or password of the URL is not followed by two hexadecimal digits; itself it is written %25")
        })?);
        rest = others.get(2..).unwrap_or_default();
    }
    Ok(if bytes.is_empty() { None } else { Some(bytes.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Url> {
        Url::parse(&text.into())
    }

    #[test]
    fn a_url_says_host_port_database_user_and_password() {
        let at = |name: &str, port| Host { name: name.into(), port };
        let url = parse("localhost").unwrap();
        assert_eq!((url.hosts, url.database, url.user), (vec![at("localhost", 6379)], None, None));
        let url = parse("me:p%40s%2Fs%25@10.0.0.1:7000/3").unwrap();
        assert_eq!(url.user.unwrap().reveal(), b"me");
        assert_eq!(url.password.unwrap().reveal(), b"p@s/s%");
        assert_eq!((url.hosts, url.database), (vec![at("10.0.0.1", 7000)], Some(3)));
        let url = parse(":secret@[::1]:7000,[fe80::1],c").unwrap();
        assert_eq!(url.user, None);
        assert_eq!(url.hosts, [at("::1", 7000), at("fe80::1", 6379), at("c", 6379)]);
        assert_eq!(url.hosts[0].text(), "[::1]:7000");
    }

    #[test]
    fn a_url_that_says_nothing_sensible_is_refused_without_its_password() {
        for bad in [
            ":secret@",
            ":secret@h:x",
            ":secret@h:0",
            ":secret@h:70000",
            ":secret@h/x",
            ":secret@h/-1",
            ":secret@[::1",
            ":secret%4@h",
            ":secret%zz@h",
            ":secret@h,,",
            ":secret@h?x=1",
            ":secret/1@h:6379/2/3",
            "secret::1",
        ] {
            let error = parse(bad).unwrap_err();
            assert!(matches!(error, Error::InvalidArgument { .. }));
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
