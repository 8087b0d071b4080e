//! The arguments of the orchestrator: those of `cargo xtask race`, and where the driver is.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use crate::lines::{self, LINES, Line};
use crate::plan::{ENGINES, Effort};

pub const USAGE: &str = "\
usage: cargo xtask race [OPTION...]

  --quick            200,000 keys, one repeat, short rows: a few minutes
  --keys N[,N]       numbers of keys with 100-byte values (1M,10M)
  --values N[,N]     value sizes to run, in bytes (100,1024,65536)
  --limited          only data that are 2 and 4 times as large as the memory that the stores may take
  --ordered          only stores that keep their keys in order
  --only ROW[,ROW]   these rows only; --list names them
  --engines E[,E]    these stores only
  --repeat N         how often everything is measured (3); the median counts
  --seconds S        the longest that a row of reads takes (3)
  --out DIR          where figures.json and race.html go (target/race)
  --picture FILE     where to draw the first table as an SVG file too (docs/race.svg is such a picture)
  --stores DIR       where the stores lie while they are measured (DIR/stores); not a tmpfs
  --resume           goes on with the figures in DIR: what is there is not measured again
  --show             measures nothing; makes table and page from the figures in DIR
  --list             the rows and the stores
";

pub struct Args {
    /// `None` only with `--show` or `--list`.
    pub driver: Option<PathBuf>,
    pub quick: bool,
    pub limited: bool,
    pub ordered: bool,
    pub keys: Vec<u64>,
    pub values: Vec<u64>,
    pub only: Vec<&'static Line>,
    pub engines: Vec<&'static str>,
    pub effort: Effort,
    pub out: PathBuf,
    pub picture: Option<PathBuf>,
    pub stores: PathBuf,
    pub resume: bool,
    pub show: bool,
    pub list: bool,
    pub help: bool,
}

impl Args {
    pub fn parse(mut arguments: lexopt::Parser) -> Result<Self> {
        let (mut quick, mut resume, mut show, mut list, mut help) = (false, false, false, false, false);
        let (mut limited, mut ordered) = (false, false);
        let (mut driver, mut stores, mut repeat, mut seconds) = (None, None, None, None);
        let (mut keys, mut values, mut only, mut engines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut out = PathBuf::from("target/race");
        let mut picture = None;
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("quick") => quick = true,
                Long("limited") => limited = true,
                Long("ordered") => ordered = true,
                Long("keys") => keys = numbers(&arguments.value()?.string()?)?,
                Long("values") => values = numbers(&arguments.value()?.string()?)?,
                Long("only") => only = chosen(&arguments.value()?.string()?, "row", lines::find)?,
                Long("engines") => {
                    let find = |name: &str| ENGINES.iter().copied().find(|engine| *engine == name);
                    engines = chosen(&arguments.value()?.string()?, "store", find)?;
                }
                Long("repeat") => repeat = Some(arguments.value()?.parse()?),
                Long("seconds") => seconds = Some(arguments.value()?.parse()?),
                Long("out") => out = arguments.value()?.into(),
                Long("picture") => picture = Some(arguments.value()?.into()),
                Long("stores") => stores = Some(arguments.value()?.into()),
                Long("driver") => driver = Some(arguments.value()?.into()),
                Long("resume") => resume = true,
                Long("show") => show = true,
                Long("list") => list = true,
                Long("help") | Short('h') => help = true,
                other => bail!("{}\n\n{USAGE}", other.unexpected()),
            }
        }
        let mut effort = if quick { Effort::QUICK } else { Effort::FULL };
        effort.repeats = repeat.unwrap_or(effort.repeats);
        effort.seconds = seconds.unwrap_or(effort.seconds);
        if effort.repeats == 0 || !(0.01..=3600.0).contains(&effort.seconds) {
            bail!("--repeat takes 1 or more, --seconds 0.01 to 3600");
        }
        if keys.is_empty() {
            keys = match (quick, ordered) {
                (false, _) => vec![1_000_000, 10_000_000],
                (true, false) => vec![200_000],
                // With fewer the peers have everything in memory that they have not written out yet.
                (true, true) => vec![1_000_000],
            };
        }
        if keys.iter().any(|keys| !(1_000..=u64::from(u32::MAX)).contains(keys)) {
            bail!("--keys takes 1000 to {}", u32::MAX);
        }
        if engines.is_empty() {
            engines = ENGINES.to_vec();
        }
        let stores = stores.unwrap_or_else(|| out.join("stores"));
        Ok(Args {
            driver,
            quick,
            limited,
            ordered,
            keys,
            values,
            only,
            engines,
            effort,
            out,
            picture,
            stores,
            resume,
            show,
            list,
            help,
        })
    }
}

/// Numbers as 200000, 200k or 1M.
fn numbers(list: &str) -> Result<Vec<u64>> {
    let number = |word: &str| {
        let (digits, factor) = match word.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1_000),
            None => word.strip_suffix('M').map_or((word, 1), |digits| (digits, 1_000_000)),
        };
        let digits: u64 = digits.parse().ok()?;
        digits.checked_mul(factor)
    };
    list.split(',').map(|word| number(word).with_context(|| format!("'{word}' is no number"))).collect()
}

fn chosen<T>(list: &str, kind: &str, find: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
    let one =
        |word| find(word).with_context(|| format!("there is no {kind} '{word}': cargo xtask race --list"));
    list.split(',').map(one).collect()
}

/// What `--list` prints.
pub fn list() {
    println!("rows:");
    for line in LINES {
        println!("  {:24} {}", line.id, line.title);
    }
    println!("stores: {}", ENGINES.join(", "));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Args> {
        Args::parse(lexopt::Parser::from_args(words))
    }

    #[test]
    fn a_wrong_name_or_number_is_refused_by_name() {
        for words in [["--only", "gets"], ["--engines", "redis"], ["--keys", "1G"], ["--keys", "10"]] {
            let why = parse(&words).err().map(|why| why.to_string()).unwrap_or_default();
            assert!(why.contains(words[1]) || why.contains("--keys"), "{why}");
        }
        assert_eq!(
            parse(&["--keys", "1M,200k"]).map(|args| args.keys).unwrap_or_default(),
            [1_000_000, 200_000]
        );
    }
}
