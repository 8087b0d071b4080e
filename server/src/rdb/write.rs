//! Writes a payload.

use super::{LIST, STRING, VERSION, crc64};

/// See the module.
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// For a string, which is to follow.
    pub fn of_string() -> Self {
        Writer { bytes: vec![STRING] }
    }

    /// For a list of so many elements, which are to follow.
    pub fn list(length: u64) -> Self {
        let mut writer = Writer { bytes: vec![LIST] };
        writer.length(length);
        writer
    }

    /// The bytes so far.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn length(&mut self, length: u64) {
        let bytes = &mut self.bytes;
        match length {
            0..0x40 => bytes.push(length as u8),
            0x40..0x4000 => bytes.extend((length as u16 | 0x4000).to_be_bytes()),
            0x4000..0x1_0000_0000 => {
                bytes.push(0x80);
                bytes.extend((length as u32).to_be_bytes());
            }
            _ => {
                bytes.push(0x81);
                bytes.extend(length.to_be_bytes());
            }
        }
    }

    /// Adds a string: a number of 32 bits as such, as Redis does it.
    pub fn string(&mut self, string: &[u8]) {
        if string.len() <= 11
            && let Some(number) = crate::resp::request::number(string)
        {
            if let Ok(number) = i8::try_from(number) {
                return self.bytes.extend([0xc0, number as u8]);
            }
            if let Ok(number) = i16::try_from(number) {
                self.bytes.push(0xc1);
                return self.bytes.extend(number.to_le_bytes());
            }
            if let Ok(number) = i32::try_from(number) {
                self.bytes.push(0xc2);
                return self.bytes.extend(number.to_le_bytes());
            }
        }
        self.length(string.len() as u64);
        self.bytes.extend(string);
    }

    /// The payload.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend(VERSION.to_le_bytes());
        self.bytes.extend(crc64(&self.bytes).to_le_bytes());
        self.bytes
    }
}
