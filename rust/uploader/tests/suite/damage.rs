//! Bytes in a spool that nobody wrote.

use std::path::{Path, PathBuf};

use crate::service::Service;
use crate::store::Event;
use crate::support::{settings, Uploader};
use crate::trainer::Trainer;

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    found.sort();
    found
}

/// Scenario: a segment in the middle of a spool is damaged. Guarantees: what lies before and after the damage is stored, the service is
/// told what is missing, the damaged file is kept beside the spool, and the spool goes.
#[tokio::test]
async fn a_damaged_segment_costs_only_its_own_rest() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(2_000, 6);
    trainer.finish(0);
    let segments = files(&trainer.dir, ".seg");
    assert!(segments.len() > 4);
    let mut bytes = std::fs::read(&segments[2]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xa5);
    std::fs::write(&segments[2], &bytes).unwrap();

    Uploader::start(root.path(), settings()).ended().await;

    assert!(!trainer.exists());
    let kept = files(root.path(), ".bad");
    assert_eq!(kept.len(), 1);
    assert_eq!(std::fs::read(&kept[0]).unwrap(), bytes);
    let store = service.shared.store();
    let gaps: Vec<_> = store.events.iter().filter(|event| matches!(event, Event::Gap { .. })).collect();
    let [Event::Gap { first, last }] = gaps[..] else { panic!("{gaps:?}") };
    let left = trainer.logged.iter().filter(|((seq, _), _)| !(first..=last).contains(&seq));
    store.expect(trainer.id, &left.map(|(key, value)| (*key, *value)).collect());
    assert!(last - first < 200, "{first} to {last} are lost");
}
