//! Requests of clients of filedb-server.

use crate::resp::request::{Found, Limits, Parser};

/// What a client sends is found in the same places whether it comes at once or byte by byte.
pub fn request(bytes: &[u8]) {
    let limits =
        Limits { max_bulk: 1 << 16, max_command: 1 << 18, is_trusted: bytes.len().is_multiple_of(2) };
    assert_eq!(commands(bytes, &limits, bytes.len().max(1)), commands(bytes, &limits, 1));
}

/// The commands, and whether the client was understood up to the end.
fn commands(bytes: &[u8], limits: &Limits, at_once: usize) -> (Vec<Vec<Vec<u8>>>, bool) {
    let (mut parser, mut commands) = (Parser::default(), Vec::new());
    let (mut from, mut to) = (0, 0);
    while to < bytes.len() {
        to = (to + at_once).min(bytes.len());
        loop {
            let input = &bytes[from..to];
            match parser.parse(input, limits) {
                Ok(Found::Part) => break,
                Ok(Found::Nothing(size)) => {
                    parser.reset();
                    from += size;
                }
                Ok(Found::Command(size)) => {
                    assert!(size <= input.len() && parser.has_found());
                    commands.push(parser.arguments(input).iter().map(|word| word.to_vec()).collect());
                    parser.reset();
                    from += size;
                }
                Err(_) => return (commands, false),
            }
        }
    }
    (commands, true)
}
