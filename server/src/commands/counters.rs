//! Numbers in strings.

use super::Context;
use super::args::{int, parse_float};
use super::fault::{Fault, NOT_FLOAT, NOT_INTEGER, Result};
use super::strings::copy;
use super::table::{Command, Flags, Keys, command};
use crate::resp::request::number;

const WRITE: Flags = Flags(Flags::WRITE.0 | Flags::DENY_OOM.0 | Flags::FAST.0);

/// The table of this group.
pub static COMMANDS: &[Command] = &[
    command(
        "incr",
        incr,
        2,
        WRITE,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Increments the integer value of a key by one.",
    ),
    command(
        "decr",
        decr,
        2,
        WRITE,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Decrements the integer value of a key by one.",
    ),
    command(
        "incrby",
        incrby,
        3,
        WRITE,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Increments the integer value of a key by a number.",
    ),
    command(
        "decrby",
        decrby,
        3,
        WRITE,
        Keys::FIRST,
        "string",
        "1.0.0",
        "Decrements the integer value of a key by a number.",
    ),
    command(
        "incrbyfloat",
        incrbyfloat,
        3,
        WRITE,
        Keys::FIRST,
        "string",
        "2.6.0",
        "Increments the floating point value of a key by a number.",
    ),
];

fn add(context: &mut Context<'_>, key: &[u8], by: i64) -> Result {
    let key = context.key(key);
    let (old, expiry_ms) = match copy(context, &key)? {
        Some((string, expiry_ms)) => (number(&string).ok_or(Fault::from(NOT_INTEGER))?, expiry_ms),
        None => (0, None),
    };
    let sum = old.checked_add(by).ok_or(Fault::from("ERR increment or decrement would overflow"))?;
    context.work.set(&key, itoa::Buffer::new().format(sum).as_bytes(), expiry_ms);
    context.work.notify(b'$', "incrby", &key);
    context.reply().int(sum);
    Ok(())
}

fn incr(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    add(context, args[1], 1)
}

fn decr(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    add(context, args[1], -1)
}

fn incrby(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    add(context, args[1], int(args[2])?)
}

fn decrby(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let by = int(args[2])?.checked_neg().ok_or(Fault::from("ERR decrement would overflow"))?;
    add(context, args[1], by)
}

fn incrbyfloat(context: &mut Context<'_>, args: &[&[u8]]) -> Result {
    let key = context.key(args[1]);
    let (old_text, expiry_ms) = copy(context, &key)?.unwrap_or_else(|| (b"0".to_vec(), None));
    let old = parse_float(&old_text).ok_or(Fault::from(NOT_FLOAT))?;
    let by = parse_float(args[2]).ok_or(Fault::from(NOT_FLOAT))?;
    let sum = old + by;
    if !sum.is_finite() {
        return Err(Fault::from("ERR increment would produce NaN or Infinity"));
    }
    // Redis computes with 80 bits: what has few digits is added digit by digit, so that it is not less precise here.
    let exact = decimal(&old_text).zip(decimal(args[2])).and_then(|(old, by)| old.checked_add(by));
    let text = exact.map_or_else(|| human(sum), |sum| show_decimal(in_64_bits(sum)));
    context.work.set(&key, text.as_bytes(), expiry_ms);
    context.work.notify(b'$', "incrbyfloat", &key);
    context.reply().bulk(text.as_bytes());
    Ok(())
}

/// How many digits are behind the point.
const DIGITS: usize = 17;
const UNIT: i128 = 10i128.pow(DIGITS as u32);
const MOST: i128 = 10i128.pow(20);

/// A number in decimal text, in units of its 17th digit behind the point.
fn decimal(text: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => {
            (digits, exponent.parse::<u32>().ok().filter(|exponent| *exponent <= 18)?)
        }
        None => (digits, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 20 || part.len() > DIGITS || !is_plain(whole) || !is_plain(part) {
        return None;
    }
    let part: i128 = format!("{part:0<DIGITS$}").parse().ok()?;
    let number = (whole.parse::<i128>().ok()? * UNIT + part).checked_mul(10i128.pow(exponent))?;
    // A sum of two of them has its place.
    if number / UNIT > MOST {
        return None;
    }
    Some(in_64_bits(if negative { -number } else { number }))
}

/// The number that is left of one where it has 64 bits, as in Redis.
fn in_64_bits(number: i128) -> i128 {
    /// Nearest, and of two that are as near the even one.
    fn divided(dividend: u128, divisor: u128) -> u128 {
        let (quotient, rest) = (dividend / divisor, dividend % divisor);
        let up = rest > divisor - rest || (rest == divisor - rest && quotient % 2 == 1);
        quotient + u128::from(up)
    }
    let unit = UNIT.unsigned_abs();
    let whole_bits = 128 - (number.unsigned_abs() / unit).leading_zeros();
    if whole_bits == 0 {
        return number;
    }
    if whole_bits > 64 {
        let step = unit << (whole_bits - 64);
        let rounded = (divided(number.unsigned_abs(), step) * step) as i128;
        return if number < 0 { -rounded } else { rounded };
    }
    let scale = 1u128 << (64 - whole_bits);
    let bits = divided(number.unsigned_abs() * scale, unit);
    let rounded = divided(bits * unit, scale) as i128;
    if number < 0 { -rounded } else { rounded }
}

fn show_decimal(number: i128) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let (whole, part) = (number.abs() / UNIT, number.abs() % UNIT);
    if part == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{}", format!("{part:0>DIGITS$}").trim_end_matches('0'))
}

/// A number with 17 digits behind the point, less the zeros at the end.
pub fn human(number: f64) -> String {
    let text = format!("{number:.17}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_added_exactly_up_to_64_bits() {
        let add = |one: &str, other: &str| {
            let sum = decimal(one.as_bytes()).unwrap() + decimal(other.as_bytes()).unwrap();
            show_decimal(in_64_bits(sum))
        };
        assert_eq!(add("0.1", "0.2"), "0.3");
        assert_eq!(add("3.0", "-4.5"), "-1.5");
        assert_eq!(add("1e3", "0.25"), "1000.25");
        assert_eq!(add("9223372036854775807", "-2.25"), "9223372036854775805");
        assert_eq!(add("-9223372036854775808", "-2.25"), "-9223372036854775810");
        assert_eq!(add("9223372036854775807", "1e2"), "9223372036854775907");
        assert_eq!(add("-19223372036854775808", "1e2"), "-19223372036854775708");
        assert_eq!(add("19223372036854775808", "1"), "19223372036854775808");
        assert_eq!(add("99999999999999999999", "99999999999999999999"), "200000000000000000000");
        for none in ["", "x", "100000000000000000001", "1e-1", "1e99", "1.123456789012345678", "-", "inf"] {
            assert_eq!(decimal(none.as_bytes()), None, "{none}");
        }
    }
}
