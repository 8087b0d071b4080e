//! Values of options, read from text.

/// What a text means, or why it means nothing.
pub type Parsed<T> = std::result::Result<T, String>;

/// What stands beside this word.
pub fn choose<T: Copy>(value: &str, choices: &[(&str, T)]) -> Parsed<T> {
    choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        format!("it takes {}", names.join(" or "))
    })
}

/// Yes or no.
pub fn parse_bool(value: &str) -> Parsed<bool> {
    choose(
        value,
        &[("true", true), ("false", false), ("1", true), ("0", false), ("on", true), ("off", false)],
    )
    .map_err(|_| "it takes true or false".into())
}

/// A number within its limits.
pub fn within(n: u64, least: u64, most: u64) -> Parsed<u64> {
    if (least..=most).contains(&n) { Ok(n) } else { Err(format!("it must be from {least} to {most}")) }
}

const SIZE_UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];
const TIME_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000)];

/// A number of bytes.
pub fn parse_size(value: &str) -> Parsed<u64> {
    parse_quantity(value, SIZE_UNITS).ok_or_else(|| "it takes a size such as 1048576 or 64MiB".into())
}

/// A time in milliseconds.
pub fn parse_ms(value: &str) -> Parsed<u64> {
    parse_quantity(value, TIME_UNITS).ok_or_else(|| "it takes a time such as 250, 250ms or 15s".into())
}

/// A whole number with one of the units behind it, or with none.
fn parse_quantity(value: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = value.split_at(digits);
    let factor = match unit.trim_start() {
        "" => 1,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
