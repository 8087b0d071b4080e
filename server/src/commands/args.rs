//! Arguments of commands: numbers and words.

use super::fault::{Fault, NOT_FLOAT, NOT_INTEGER, Result};
use crate::resp::request::number;

/// A whole number.
pub fn int(text: &[u8]) -> Result<i64> {
    number(text).ok_or(Fault::from(NOT_INTEGER))
}

/// A whole number of 32 bits.
pub fn int32(text: &[u8]) -> Result<i64> {
    let number = int(text)?;
    if i32::try_from(number).is_err() {
        return Err(Fault::from("ERR value is out of range, value must between -2147483648 and 2147483647"));
    }
    Ok(number)
}

/// A whole number within bounds; `message` where it is outside, or none.
pub fn int_within(text: &[u8], least: i64, most: i64, message: &'static str) -> Result<i64> {
    number(text).filter(|number| (least..=most).contains(number)).ok_or(Fault::from(message))
}

/// A time to wait, in milliseconds.
pub fn timeout_ms(text: &[u8]) -> Result<i64> {
    match number(text) {
        Some(number) if number < 0 => Err(Fault::from("ERR timeout is negative")),
        number => number.ok_or(Fault::from("ERR timeout is not an integer or out of range")),
    }
}

/// A number that may have a fraction.
pub fn float(text: &[u8]) -> Result<f64> {
    parse_float(text).ok_or(Fault::from(NOT_FLOAT))
}

/// A number that may have a fraction, as `strtold` reads it; no NaN.
pub fn parse_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let plain = text.trim_start_matches(['+', '-']);
    if plain.is_empty() || text.len() - plain.len() > 1 || text.ends_with(char::is_whitespace) {
        return None;
    }
    match plain.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        lower if lower.starts_with("nan") || lower.starts_with("inf") => return None,
        // As strtold does.
        lower if lower.starts_with("0x") => {
            let number = hexadecimal(&lower[2..])?;
            return Some(if text.starts_with('-') { -number } else { number });
        }
        _ => {}
    }
    text.parse().ok()
}

/// What stands behind `0x`: digits, perhaps a point among them, perhaps `p` and a power of two.
fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, power) = match text.split_once('p') {
        Some((digits, power)) => (digits, power.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let mut number = 0.0;
    for digit in whole.chars().chain(part.chars()) {
        number = number * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let places = i32::try_from(part.len()).ok()?.checked_mul(4)?;
    Some(number * 2f64.powi(power.saturating_sub(places)))
}

/// Whether an argument is this word, in whatever case.
#[inline]
pub fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

/// An argument as text, for messages: what is no UTF-8 is replaced.
pub fn text(argument: &[u8]) -> String {
    String::from_utf8_lossy(argument).into_owned()
}

/// The elements from index `first` to `last`, both included and counted from the end where negative, of `length`: the first, and how many.
pub fn range(length: u64, first: i64, last: i64) -> (u64, u64) {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from_front = |index: i64| if index < 0 { length.saturating_add(index) } else { index };
    let (first, last) = (from_front(first).max(0), from_front(last).min(length - 1));
    if first > last { (0, 0) } else { (first as u64, (last - first + 1) as u64) }
}
