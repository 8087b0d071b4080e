//! The first 64 bytes of a data file: which file of which store it is, and the salt of its checksums.

use super::bytes::{Reader, append_checksum, split_checked};
use super::{Damage, FORMAT_VERSION, FileId};

/// The size of the header; the first frame stands here.
pub const FILE_HEADER_SIZE: u64 = 64;

const MAGIC: &[u8; 8] = b"filedb\0D";

/// Identifies a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The file's number, also in its name.
    pub id: FileId,
    /// Mixed into the checksum of every frame, so that a frame is valid in this file only.
    pub salt: u32,
    /// The store that the file belongs to.
    pub store_id: [u8; 16],
    /// When the file was begun, in milliseconds since 1970.
    pub created_ms: u64,
}

impl FileHeader {
    /// The header's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FILE_HEADER_SIZE as usize);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&self.created_ms.to_le_bytes());
        bytes.resize(FILE_HEADER_SIZE as usize - 4, 0);
        append_checksum(&mut bytes);
        bytes
    }

    /// Reads a header.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let bytes = bytes.get(..FILE_HEADER_SIZE as usize).ok_or("the file is shorter than its header")?;
        let mut reader = Reader::new(bytes);
        if reader.take(8)? != MAGIC {
            return Err("it is not a filedb data file");
        }
        split_checked(bytes).map_err(|_| "the checksum of the file's header does not match")?;
        if reader.u32()? > FORMAT_VERSION {
            return Err("it was written by a newer version of filedb");
        }
        let (id, salt) = (reader.u32()?, reader.u32()?);
        reader.u32()?;
        Ok(FileHeader { id, salt, store_id: reader.bytes16()?, created_ms: reader.u64()? })
    }
}
