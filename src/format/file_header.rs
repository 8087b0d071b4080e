//! The first 64 bytes of a data file: which file of which store it is, and what its frames are told relative to.

use super::bytes::{Reader, append_checksum, split_checked};
use super::frame::{Epoch, Origin};
use super::{Damage, FORMAT_VERSION, FileId};

/// The size of the header; the first frame stands here.
pub const FILE_HEADER_SIZE: u64 = 64;

const MAGIC: &[u8; 8] = b"filedb\0D";

/// Identifies a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The file's number, also in its name.
    pub id: FileId,
    /// The store that the file belongs to.
    pub store_id: [u8; 16],
    /// What its frames are told relative to.
    pub origin: Origin,
}

impl FileHeader {
    /// The header's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FILE_HEADER_SIZE as usize);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&self.origin.salt.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.store_id);
        bytes.extend_from_slice(&self.origin.epoch.time_ms.to_le_bytes());
        bytes.extend_from_slice(&self.origin.epoch.seq.to_le_bytes());
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
        super::check_version(reader.u32()?)?;
        let (id, salt) = (reader.u32()?, reader.u32()?);
        reader.u32()?;
        let store_id = reader.bytes16()?;
        let (time_ms, seq) = (reader.u64()?, reader.u64()?);
        Ok(FileHeader { id, store_id, origin: Origin { salt, epoch: Epoch { seq, time_ms } } })
    }
}
