//! What COMMAND tells of each command beyond its line of the table: read from `docs/commands.txt`.
//!
//! There a command begins with its name. `flags`, `categories` and each `tip` are words of Redis; `complexity` is a sentence. A `key` says where
//! keys are: the first of them is at a place, and the others follow to the end of a `range` (last, step, limit) or are `counted` (where the
//! number stands, the first key, the step); behind the colon is what is done with them. `arguments` are those of the command:
//!
//! | written | means |
//! |---|---|
//! | `name:s` | a word; `i` an integer, `d` a number, `p` a pattern, `u` a time, `k` a key; a number behind it says which `key` finds it |
//! | `NAME` | this word itself |
//! | `name(a\|b)`, `name{a b}` | one of these; all of these |
//! | `…@NAME` | behind this word |
//! | `…^1.2.3`, `…~1.2.3` | since this version; not to be used any more since this version |
//! | `…...`, `…...+` | more than once; with the word in front each time |
//! | `[…]` | may be left out |

use std::collections::HashMap;
use std::sync::LazyLock;

use super::table::Command;

const TEXT: &str = include_str!("docs/commands.txt");

/// What an argument is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value, in the name that Redis gives its type.
    Value(&'static str),
    /// A word that stands there as it is.
    Word,
    /// One of these.
    OneOf(Vec<Argument>),
    /// All of these.
    Block(Vec<Argument>),
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The name of the argument.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Which specification of keys finds it, where it is a key or stands for some.
    pub key: Option<usize>,
    /// The word in front of it, or that it is.
    pub token: Option<&'static str>,
    /// The version of Redis that had it first.
    pub since: Option<&'static str>,
    /// The version of Redis that advises against it.
    pub deprecated_since: Option<&'static str>,
    /// Whether it may be left out.
    pub is_optional: bool,
    /// Whether it may stand there more than once.
    pub is_multiple: bool,
    /// Whether the word in front of it may stand there as often.
    pub is_token_multiple: bool,
}

/// Where keys are, from the place of the first one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// Up to the last place, in steps, and where a limit is set not all of them.
    Range([i64; 3]),
    /// As many as a number says: its place, that of the first key, the step.
    Counted([i64; 3]),
}

/// A specification of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// What is done with them.
    pub flags: Vec<&'static str>,
    /// Where the first is, and the others; `None` where no rule says so.
    pub place: Option<(i64, Find)>,
    /// What is special about them.
    pub notes: Option<&'static str>,
}

/// What is told of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Docs {
    /// What it is like.
    pub flags: Vec<&'static str>,
    /// The categories that it is in, each with an `@` in front.
    pub categories: Vec<&'static str>,
    /// Hints for clients.
    pub tips: Vec<&'static str>,
    /// How long it takes.
    pub complexity: Option<&'static str>,
    /// The keys of the command.
    pub keys: Vec<Keys>,
    /// The arguments of the command.
    pub arguments: Vec<Argument>,
}

static ALL: LazyLock<HashMap<&'static str, Docs>> = LazyLock::new(|| TEXT.split("\n\n").map(read).collect());

static NOTHING: Docs = Docs {
    flags: Vec::new(),
    categories: Vec::new(),
    tips: Vec::new(),
    complexity: None,
    keys: Vec::new(),
    arguments: Vec::new(),
};

/// What is told of a command; nothing where the text has nothing of it, which a test looks for.
pub fn of(command: &Command) -> &'static Docs {
    ALL.get(command.name).unwrap_or(&NOTHING)
}

fn read(text: &'static str) -> (&'static str, Docs) {
    let mut lines = text.lines();
    let (name, mut docs) = (lines.next().unwrap_or_default(), Docs::default());
    for line in lines {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        match what {
            "flags" => docs.flags = rest.split(' ').collect(),
            "categories" => docs.categories = rest.split(' ').collect(),
            "tip" => docs.tips.push(rest),
            "complexity" => docs.complexity = Some(rest),
            "key" => docs.keys.extend(keys(rest)),
            "arguments" => docs.arguments = Reader { text: rest, at: 0 }.arguments(),
            _ => {}
        }
    }
    (name, docs)
}

fn keys(text: &'static str) -> Option<Keys> {
    let (place, flags) = text.split_once(": ")?;
    let (flags, notes) = match flags.split_once(" (") {
        Some((flags, notes)) => (flags, notes.strip_suffix(')')),
        None => (flags, None),
    };
    let words: Vec<&str> = place.split(' ').collect();
    let number = |at: usize| words.get(at)?.parse::<i64>().ok();
    let place = if words.len() == 5 {
        let three = [number(2)?, number(3)?, number(4)?];
        let find = if words[1] == "range" { Find::Range(three) } else { Find::Counted(three) };
        Some((number(0)?, find))
    } else {
        None
    };
    Some(Keys { flags: flags.split(' ').collect(), place, notes })
}

/// Reads arguments.
struct Reader {
    text: &'static str,
    at: usize,
}

impl Reader {
    fn rest(&self) -> &'static str {
        &self.text[self.at..]
    }

    fn skip(&mut self, what: &str) -> bool {
        let is_there = self.rest().starts_with(what);
        self.at += if is_there { what.len() } else { 0 };
        is_there
    }

    /// What comes up to one of these letters.
    fn until(&mut self, ends: &[char]) -> &'static str {
        let rest = self.rest();
        let length = rest.find(ends).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Arguments, with a space or a stroke in between.
    fn arguments(&mut self) -> Vec<Argument> {
        let mut all = vec![self.argument()];
        while self.skip(" ") || self.skip("|") {
            all.push(self.argument());
        }
        all
    }

    fn argument(&mut self) -> Argument {
        let is_optional = self.skip("[");
        let word = self.until(&['(', '{', ')', '}', '[', ']', '|', ' ', '@', '^', '~', '.']);
        let mut key = None;
        let (name, kind) = if self.skip("(") {
            let all = self.arguments();
            self.skip(")");
            (word, Kind::OneOf(all))
        } else if self.skip("{") {
            let all = self.arguments();
            self.skip("}");
            (word, Kind::Block(all))
        } else {
            let (name, kind) = word.rsplit_once(':').unwrap_or((word, ""));
            let (letter, number) = kind.split_at(usize::from(!kind.is_empty()));
            key = number.parse().ok();
            let kind = match letter {
                "i" => Kind::Value("integer"),
                "d" => Kind::Value("double"),
                "p" => Kind::Value("pattern"),
                "u" => Kind::Value("unix-time"),
                "k" => Kind::Value("key"),
                "s" => Kind::Value("string"),
                _ => Kind::Word,
            };
            (name, kind)
        };
        let ends = ['(', '{', ')', '}', '[', ']', '|', ' ', '^', '~', '.'];
        let mut token = self.skip("@").then(|| self.until(&ends));
        if kind == Kind::Word && token.is_none() {
            token = Some(name);
        }
        let name = if kind == Kind::Word { name.to_ascii_lowercase() } else { name.to_owned() };
        let since = self.version("^");
        let deprecated_since = self.version("~");
        let is_multiple = self.skip("...");
        let is_token_multiple = self.skip("+");
        if is_optional {
            self.skip("]");
        }
        Argument {
            name,
            kind,
            key,
            token,
            since,
            deprecated_since,
            is_optional,
            is_multiple,
            is_token_multiple,
        }
    }

    /// The version behind this sign.
    fn version(&mut self, sign: &str) -> Option<&'static str> {
        if !self.skip(sign) {
            return None;
        }
        let rest = self.rest();
        let is_in_it = |letter: char| letter.is_ascii_digit() || letter == '.';
        let length = rest.find(|letter| !is_in_it(letter)).unwrap_or(rest.len());
        let version = rest[..length].trim_end_matches('.');
        self.at += version.len();
        Some(version)
    }
}

impl Argument {
    /// How it is written in a line of help.
    fn usage(&self) -> String {
        let all = |of: &[Argument], between| of.iter().map(Argument::usage).collect::<Vec<_>>().join(between);
        let own = match &self.kind {
            Kind::Word => self.token.unwrap_or_default().to_owned(),
            Kind::OneOf(of) => all(of, "|"),
            Kind::Block(of) => all(of, " "),
            Kind::Value(_) => format!("<{}>", self.name),
        };
        let own = match self.token {
            Some(token) if self.kind != Kind::Word => format!("{token} {own}"),
            _ => own,
        };
        let own = if self.is_multiple { format!("{own} [{own} ...]") } else { own };
        match (&self.kind, self.is_optional) {
            (_, true) => format!("[{own}]"),
            (Kind::OneOf(_), false) => format!("({own})"),
            _ => own,
        }
    }
}

impl Docs {
    /// The arguments, as a line of help shows them.
    pub fn usage(&self) -> String {
        self.arguments.iter().map(Argument::usage).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;

    #[test]
    fn something_is_told_of_every_command_and_of_no_other() {
        let mut names: Vec<&str> = table::all_lines().map(|command| command.name).collect();
        let mut told: Vec<&str> = ALL.keys().copied().collect();
        names.sort_unstable();
        told.sort_unstable();
        assert_eq!(names, told);
    }

    #[test]
    fn flags_and_keys_are_those_of_the_table() {
        use super::super::table::Flags;
        for command in table::all_lines() {
            let docs = of(command);
            for (flag, name) in [
                (Flags::WRITE, "write"),
                (Flags::READ, "readonly"),
                (Flags::ADMIN, "admin"),
                (Flags::FAST, "fast"),
                (Flags::DENY_OOM, "denyoom"),
                (Flags::NO_AUTH, "no_auth"),
                (Flags::NO_MULTI, "no_multi"),
            ] {
                assert_eq!(command.flags.has(flag), docs.flags.contains(&name), "{}: {name}", command.name);
            }
            let has_keys = !matches!(command.keys, table::Keys::At(0, ..));
            assert_eq!(has_keys, !docs.keys.is_empty(), "{}", command.name);
        }
    }

    #[test]
    fn all_that_is_written_is_read() {
        for text in TEXT.split("\n\n") {
            for line in text.lines().filter_map(|line| line.strip_prefix("arguments ")) {
                let mut reader = Reader { text: line, at: 0 };
                reader.arguments();
                assert_eq!(reader.rest(), "", "{line}");
            }
            let count = text.lines().filter(|line| line.starts_with("key ")).count();
            assert_eq!(read(text).1.keys.len(), count, "{text}");
        }
        let arguments = "key:k0 [a(X|b-c:s@B^1.2.3)...+] t@T [block{d:d u:u}@LIMIT]";
        let read = Reader { text: arguments, at: 0 }.arguments();
        let docs = Docs { arguments: read, ..Docs::default() };
        assert_eq!(docs.usage(), "<key> [X|B <b-c> [X|B <b-c> ...]] T [LIMIT <d> <u>]");
        assert_eq!(docs.arguments[1].is_token_multiple, docs.arguments[1].is_multiple);
    }
}
