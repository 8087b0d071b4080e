//! Lists that Redis packs into one string: listpacks, and the ziplists of versions before 7.

/// Cuts a number of bytes off.
fn take<'a>(input: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(count)?;
    *input = rest;
    Some(taken)
}

fn byte(input: &mut &[u8]) -> Option<u8> {
    take(input, 1)?.first().copied()
}

/// A number of up to 8 bytes, the lowest first.
fn integer(input: &mut &[u8], size: usize) -> Option<i64> {
    let bytes = take(input, size)?;
    let mut all = [if bytes.last()? & 0x80 == 0 { 0 } else { 0xff }; 8];
    all.get_mut(..size)?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(all))
}

fn text(number: i64) -> Vec<u8> {
    itoa::Buffer::new().format(number).as_bytes().to_vec()
}

/// Shows the elements of a listpack to `visit`; `None` where it is none, or `visit` gives `None`.
pub fn listpack(input: &[u8], mut visit: impl FnMut(Vec<u8>) -> Option<()>) -> Option<()> {
    let mut rest = input;
    let size = u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?);
    take(&mut rest, 2)?;
    if size as usize != input.len() {
        return None;
    }
    loop {
        let before = rest.len();
        let first = byte(&mut rest)?;
        let low = usize::from(first);
        let element = match first {
            0xff => return rest.is_empty().then_some(()),
            0..0x80 => text(i64::from(first)),
            0x80..0xc0 => take(&mut rest, low & 0x3f)?.to_vec(),
            0xc0..0xe0 => {
                let number = (low & 0x1f) << 8 | usize::from(byte(&mut rest)?);
                text(if number < 1 << 12 { number as i64 } else { number as i64 - (1 << 13) })
            }
            0xe0..0xf0 => {
                let length = (low & 0x0f) << 8 | usize::from(byte(&mut rest)?);
                take(&mut rest, length)?.to_vec()
            }
            0xf0 => {
                let length = u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?);
                take(&mut rest, length as usize)?.to_vec()
            }
            0xf1 => text(integer(&mut rest, 2)?),
            0xf2 => text(integer(&mut rest, 3)?),
            0xf3 => text(integer(&mut rest, 4)?),
            0xf4 => text(integer(&mut rest, 8)?),
            _ => return None,
        };
        // Its length again, for who comes from behind.
        let again = match before - rest.len() {
            0..0x80 => 1,
            0x80..0x4000 => 2,
            0x4000..0x20_0000 => 3,
            0x20_0000..0x1000_0000 => 4,
            _ => 5,
        };
        take(&mut rest, again)?;
        visit(element)?;
    }
}

/// Shows the elements of a ziplist to `visit`; `None` where it is none, or `visit` gives `None`.
pub fn ziplist(input: &[u8], mut visit: impl FnMut(Vec<u8>) -> Option<()>) -> Option<()> {
    let mut rest = input;
    let size = u32::from_le_bytes(take(&mut rest, 4)?.try_into().ok()?);
    take(&mut rest, 6)?;
    if size as usize != input.len() {
        return None;
    }
    loop {
        // The length of the one before.
        match byte(&mut rest)? {
            0xff => return rest.is_empty().then_some(()),
            0xfe => drop(take(&mut rest, 4)?),
            _ => {}
        }
        let first = byte(&mut rest)?;
        let low = usize::from(first);
        visit(match first {
            0..0x40 => take(&mut rest, low)?.to_vec(),
            0x40..0x80 => {
                let length = (low & 0x3f) << 8 | usize::from(byte(&mut rest)?);
                take(&mut rest, length)?.to_vec()
            }
            0x80 => {
                let length = u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
                take(&mut rest, length as usize)?.to_vec()
            }
            0xc0 => text(integer(&mut rest, 2)?),
            0xd0 => text(integer(&mut rest, 4)?),
            0xe0 => text(integer(&mut rest, 8)?),
            0xf0 => text(integer(&mut rest, 3)?),
            0xfe => text(integer(&mut rest, 1)?),
            0xf1..=0xfd => text(i64::from(first & 0x0f) - 1),
            _ => return None,
        })?;
    }
}
