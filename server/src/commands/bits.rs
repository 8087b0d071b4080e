//! Bits of strings.

use super::Context;
use super::args::{int, is, text};
use super::fault::{Fault, Result, SYNTAX};
use super::strings::{check_length, copy, value};
use super::table::{Command, Flags, Keys, command};

const READ: Flags = Flags::READ;
const WRITE: Flags = Flags(Flags::WRITE.0 | Flags::DENY_OOM.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "setbit",
        setbit,
        4,
        WRITE,
        Keys::FIRST,
        "bitmap",
        "2.2.0",
        "Sets or clears a bit of a string value.",
    ),
    command(
        "getbit",
        getbit,
        3,
        Flags(Flags::READ.0 | Flags::FAST.0),
        Keys::FIRST,
        "bitmap",
        "2.2.0",
        "Returns a bit of a string value.",
    ),
    command(
        "bitcount",
        bitcount,
        -2,
        READ,
        Keys::FIRST,
        "bitmap",
        "2.6.0",
        "Counts the set bits of a string value.",
    ),
    command(
        "bitpos",
        bitpos,
        -3,
        READ,
        Keys::FIRST,
        "bitmap",
        "2.8.7",
        "Finds the first set or clear bit of a string value.",
    ),
    command(
        "bitop",
        bitop,
        -4,
        WRITE,
        Keys::At(2, -1, 1),
        "bitmap",
        "2.6.0",
        "Performs bitwise operations on several strings, and stores the result.",
    ),
];

fn offset(text: &[u8]) -> Result<u64> {
    let wrong = || Fault::from("ERR bit offset is not an integer or out of range");
    let offset = int(text).map_err(|_| wrong())?;
    u64::try_from(offset).ok().filter(|offset| *offset < 1 << 32).ok_or_else(wrong)
}

fn setbit(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let offset = offset(args[2])?;
    let on = match int(args[3]) {
        Ok(0) => false,
        Ok(1) => true,
        _ => return Err(Fault::from("ERR bit is not an integer or out of range")),
    };
    let key = context.key(args[1]);
    let (at, mask) = ((offset / 8) as usize, 0x80u8 >> (offset % 8));
    check_length(context, at as u64 + 1)?;
    let found = context.work.find(&key, |found| {
        Ok::<_, Fault>(value(found)?.and_then(|string| string.get(at)).map(|byte| byte & mask != 0))
    })??;
    if found == Some(on) {
        context.reply().flag(on);
        return Ok(());
    }
    let (mut string, expiry_ms) = copy(context, &key)?.unwrap_or_default();
    if string.len() <= at {
        string.resize(at + 1, 0);
    }
    let old = string[at] & mask != 0;
    if on {
        string[at] |= mask
    } else {
        string[at] &= !mask
    }
    context.work.set(&key, &string, expiry_ms);
    context.work.notify(b'$', "setbit", &key);
    context.reply().flag(old);
    Ok(())
}

fn getbit(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let offset = offset(args[2])?;
    let key = context.key(args[1]);
    let bit = context.work.find(&key, |found| {
        let byte = value(found)?.and_then(|string| string.get((offset / 8) as usize).copied()).unwrap_or(0);
        Ok::<_, Fault>(byte & (0x80 >> (offset % 8)) != 0)
    })??;
    context.reply().flag(bit);
    Ok(())
}

/// A range of bits, both ends included, as two arguments and BYTE or BIT say it; `None` where it is empty.
fn bit_range(length: usize, first: i64, last: i64, in_bits: bool) -> Option<(u64, u64)> {
    let total = if in_bits { length as i64 * 8 } else { length as i64 };
    let from_front = |index: i64| if index < 0 { total.saturating_add(index).max(0) } else { index };
    let (first, last) = (from_front(first), from_front(last).min(total.saturating_sub(1)));
    if first > last {
        return None;
    }
    Some(if in_bits { (first as u64, last as u64) } else { (first as u64 * 8, last as u64 * 8 + 7) })
}

fn unit(word: &[u8]) -> Result<bool> {
    match word {
        word if is(word, "BIT") => Ok(true),
        word if is(word, "BYTE") => Ok(false),
        _ => Err(Fault::from(SYNTAX)),
    }
}

/// The bits of a byte that are within a range of bits.
fn masked(string: &[u8], at: u64, (first, last): (u64, u64)) -> (u8, u8) {
    let byte = string.get(at as usize).copied().unwrap_or(0);
    let mut mask = 0xffu8;
    if at == first / 8 {
        mask &= 0xff >> (first % 8);
    }
    if at == last / 8 {
        mask &= !(0x7fu8.checked_shr((last % 8) as u32).unwrap_or(0));
    }
    (byte, mask)
}

fn bitcount(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    if context.work.find(&key, |found| value(found).map(|string| string.is_none()))?? {
        context.reply().int(0);
        return Ok(());
    }
    let (range, in_bits) = match args[2..] {
        [] => (None, false),
        [first, last] => (Some((int(first)?, int(last)?)), false),
        [first, last, word] => (Some((int(first)?, int(last)?)), unit(word)?),
        _ => return Err(Fault::from(SYNTAX)),
    };
    let count = context.work.peek(&key, |found| {
        let string = value(found)?.unwrap_or_default();
        let (first, last) = range.unwrap_or((0, -1));
        if first < 0 && last < 0 && first > last {
            return Ok(0);
        }
        let Some(range) = bit_range(string.len(), first, last, in_bits) else { return Ok(0) };
        let mut count = 0u64;
        for at in range.0 / 8..=range.1 / 8 {
            let (byte, mask) = masked(string, at, range);
            count += u64::from((byte & mask).count_ones());
        }
        Ok::<_, Fault>(count)
    })??;
    context.reply().int(count as i64);
    Ok(())
}

fn bitpos(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let bit = match int(args[2]) {
        Ok(0) => false,
        Ok(1) => true,
        Ok(_) => return Err(Fault::from("ERR The bit argument must be 1 or 0.")),
        Err(fault) => return Err(fault),
    };
    let key = context.key(args[1]);
    if context.work.find(&key, |found| value(found).map(|string| string.is_none()))?? {
        context.reply().int(if bit { -1 } else { 0 });
        return Ok(());
    }
    let (first, last, in_bits) = match args[3..] {
        [] => (0, None, false),
        [first] => (int(first)?, None, false),
        [first, last] => (int(first)?, Some(int(last)?), false),
        [first, last, word] => (int(first)?, Some(int(last)?), unit(word)?),
        _ => return Err(Fault::from(SYNTAX)),
    };
    let position = context.work.peek(&key, |found| {
        let Some(string) = value(found)? else { return Ok(if bit { -1 } else { 0 }) };
        let Some(range) = bit_range(string.len(), first, last.unwrap_or(-1), in_bits) else { return Ok(-1) };
        for at in range.0 / 8..=range.1 / 8 {
            let (byte, mask) = masked(string, at, range);
            let fits = (if bit { byte } else { !byte }) & mask;
            if fits != 0 {
                return Ok((at * 8 + u64::from(fits.leading_zeros())) as i64);
            }
        }
        // Behind the end of the string, where no end was given, all bits are clear.
        Ok::<_, Fault>(if !bit && last.is_none() { string.len() as i64 * 8 } else { -1 })
    })??;
    context.reply().int(position);
    Ok(())
}

fn bitop(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let operation = text(args[1]).to_ascii_lowercase();
    if !["and", "or", "xor", "not"].contains(&operation.as_str()) {
        return Err(Fault::from(SYNTAX));
    }
    if operation == "not" && args.len() != 4 {
        return Err(Fault::from("ERR BITOP NOT must be called with a single source key."));
    }
    let keys: Vec<_> = args[3..].iter().map(|name| context.key(name)).collect();
    let mut length = 0;
    for key in &keys {
        let this = context.work.read(key, |found| Ok::<_, Fault>(value(found)?.map_or(0, <[u8]>::len)))??;
        length = length.max(this);
    }
    // One source after the other, each where it lies: only the result takes memory. A string that is shorter has zeros behind it.
    let mut result = vec![0; length];
    for (n, key) in keys.iter().enumerate() {
        context.work.find(key, |found| {
            let source = value(found)?.unwrap_or_default();
            let source = &source[..source.len().min(length)];
            let (head, tail) = result.split_at_mut(source.len());
            let bytes = head.iter_mut().zip(source);
            match operation.as_str() {
                _ if n == 0 => head.copy_from_slice(source),
                "and" => {
                    bytes.for_each(|(byte, other)| *byte &= other);
                    tail.fill(0);
                }
                "or" => bytes.for_each(|(byte, other)| *byte |= other),
                _ => bytes.for_each(|(byte, other)| *byte ^= other),
            }
            Ok::<_, Fault>(())
        })??;
    }
    if operation == "not" {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let to = context.key(args[2]);
    if result.is_empty() {
        if context.work.remove(&to)? {
            context.work.notify(b'g', "del", &to);
        }
    } else {
        context.work.set(&to, &result, None);
        context.work.notify(b'$', "set", &to);
    }
    context.reply().count(length);
    Ok(())
}
