//! LCS: the longest common subsequence of two strings.

use super::Context;
use super::args::{int_within, is};
use super::fault::{Fault, Result, SYNTAX};
use super::strings::copy;
use super::table::{Command, Flags, Keys, command};

/// The table of this group.
pub static COMMANDS: &[Command] = &[command(
    "lcs",
    lcs,
    -3,
    Flags::READ,
    Keys::At(1, 2, 1),
    "string",
    "7.0.0",
    "Finds the longest common substring.",
)];

/// The most cells of the table of lengths, of four bytes each.
const MOST_CELLS: usize = 64 << 20;

struct Match {
    one: (usize, usize),
    other: (usize, usize),
}

fn lcs(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let (mut want_length, mut want_matches, mut least, mut with_length) = (false, false, 0, false);
    let mut rest = args[3..].iter();
    while let Some(word) = rest.next() {
        if is(word, "LEN") {
            want_length = true;
        } else if is(word, "IDX") {
            want_matches = true;
        } else if is(word, "WITHMATCHLEN") {
            with_length = true;
        } else if is(word, "MINMATCHLEN")
            && let Some(number) = rest.next()
        {
            least = int_within(number, i64::MIN, i64::MAX, super::fault::NOT_INTEGER)?.max(0) as usize;
        } else {
            return Err(Fault::from(SYNTAX));
        }
    }
    if want_length && want_matches {
        return Err(Fault::from("ERR If you want both the length and indexes, please just use IDX."));
    }
    let (one, other) = (context.key(args[1]), context.key(args[2]));
    let wrong = |_| Fault::from("ERR The specified keys must contain string values");
    let one = copy(context, &one).map_err(wrong)?.unwrap_or_default().0;
    let other = copy(context, &other).map_err(wrong)?.unwrap_or_default().0;
    let cells = (one.len() + 1).saturating_mul(other.len() + 1);
    if cells > MOST_CELLS {
        return Err(Fault::from(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let width = other.len() + 1;
    let mut lengths = vec![0u32; cells];
    for i in 1..=one.len() {
        for j in 1..=other.len() {
            lengths[i * width + j] = match one[i - 1] == other[j - 1] {
                true => lengths[(i - 1) * width + j - 1] + 1,
                false => lengths[(i - 1) * width + j].max(lengths[i * width + j - 1]),
            };
        }
    }
    let length = lengths[cells - 1] as usize;
    if want_length {
        context.reply().count(length);
        return Ok(());
    }
    let (common, matches) = trace(&one, &other, &lengths);
    let mut reply = context.reply();
    if !want_matches {
        reply.bulk(&common);
        return Ok(());
    }
    let matches: Vec<_> =
        matches.into_iter().filter(|found| found.one.1 + 1 - found.one.0 >= least).collect();
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(matches.len());
    for found in matches {
        reply.array(if with_length { 3 } else { 2 });
        for (from, to) in [found.one, found.other] {
            reply.array(2);
            reply.count(from);
            reply.count(to);
        }
        if with_length {
            reply.count(found.one.1 + 1 - found.one.0);
        }
    }
    reply.bulk(b"len");
    reply.count(length);
    Ok(())
}

/// Goes through the table from its end: what is common, and where, last match first.
fn trace(one: &[u8], other: &[u8], lengths: &[u32]) -> (Vec<u8>, Vec<Match>) {
    let width = other.len() + 1;
    let (mut i, mut j) = (one.len(), other.len());
    let (mut common, mut matches) = (Vec::new(), Vec::new());
    let mut current: Option<Match> = None;
    while i > 0 && j > 0 {
        if one[i - 1] == other[j - 1] {
            common.push(one[i - 1]);
            match &mut current {
                Some(found) if found.one.0 == i && found.other.0 == j => {
                    found.one.0 -= 1;
                    found.other.0 -= 1;
                }
                _ => {
                    matches.extend(current.take());
                    current = Some(Match { one: (i - 1, i - 1), other: (j - 1, j - 1) });
                }
            }
            i -= 1;
            j -= 1;
        } else {
            if lengths[(i - 1) * width + j] > lengths[i * width + j - 1] {
                i -= 1
            } else {
                j -= 1
            }
            matches.extend(current.take());
        }
    }
    matches.extend(current.take());
    common.reverse();
    (common, matches)
}
