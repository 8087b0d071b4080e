//! The format in which Redis gives a value away (DUMP) and takes it (RESTORE): that of its RDB files, with a version and a checksum behind it.
//!
//! ```text
//! payload = type{1}   value   version{2, little endian}   CRC-64 of all before{8, little endian}
//! ```
//! What is written is the oldest form that all versions of Redis and Valkey read: a string, or a list as a number of strings. What is read is
//! also all that they write for strings and lists today: packed lists ([`packed`]), and strings that are compressed ([`lzf`]).

mod lzf;
mod packed;
mod read;
mod write;

pub use read::{Value, Wrong, read};
pub use write::Writer;

/// The version that is written: Redis 2.6 has it.
const VERSION: u16 = 6;
/// Versions that are read: up to Redis 8, and Valkey 9, whose strings and lists look the same.
const VERSIONS: std::ops::RangeInclusive<u16> = 1..=13;
const VALKEY_VERSION: u16 = 80;

const STRING: u8 = 0;
const LIST: u8 = 1;
const LIST_ZIPLIST: u8 = 10;
const LIST_QUICKLIST: u8 = 14;
const LIST_QUICKLIST_2: u8 = 18;

/// CRC-64 with the polynomial of Jones, as Redis computes it.
fn crc64(bytes: &[u8]) -> u64 {
    const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
    const TABLE: [u64; 256] = {
        let mut table = [0; 256];
        let mut n = 0;
        while n < 256 {
            let (mut crc, mut bit) = (n as u64, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
                bit += 1;
            }
            table[n] = crc;
            n += 1;
        }
        table
    };
    bytes.iter().fold(0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn payload(list: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = Writer::list(list.len() as u64);
        list.iter().for_each(|element| writer.string(element));
        writer.finish()
    }

    /// A payload around this.
    fn sealed(bytes: &[u8]) -> Vec<u8> {
        let mut all = [bytes, &10u16.to_le_bytes()].concat();
        all.extend(crc64(&all).to_le_bytes());
        all
    }

    #[test]
    fn the_checksum_is_that_of_redis() {
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn strings_are_written_as_redis_writes_short_ones() {
        // From redis-server 7.0: DUMP of "10" and of "hello", less version and checksum.
        for (string, expected) in
            [("10", &b"\x00\xc0\x0a"[..]), ("hello", b"\x00\x05hello"), ("-300", b"\x00\xc1\xd4\xfe")]
        {
            let mut writer = Writer::of_string();
            writer.string(string.as_bytes());
            let payload = writer.finish();
            assert_eq!(&payload[..payload.len() - 10], expected, "{string}");
        }
    }

    #[test]
    fn a_list_of_an_old_redis_is_read() {
        // A ziplist: "a", the number 2, the number 1000 and 70,000.
        let entries = b"\x00\x01a\x03\xf3\x02\xc0\xe8\x03\x04\xd0\x70\x11\x01\x00\xff";
        let mut ziplist = ((10 + entries.len()) as u32).to_le_bytes().to_vec();
        ziplist.extend(b"\x00\x00\x00\x00\x04\x00");
        ziplist.extend(entries);
        let of_type = |kind: &[u8]| [kind, &[ziplist.len() as u8], &ziplist].concat();
        let expected = Value::List(["a", "2", "1000", "70000"].map(|text| text.as_bytes().to_vec()).to_vec());
        assert_eq!(read(&sealed(&of_type(&[LIST_ZIPLIST])), LIMIT).unwrap(), expected);
        assert_eq!(read(&sealed(&of_type(&[LIST_QUICKLIST, 1])), LIMIT).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = payload(&[b"a".to_vec()]);
        let mut bad = good.clone();
        bad[2] ^= 1;
        assert_eq!(read(&bad, LIMIT).unwrap_err(), Wrong::VersionOrChecksum);
        assert_eq!(read(b"", LIMIT).unwrap_err(), Wrong::VersionOrChecksum);
        assert_eq!(read(&sealed(b"\x04\x01"), LIMIT).unwrap_err(), Wrong::Kind(4));
        assert_eq!(read(&sealed(b"\x01\x00"), LIMIT).unwrap_err(), Wrong::Format, "a list has elements");
        assert_eq!(read(&sealed(b"\x00\x03ab"), LIMIT).unwrap_err(), Wrong::Format);
        // A length of 2^62, and one byte that says to be 4 GiB when it is unpacked.
        assert_eq!(read(&sealed(b"\x00\x81\x40\0\0\0\0\0\0\0x"), LIMIT).unwrap_err(), Wrong::TooLarge);
        assert!(read(&sealed(b"\x00\xc3\x01\x80\xff\xff\xff\xffx"), LIMIT).is_err());
        assert_eq!(read(&payload(&[vec![1; 2 << 20]]), LIMIT).unwrap_err(), Wrong::TooLarge);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(list in proptest::collection::vec(
            prop_oneof![proptest::collection::vec(any::<u8>(), 0..300), "-?[0-9]{1,12}".prop_map(String::into_bytes)],
            1..40,
        )) {
            prop_assert_eq!(read(&payload(&list), LIMIT).unwrap(), Value::List(list));
        }

        #[test]
        fn no_bytes_make_it_panic(
            kind in prop_oneof![Just(0u8), Just(1), Just(10), Just(14), Just(18), any::<u8>()],
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xc3), Just(0xff), Just(1), Just(2)], 0..200),
        ) {
            let _ = read(&sealed(&[&[kind], bytes.as_slice()].concat()), LIMIT);
            // Inside of a packed list, whose lengths are right.
            let mut inner = vec![kind, 1, 2, 0x80];
            inner.extend((bytes.len() as u32 + 7).to_be_bytes());
            inner.extend((bytes.len() as u32 + 7).to_le_bytes());
            inner.extend(b"\xff\xff");
            inner.extend(&bytes);
            inner.push(0xff);
            let _ = read(&sealed(&inner), LIMIT);
        }
    }
}
