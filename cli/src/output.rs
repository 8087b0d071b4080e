//! What a command prints, and what it ends with.

use std::fmt::Arguments;
use std::io::Write;
use std::process::ExitCode;

/// How a command ended; the numbers are in the manual page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// What was asked for was done.
    Done = 0,
    /// There is no such key, or a condition does not hold.
    No = 1,
    /// The store is damaged.
    Damaged = 3,
    /// The store is open elsewhere.
    Locked = 4,
    /// There is no store, or one too many.
    Missing = 5,
    /// Anything else.
    Failed = 6,
}

impl Answer {
    /// Done, or not.
    pub fn of(done: bool) -> Self {
        if done { Answer::Done } else { Answer::No }
    }

    /// What an error of the library is.
    pub fn of_error(error: &anyhow::Error) -> Self {
        use filedb::Error;
        match error.downcast_ref::<Error>() {
            Some(Error::Corrupt { .. }) => Answer::Damaged,
            Some(Error::Locked { .. }) => Answer::Locked,
            Some(Error::Missing { .. } | Error::Exists { .. }) => Answer::Missing,
            _ => Answer::Failed,
        }
    }
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        ExitCode::from(answer as u8)
    }
}

/// What went wrong, from the outside in. An error of the library says all that is known, with what the operating system said.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain() {
        let separator = if sentence.is_empty() { "" } else { ": " };
        sentence += &format!("{separator}{cause}");
        if cause.is::<filedb::Error>() {
            break;
        }
    }
    sentence
}

/// Prints a line on standard output; unlike `println!` it does not end the program where nobody reads that.
pub fn say(line: Arguments<'_>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
