//! SORT, of lists.

use super::Context;
use super::args::{int, is, parse_float};
use super::fault::{Fault, Result, SYNTAX};
use super::lists::{is_list, whole};
use super::strings::copy;
use super::table::{Command, Flags, Keys, command};

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "sort",
        sort,
        -2,
        Flags(Flags::WRITE.0 | Flags::DENY_OOM.0),
        Keys::Own(keys),
        "generic",
        "1.0.0",
        "Sorts the elements in a list, optionally storing the result.",
    ),
    command(
        "sort_ro",
        sort_ro,
        -2,
        Flags::READ,
        Keys::FIRST,
        "generic",
        "7.0.0",
        "Returns the sorted elements of a list.",
    ),
];

/// The list, and where the result goes.
fn keys(args: &[&[u8]]) -> Vec<usize> {
    let mut places = vec![1];
    let mut at = 2;
    while at < args.len() {
        at += match args[at] {
            word if is(word, "LIMIT") => 3,
            word if is(word, "GET") || is(word, "BY") => 2,
            word if is(word, "STORE") => {
                places.push(at + 1);
                2
            }
            _ => 1,
        };
    }
    places
}

#[derive(Default)]
struct Options<'a> {
    descending: bool,
    by_text: bool,
    limit: Option<(i64, i64)>,
    store: Option<&'a [u8]>,
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
}

fn options<'a>(args: &'a [&'a [u8]], may_store: bool) -> Result<Options<'a>> {
    let mut options = Options::default();
    let mut rest = args;
    while let Some((word, more)) = rest.split_first() {
        rest = more;
        if is(word, "ASC") {
            options.descending = false;
        } else if is(word, "DESC") {
            options.descending = true;
        } else if is(word, "ALPHA") {
            options.by_text = true;
        } else if is(word, "LIMIT") && more.len() >= 2 {
            options.limit = Some((int(more[0])?, int(more[1])?));
            rest = &more[2..];
        } else if is(word, "STORE") && may_store && !more.is_empty() {
            options.store = Some(more[0]);
            rest = &more[1..];
        } else if is(word, "BY") && !more.is_empty() {
            options.by = Some(more[0]);
            rest = &more[1..];
        } else if is(word, "GET") && !more.is_empty() {
            options.get.push(more[0]);
            rest = &more[1..];
        } else {
            return Err(Fault::from(SYNTAX));
        }
    }
    Ok(options)
}

/// What a pattern means for an element: `#` itself, and else the string whose key has the element in the place of the star.
fn lookup(context: &mut Context<'_>, pattern: &[u8], element: &[u8]) -> Result<Option<Vec<u8>>> {
    if pattern == b"#" {
        return Ok(Some(element.to_vec()));
    }
    let Some(star) = memchr::memchr(b'*', pattern) else { return Ok(None) };
    let after = &pattern[star + 1..];
    // A field of a hash: there are none.
    if let Some(arrow) = memchr::memmem::find(after, b"->")
        && arrow + 2 < after.len()
    {
        return Ok(None);
    }
    let name = [&pattern[..star], element, after].concat();
    let key = context.key(&name);
    match copy(context, &key) {
        Ok(found) => Ok(found.map(|(value, _)| value)),
        Err(Fault::Text(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// A number as `strtod` reads it: a zero byte ends it, nothing is 0, and spaces are skipped in front of a number only.
fn number(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() { Some(0.0) } else { parse_float(text.trim_ascii_start()) }
}

fn sort(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    run(context, args, true)
}

fn sort_ro(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    run(context, args, false)
}

fn run(context: &mut Context<'_>, args: &[&[u8]], may_store: bool) -> Result {
    let options = options(&args[2..], may_store)?;
    let key = context.key(args[1]);
    context.work.read(&key, is_list)??;
    let elements = whole(context, &key)?;
    let elements = elements.unwrap_or_default();
    let sorts = options.by.is_none_or(|by| by.contains(&b'*'));
    let mut weighed: Vec<(f64, Option<Vec<u8>>, Vec<u8>)> = Vec::with_capacity(elements.len());
    let mut room = context.room();
    for element in elements {
        let weight = match options.by.filter(|_| sorts) {
            Some(by) => lookup(context, by, &element)?,
            None => Some(element.clone()),
        };
        room.take(weight.as_ref().map_or(0, Vec::len));
        room.check()?;
        let number = match &weight {
            Some(text) if sorts && !options.by_text => {
                let wrong = || Fault::from("ERR One or more scores can't be converted into double");
                number(text).ok_or_else(wrong)?
            }
            _ => 0.0,
        };
        weighed.push((number, weight, element));
    }
    if sorts {
        weighed.sort_by(|(number, text, element), (other_number, other_text, other)| {
            let order = match options.by_text {
                true => text.cmp(other_text),
                false => number.total_cmp(other_number),
            };
            // Equal numbers are in the order of the elements; elements whose other keys are equal texts stay in the order of the list.
            let stays = options.by_text && options.by.is_some();
            let order = if order.is_eq() && !stays { element.cmp(other) } else { order };
            if options.descending { order.reverse() } else { order }
        });
    }
    let length = weighed.len() as i64;
    let (from, count) = match options.limit {
        Some((from, count)) => (from.clamp(0, length), if count < 0 { length } else { count }),
        None => (0, length),
    };
    let chosen = weighed.into_iter().skip(from as usize).take(count.max(0) as usize);
    let mut results: Vec<Option<Vec<u8>>> = Vec::new();
    let mut room = context.room();
    for (_, _, element) in chosen {
        for pattern in &options.get {
            let found = lookup(context, pattern, &element)?;
            room.take(found.as_ref().map_or(0, Vec::len));
            results.push(found);
        }
        if options.get.is_empty() {
            room.take(element.len());
            results.push(Some(element));
        }
        room.check()?;
    }
    match options.store {
        None => {
            let mut reply = context.reply();
            reply.array(results.len());
            results.iter().for_each(|result| reply.bulk_or_null(result.as_deref()));
        }
        Some(to) => {
            let to = context.key(to);
            let count = results.len();
            if count == 0 {
                if context.work.remove(&to)? {
                    context.work.notify(b'g', "del", &to);
                }
            } else {
                let elements = results.into_iter().map(Option::unwrap_or_default).collect();
                context.work.put_list(&to, elements, None)?;
                context.work.notify(b'l', "sortstore", &to);
            }
            context.reply().count(count);
        }
    }
    Ok(())
}
