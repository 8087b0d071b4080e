#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| filedb_fuzz::stores::directory(bytes));
