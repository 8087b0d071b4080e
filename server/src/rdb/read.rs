//! Reads a payload, which may hold anything.

use super::{
    LIST, LIST_QUICKLIST, LIST_QUICKLIST_2, LIST_ZIPLIST, STRING, VALKEY_VERSION, VERSIONS, crc64, lzf,
    packed,
};

/// What a payload holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    String(Vec<u8>),
    /// A list, which has elements.
    List(Vec<Vec<u8>>),
}

/// Why it cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The bytes are no payload, were changed on their way, or come from a version that nobody knows.
    VersionOrChecksum,
    /// The payload holds something other than a string or a list; this is the number of that.
    Kind(u8),
    /// The payload does not keep to the format.
    Format,
    /// Unpacked it takes more memory than it may.
    TooLarge,
}

struct Reader<'a> {
    rest: &'a [u8],
    /// How many bytes may still be made of the payload.
    left: u64,
}

/// What an element takes beside its bytes.
const PER_ELEMENT: u64 = 64;

type Result<T> = std::result::Result<T, Wrong>;

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let count = usize::try_from(count).map_err(|_| Wrong::Format)?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Wrong::Format)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        self.take(1)?.first().copied().ok_or(Wrong::Format)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N as u64)?.try_into().map_err(|_| Wrong::Format)
    }

    /// A length; `Err` with the number of a form of strings.
    fn length(&mut self) -> Result<std::result::Result<u64, u8>> {
        let first = self.byte()?;
        Ok(Ok(match first {
            0..0x40 => u64::from(first),
            0x40..0x80 => u64::from(first & 0x3f) << 8 | u64::from(self.byte()?),
            0x80 => u32::from_be_bytes(self.array()?).into(),
            0x81 => u64::from_be_bytes(self.array()?),
            0xc0.. => return Ok(Err(first & 0x3f)),
            _ => return Err(Wrong::Format),
        }))
    }

    fn plain_length(&mut self) -> Result<u64> {
        self.length()?.map_err(|_| Wrong::Format)
    }

    fn string(&mut self) -> Result<Vec<u8>> {
        let number = |number: i64| itoa::Buffer::new().format(number).as_bytes().to_vec();
        match self.length()? {
            Ok(length) if length > self.left => Err(Wrong::TooLarge),
            Ok(length) => Ok(self.take(length)?.to_vec()),
            Err(0) => Ok(number(i8::from_le_bytes(self.array()?).into())),
            Err(1) => Ok(number(i16::from_le_bytes(self.array()?).into())),
            Err(2) => Ok(number(i32::from_le_bytes(self.array()?).into())),
            Err(3) => {
                let (packed, length) = (self.plain_length()?, self.plain_length()?);
                if length > self.left {
                    return Err(Wrong::TooLarge);
                }
                let length = usize::try_from(length).map_err(|_| Wrong::TooLarge)?;
                lzf::unpack(self.take(packed)?, length).ok_or(Wrong::Format)
            }
            Err(_) => Err(Wrong::Format),
        }
    }

    /// Counts an element.
    fn spend(&mut self, element: &[u8]) -> Result<()> {
        let cost = element.len() as u64 + PER_ELEMENT;
        self.left = self.left.checked_sub(cost).ok_or(Wrong::TooLarge)?;
        Ok(())
    }

    fn add(&mut self, list: &mut Vec<Vec<u8>>, element: Vec<u8>) -> Result<()> {
        self.spend(&element)?;
        list.push(element);
        Ok(())
    }

    fn add_packed(&mut self, list: &mut Vec<Vec<u8>>, string: &[u8], is_ziplist: bool) -> Result<()> {
        let mut failed = None;
        let add = |element| match self.add(list, element) {
            Ok(()) => Some(()),
            Err(why) => {
                failed = Some(why);
                None
            }
        };
        let shown = if is_ziplist { packed::ziplist(string, add) } else { packed::listpack(string, add) };
        shown.ok_or(failed.unwrap_or(Wrong::Format))
    }

    fn list(&mut self, kind: u8) -> Result<Vec<Vec<u8>>> {
        let mut list = Vec::new();
        let parts = if kind == LIST_ZIPLIST { 1 } else { self.plain_length()? };
        for _ in 0..parts {
            /// An element by itself, and a listpack.
            const PLAIN: u64 = 1;
            const PACKED: u64 = 2;
            let form = if kind == LIST_QUICKLIST_2 { self.plain_length()? } else { PACKED };
            let string = self.string()?;
            match (kind, form) {
                (LIST, _) | (LIST_QUICKLIST_2, PLAIN) => self.add(&mut list, string)?,
                (LIST_QUICKLIST_2, PACKED) => self.add_packed(&mut list, &string, false)?,
                (LIST_QUICKLIST_2, _) => return Err(Wrong::Format),
                _ => self.add_packed(&mut list, &string, true)?,
            }
        }
        if list.is_empty() { Err(Wrong::Format) } else { Ok(list) }
    }
}

/// The value in a payload, for which there are `most` bytes of memory.
pub fn read(payload: &[u8], most: u64) -> Result<Value> {
    let (covered, checksum) = payload.split_last_chunk::<8>().ok_or(Wrong::VersionOrChecksum)?;
    let (content, version) = covered.split_last_chunk::<2>().ok_or(Wrong::VersionOrChecksum)?;
    let version = u16::from_le_bytes(*version);
    let is_whole = u64::from_le_bytes(*checksum) == crc64(covered);
    if !is_whole || (!VERSIONS.contains(&version) && version != VALKEY_VERSION) {
        return Err(Wrong::VersionOrChecksum);
    }
    let mut reader = Reader { rest: content, left: most };
    let value = match reader.byte()? {
        STRING => Value::String(reader.string()?),
        kind @ (LIST | LIST_ZIPLIST | LIST_QUICKLIST | LIST_QUICKLIST_2) => Value::List(reader.list(kind)?),
        kind => return Err(Wrong::Kind(kind)),
    };
    if reader.rest.is_empty() { Ok(value) } else { Err(Wrong::Format) }
}
