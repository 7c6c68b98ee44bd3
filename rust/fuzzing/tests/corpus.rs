//! Replays every input of the corpus: what a fuzzer once found stays found.

use std::fs;
use std::path::PathBuf;

use stepline_fuzzing::memory::Counting;
use stepline_fuzzing::TARGETS;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn every_input_of_the_corpus_keeps_the_promises() {
    let corpus = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus"));
    for (name, target) in TARGETS {
        let inputs: Vec<_> = fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "the corpus of {name} is empty");
        for input in inputs {
            let data = fs::read(&input).unwrap();
            if std::panic::catch_unwind(|| target(&data)).is_err() {
                panic!("{} breaks a promise of {name}", input.display());
            }
        }
    }
}
