#![no_main]

#[global_allocator]
static ALLOCATOR: stepline_fuzzing::memory::Counting = stepline_fuzzing::memory::Counting;

libfuzzer_sys::fuzz_target!(|data: &[u8]| stepline_fuzzing::plain::run(data));
