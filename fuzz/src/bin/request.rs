#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| filedb_fuzz::requests::request(bytes));
