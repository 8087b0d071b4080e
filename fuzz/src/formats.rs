//! Bytes of files, one part at a time. Checksums are made right first, so that what is behind them is reached.

use filedb::format::checkpoint::{CheckpointHeader, CheckpointLine, LINE_SIZE, PREFIX_SIZE};
use filedb::format::frame::{self, BarePut, Epoch, Header, MAX_HEADER_SIZE, Origin};
use filedb::format::hint::HintReader;
use filedb::format::manifest::Manifest;
use filedb::format::packed::Packed;
use filedb::format::run::block::Block;
use filedb::format::run::{self, FOOTER_SIZE, Footer, HEADER_SIZE, IndexShape, filter};

/// The bytes with the checksum of all before them at their end.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    if let Some(end) = bytes.len().checked_sub(4) {
        let crc = crc32fast::hash(&bytes[..end]);
        sealed[end..].copy_from_slice(&crc.to_le_bytes());
    }
    sealed
}

/// A frame: what is read is what would be written.
pub fn frame(bytes: &[u8]) {
    let Some((front, bytes)) = bytes.split_first_chunk::<8>() else { return };
    let word = u64::from_le_bytes(*front);
    let origin =
        Origin { salt: word as u32, epoch: Epoch { seq: word >> 32, time_ms: word.rotate_left(20) } };
    let Ok(header) = Header::decode(bytes, &origin) else { return };
    assert!(header.key_range().end as u64 <= header.value_range().end);
    assert!(header.frame_size() >= header.value_range().end);
    let mut again = [0; MAX_HEADER_SIZE];
    if header.is_far || origin.is_near(header.seq, 0, header.time_ms) {
        let size = header.encode(&origin, &mut again);
        assert_eq!(Header::decode(&again[..size], &origin), Ok(header));
    }
    let mut whole = bytes.to_vec();
    frame::seal(origin.seed(64), &mut whole);
    if let Some(put) = BarePut::parse(&whole, origin.seed(64)) {
        assert_eq!((put.key.len(), put.value.len()), (header.key_len as usize, header.value_len as usize));
        let is_whole = whole.len() as u64 == header.frame_size();
        assert!(put.is_intact() || !is_whole);
    }
}

/// The parts of a run: header, footer, index, filter, blocks.
pub fn run(bytes: &[u8]) {
    let Some((what, bytes)) = bytes.split_first() else { return };
    match what % 4 {
        0 => {
            let Some(bytes) = bytes.first_chunk::<HEADER_SIZE>() else { return };
            let mut bytes = *bytes;
            for crc in [false, true] {
                if crc {
                    let whole = sealed(&bytes);
                    bytes.copy_from_slice(&whole);
                }
                if let Ok(header) = run::Header::decode(&bytes) {
                    let again = run::Header::decode(&header.encode());
                    assert!(
                        again.is_ok_and(|again| again == header),
                        "a header is not read as it was written"
                    );
                }
            }
        }
        1 => {
            let Some(bytes) = bytes.first_chunk::<FOOTER_SIZE>() else { return };
            let mut bytes = *bytes;
            let crc = run::checksum(run::seed(7, 4_096), &bytes[..FOOTER_SIZE - 4]);
            bytes[FOOTER_SIZE - 4..].copy_from_slice(&crc.to_le_bytes());
            let _ = Footer::decode(&bytes, 7, 4_096);
        }
        2 => {
            let Ok(shape) = IndexShape::find(bytes, 1 << 30) else { return };
            for n in 0..shape.blocks.min(1_000) {
                assert!(shape.offset(bytes, n).is_some() && shape.last_key(bytes, n).is_some());
            }
            assert!(shape.find_block(bytes, b"key") <= shape.blocks);
            let _ = filter::may_hold(bytes, u64::MAX / 3);
        }
        _ => {
            let _ = Block::find_end(bytes, 3);
            let Ok(block) = Block::parse(bytes, None, 1 << 40) else { return };
            let (mut at, mut key) = (0, Vec::new());
            let mut first = None;
            while let Ok(Some(entry)) = block.entry(at, &mut key) {
                assert!(entry.next > at, "an entry has no bytes");
                assert_eq!(block.value(&entry).len(), entry.value.len());
                first.get_or_insert_with(|| key.clone());
                at = entry.next;
            }
            for wanted in [&b""[..], b"key", &first.unwrap_or_default(), &key.clone()] {
                let _ = block.seek(wanted, &mut key);
            }
        }
    }
}

/// A hint.
pub fn hint(bytes: &[u8]) {
    let bytes = sealed(bytes);
    let Ok((_, mut entries)) = HintReader::open(&bytes, 8) else { return };
    let mut last = 0;
    while let Ok(Some(entry)) = entries.next_entry() {
        assert!(entry.offset_units >= last, "entries go backwards");
        last = entry.offset_units;
    }
}

/// A manifest: what is read is what would be written.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::decode(&sealed(bytes)) else { return };
    let again = manifest.encode().expect("memory");
    let decoded = Manifest::decode(&again).unwrap_or_else(|_| panic!("what was written cannot be read"));
    assert!(decoded.encode().expect("memory") == again, "a manifest is written in two ways");
}

/// A checkpoint: its header, its lines, and keys.
pub fn checkpoint(bytes: &[u8]) {
    if let Some(prefix) = bytes.first_chunk::<PREFIX_SIZE>()
        && let Ok(sizes) = CheckpointHeader::sizes_from_prefix(prefix)
        && sizes.header <= bytes.len() as u64
        && let Ok(header) = CheckpointHeader::decode(&bytes[..sizes.header as usize])
    {
        let again = header.encode().expect("memory");
        let decoded = CheckpointHeader::decode(&again);
        assert!(decoded.is_ok_and(|decoded| decoded == header), "a header is not read as it was written");
    }
    for line in bytes.chunks_exact(LINE_SIZE) {
        if let Ok(decoded) = CheckpointLine::decode(line) {
            assert_eq!(CheckpointLine::decode(&decoded.encode()), Ok(decoded));
        }
    }
    let Some((len, keys)) = bytes.split_first_chunk::<2>() else { return };
    if let Ok(packed) = Packed::parse(keys, usize::from(u16::from_le_bytes(*len))) {
        let all = packed.iter_from(0).count();
        assert!(packed.iter_from(1 << 60).count() <= all);
    }
}
