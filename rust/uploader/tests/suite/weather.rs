//! Spools whose files go away while they are sent: deleted by somebody, or dropped by their own trainer.

use stepline_core::spool::{LimitPolicy, SpoolReader, WriterOptions};

use crate::service::Service;
use crate::store::Event;
use crate::support::{look, phase, settings, until, Uploader};
use crate::trainer::{meta, Trainer};

/// Scenario: the service cannot be reached, its run was never registered, and the directory is deleted. Guarantees: the uploader ends.
#[tokio::test]
async fn an_uploader_whose_directory_is_gone_does_not_wait_for_the_service() {
    for whole_root in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let (_, nowhere) = Service::start().kill();
        let mut trainer = Trainer::new(&root.path().join("spools"), &nowhere.to_string(), "r");
        trainer.rows(10, 3);
        let uploader = Uploader::start(&root.path().join("spools"), settings());
        phase(&trainer, "unreachable").await;
        std::fs::remove_dir_all(if whole_root { root.path().join("spools") } else { trainer.dir.clone() }).unwrap();
        uploader.ended().await;
    }
}

/// Scenario: a spool at its limit drops its oldest segments while nobody listens. Guarantees: the service is told of the gap, gets the
/// rest once, and nothing is called damaged.
#[tokio::test]
async fn what_the_trainer_dropped_is_a_gap_and_no_damage() {
    let root = tempfile::tempdir().unwrap();
    let (shared, address) = Service::start().kill();
    let limited = WriterOptions { limit_bytes: 64 << 10, policy: LimitPolicy::DropOldest, ..WriterOptions::default() };
    let mut trainer = Trainer::with_options(root.path(), meta(&address.to_string(), "r"), limited);
    let uploader = Uploader::start(root.path(), settings());
    trainer.rows(5_000, 4);
    trainer.finish(0);
    let mut reader = SpoolReader::open(&trainer.dir).unwrap();
    let (first, _) = reader.first_available().unwrap();
    assert!(first > 1_000 && reader.dropped_up_to() == first - 1);
    let service = Service::restart(shared, Some(address));
    uploader.ended().await;
    let store = service.shared.store();
    assert!(store.events.contains(&Event::Gap { first: 1, last: first - 1 }), "{:?}", store.events);
    let left = trainer.logged.range((first, 0)..).map(|(key, value)| (*key, *value)).collect();
    store.expect(trainer.id, &left);
    assert_eq!(std::fs::read_dir(root.path()).unwrap().filter(|e| bad(e.as_ref().unwrap())).count(), 0);
}

fn bad(entry: &std::fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().ends_with(".bad")
}

/// Scenario: a spool is deleted while it is sent, and its trainer makes it anew. Guarantees: the uploader takes it up again, and what
/// the trainer still had is stored once.
#[tokio::test]
async fn a_spool_that_is_made_anew_is_sent_on() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(50, 4);
    let uploader = Uploader::start(root.path(), settings());
    let last = trainer.writer.last_seq();
    until("it is stored", || look(&trainer).acked_seq >= last).await;
    std::fs::remove_dir_all(&trainer.dir).unwrap();
    trainer.rows(50, 4);
    trainer.writer.tend().unwrap();
    trainer.rows(50, 4);
    trainer.finish(0);
    uploader.ended().await;
    // It may have been idle when the spool came back.
    Uploader::start(root.path(), settings()).ended().await;
    assert!(!trainer.exists());
    service.shared.store().expect(trainer.id, &trainer.logged);
}
