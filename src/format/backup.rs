//! What says that a directory is a backup, of which store, and that nobody changed it since.
//!
//! It names the manifests that count by their checksums: the one that a backup replaces, and the one that it puts in its place. So
//! it is right before that replacement and after it. A store that was opened for writing has another manifest.

use super::bytes::{Reader, append_checksum, split_checked};
use super::{Damage, FORMAT_VERSION};

const MAGIC: &[u8; 8] = b"filedb\0B";

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The identity of the store that was copied.
    pub store_id: [u8; 16],
    /// The CRC-32 of each manifest that counts, and its size; zeros where there is none.
    pub manifests: [(u32, u32); 2],
}

/// What a manifest is told by. Its own checksum stands at its end: with that every one would have the same.
pub fn sum(manifest: &[u8]) -> (u32, u32) {
    let body = manifest.split_last_chunk::<4>().map_or(manifest, |(body, _)| body);
    (crc32fast::hash(body), manifest.len() as u32)
}

impl Backup {
    /// The bytes of it.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&0u32.to_le_bytes());
        bytes.extend_from_slice(&self.store_id);
        for (crc, size) in self.manifests {
            bytes.extend_from_slice(&crc.to_le_bytes());
            bytes.extend_from_slice(&size.to_le_bytes());
        }
        append_checksum(&mut bytes);
        bytes
    }

    /// Reads it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut reader = Reader::new(split_checked(bytes)?);
        if reader.take(8)? != MAGIC {
            return Err("it is not what a backup of filedb says of itself");
        }
        if reader.u32()? != FORMAT_VERSION {
            return Err("it was written by a newer version of filedb");
        }
        reader.take(4)?;
        let store_id = reader.bytes16()?;
        let manifests = [(reader.u32()?, reader.u32()?), (reader.u32()?, reader.u32()?)];
        if !reader.rest().is_empty() {
            return Err("it is longer than what was written");
        }
        Ok(Backup { store_id, manifests })
    }

    /// Whether nobody but a backup wrote this manifest.
    pub fn knows(&self, manifest: &[u8]) -> bool {
        self.manifests.contains(&sum(manifest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back_and_every_flipped_bit_and_every_cut_is_noticed() {
        let manifest = |content: &[u8]| {
            let mut bytes = content.to_vec();
            append_checksum(&mut bytes);
            bytes
        };
        let [old, new, other] = [&b"old"[..], b"new", b"two"].map(manifest);
        let backup = Backup { store_id: [7; 16], manifests: [sum(&old), sum(&new)] };
        let mut bytes = backup.encode();
        assert_eq!(Backup::decode(&bytes), Ok(backup));
        assert!(backup.knows(&old) && backup.knows(&new) && !backup.knows(&other));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Backup::decode(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for length in 0..bytes.len() {
            assert!(Backup::decode(&bytes[..length]).is_err(), "length {length}");
        }
    }
}
