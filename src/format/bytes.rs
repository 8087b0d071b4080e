//! Checked little-endian reading from a byte slice.

use super::Damage;

/// Reads integers from the front of a slice, and says so when it ends too early.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Damage> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or("it ends too early")?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, Damage> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> Result<u32, Damage> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> Result<u64, Damage> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next 16 bytes.
    pub fn bytes16(&mut self) -> Result<[u8; 16], Damage> {
        self.array()
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// Splits `bytes` into a body and the CRC-32 of it in the last four bytes, and compares the two.
pub fn split_checked(bytes: &[u8]) -> Result<&[u8], Damage> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or("it is too short to hold a checksum")?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err("its checksum does not match its content");
    }
    Ok(body)
}

/// Appends the CRC-32 of all that is in `bytes`.
pub fn append_checksum(bytes: &mut Vec<u8>) {
    let crc = crc32fast::hash(bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
}
