#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| lockd_fuzz::run("answers", data));
