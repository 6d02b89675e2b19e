#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| lockd_fuzz::run("store_url", data));
