//! Bytes in a spool that nobody wrote.

use std::path::Path;

use stepline_core::id::WriterId;
use stepline_core::spool::WriterOptions;

use crate::service::Service;
use crate::store::{Points, Store};
use crate::support::{files, look, segments, settings, until, Uploader};
use crate::trainer::{meta, Trainer};

fn damage(segment: &Path) {
    let mut bytes = std::fs::read(segment).unwrap();
    bytes[2_000..2_064].fill(0xa5);
    std::fs::write(segment, &bytes).unwrap();
}

fn only_gap(store: &Store, writer: WriterId) -> (u64, u64) {
    let gaps = store.gaps(writer);
    let [gap] = gaps[..] else { panic!("{gaps:?}") };
    gap
}

fn outside(logged: &Points, first: u64, last: u64) -> Points {
    let left = logged.iter().filter(|((seq, _), _)| !(first..=last).contains(seq));
    left.map(|(key, value)| (*key, *value)).collect()
}

/// Rows and updates by turns, so that each part of the third segment holds some of both.
fn rows_and_updates(trainer: &mut Trainer) {
    let mut in_third = 0;
    while in_third < 50 {
        trainer.rows(1, 6);
        trainer.update(1);
        in_third += usize::from(segments(&trainer.dir).len() == 3);
    }
}

/// Scenario: a segment in the middle of a spool is damaged. Guarantees: what lies before and after the damage is stored, the service is
/// told what is missing, the damaged file is kept beside the spool, and the spool goes.
#[tokio::test]
async fn a_damaged_segment_costs_only_its_own_rest() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(2_000, 6);
    trainer.finish(0);
    let segments = segments(&trainer.dir);
    assert!(segments.len() > 4);
    damage(&segments[2]);
    let bytes = std::fs::read(&segments[2]).unwrap();

    Uploader::start(root.path(), settings()).ended().await;

    assert!(!trainer.exists());
    let kept = files(root.path(), "bad");
    assert_eq!(kept.len(), 1);
    assert_eq!(std::fs::read(&kept[0]).unwrap(), bytes);
    let store = service.shared.store();
    let (first, last) = only_gap(&store, trainer.id);
    store.expect(trainer.id, &outside(&trainer.logged, first, last));
    assert!(last - first < 200, "{first} to {last} are lost");
}

/// Scenario: the damage holds updates too, and the trainer is gone. Guarantees: nobody waits for the updates; the spool goes.
#[tokio::test]
async fn updates_that_are_lost_are_not_waited_for() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    rows_and_updates(&mut trainer);
    trainer.rows(1_000, 6);
    damage(&segments(&trainer.dir)[2]);
    let (id, logged, dir) = trainer.vanish();

    Uploader::start(root.path(), settings()).ended().await;

    assert!(!dir.exists());
    let store = service.shared.store();
    let (first, last) = only_gap(&store, id);
    store.expect(id, &outside(&logged, first, last));
}

/// Scenario: the same while the trainer lives and logs on, with a limit. Guarantees: what is stored is deleted, so that the limit is not
/// reached.
#[tokio::test]
async fn updates_that_are_lost_do_not_stop_the_deletion() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let options = WriterOptions { segment_bytes: 16 << 10, limit_bytes: 256 << 10, ..WriterOptions::default() };
    let mut trainer = Trainer::with_options(root.path(), meta(&service.server(), "r"), options);
    rows_and_updates(&mut trainer);
    trainer.rows(400, 6);
    damage(&segments(&trainer.dir)[2]);

    let uploader = Uploader::start(root.path(), settings());

    for _ in 0..20 {
        trainer.rows(400, 6);
        let last = trainer.writer.last_seq();
        until("what was logged is acknowledged", || look(&trainer).acked_seq >= last).await;
        until("old segments are deleted", || look(&trainer).bytes <= 64 << 10).await;
    }
    trainer.finish(0);
    uploader.ended().await;
}

/// Scenario: rows are lost, and only updates come after them. Guarantees: the service is told which are missing, hears of the updates,
/// and the spool goes.
#[tokio::test]
async fn lost_rows_without_a_row_behind_them_are_told() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(100, 6);
    while segments(&trainer.dir).len() < 3 {
        trainer.update(1);
    }
    trainer.finish(0);
    damage(&segments(&trainer.dir)[0]);

    Uploader::start(root.path(), settings()).ended().await;

    assert!(!trainer.exists());
    let store = service.shared.store();
    let (first, last) = only_gap(&store, trainer.id);
    assert_eq!(last, 100);
    store.expect(trainer.id, &outside(&trainer.logged, first, last));
}

/// Scenario: a loss of power took the end of a segment and all but the header of the next one. Guarantees: what is left is stored, the
/// service is told what is missing, the spool goes.
#[tokio::test]
async fn a_lost_end_before_an_empty_segment_is_told() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    while segments(&trainer.dir).len() < 3 {
        trainer.rows(1, 6);
    }
    let (id, logged, dir) = trainer.vanish();
    let found = segments(&dir);
    for (segment, from) in [(&found[1], 8 << 10), (&found[2], 64)] {
        let mut bytes = std::fs::read(segment).unwrap();
        bytes[from..].fill(0);
        std::fs::write(segment, &bytes).unwrap();
    }

    Uploader::start(root.path(), settings()).ended().await;

    assert!(!dir.exists());
    let store = service.shared.store();
    let (first, last) = only_gap(&store, id);
    store.expect(id, &outside(&logged, first, last).into_iter().filter(|((seq, _), _)| *seq < first).collect());
}

/// Scenario: the end of a closed spool is damaged. Guarantees: the service is told that everything up to its end is missing.
#[tokio::test]
async fn a_lost_end_of_a_closed_spool_is_told() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(100, 6);
    trainer.seal();
    damage(&segments(&trainer.dir)[0]);

    Uploader::start(root.path(), settings()).ended().await;

    let store = service.shared.store();
    let (first, last) = only_gap(&store, trainer.id);
    assert_eq!(last, 100);
    store.expect(trainer.id, &outside(&trainer.logged, first, last));
}

/// Scenario: a printed line lies before the damage. Guarantees: it arrives.
#[tokio::test]
async fn lines_before_the_damage_arrive() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(3, 6);
    trainer.control(r#"{"console": {"line": 1, "stream": 1, "time_ms": 5, "text": "hello"}}"#);
    trainer.rows(500, 6);
    trainer.finish(0);
    damage(&segments(&trainer.dir)[0]);

    Uploader::start(root.path(), settings()).ended().await;

    assert_eq!(service.shared.store().console, ["hello"]);
}
