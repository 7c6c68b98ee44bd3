//! When nothing goes wrong.

use std::time::Duration;

use stepline_core::spool::WriterOptions;
use stepline_uploader::Tuning;

use crate::service::{Fault, Service};
use crate::store::Event;
use crate::support::{look, settings, soon, until, Uploader};
use crate::trainer::{meta, Trainer};

/// Scenario: a finished run of rows, sparse rows and an array larger than many batches. Guarantees: every bit arrives, the spool is
/// deleted, the uploader ends by itself.
#[tokio::test]
async fn every_bit_arrives_and_the_spool_goes() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(100, 7);
    trainer.sparse(3);
    trainer.array(1_000);
    trainer.rows(1, 90);
    trainer.finish(0);
    Uploader::start(root.path(), settings()).ended().await;
    let store = service.shared.store();
    store.expect(trainer.id, &trainer.logged);
    assert!(!trainer.exists());
    let stored = trainer.logged.len();
    assert_eq!(
        store.events,
        [
            Event::Created { run_id: "r".into(), attempt: 1 },
            Event::Finished { run_id: "r".into(), attempt: 1, exit_code: 0, stored }
        ]
    );
}

/// Scenario: the trainer lives and logs now and then. Guarantees: points arrive while it lives, segments that are stored are deleted,
/// and the uploader stays until it ends.
#[tokio::test]
async fn points_of_a_living_trainer_arrive() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let uploader = Uploader::start(root.path(), settings());
    for _ in 0..20 {
        trainer.rows(50, 5);
        let last = trainer.writer.last_seq();
        until("what was logged is acknowledged", || look(&trainer).acked_seq >= last).await;
        assert_eq!(look(&trainer).state, "streaming");
    }
    until("old segments are deleted", || look(&trainer).bytes <= 2 * (16 << 10)).await;
    assert_eq!(service.shared.behaviour().opened, 1, "one stream served all of it");
    trainer.seal();
    uploader.ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
}

/// Scenario: sixteen ranks on a host. Guarantees: each stream is its own, the connection is shared.
#[tokio::test]
async fn the_ranks_of_a_host_share_a_connection() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainers = Vec::new();
    for rank in 0..16 {
        let mut trainer =
            Trainer::with(root.path(), stepline_core::spool::SpoolMeta { rank, ..meta(&service.server(), "r") });
        trainer.rows(30, 10);
        trainer.finish(0);
        trainers.push(trainer);
    }
    Uploader::start(root.path(), settings()).ended().await;
    let store = service.shared.store();
    for trainer in &trainers {
        store.expect(trainer.id, &trainer.logged);
    }
    let behaviour = service.shared.behaviour();
    assert_eq!((behaviour.opened, behaviour.connections), (16, 1));
}

/// Scenario: the spool holds an API key. Guarantees: it goes with the stream.
#[tokio::test]
async fn the_key_of_the_spool_goes_with_the_stream() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let meta = stepline_core::spool::SpoolMeta { api_key: Some("sk".into()), ..meta(&service.server(), "r") };
    let mut trainer = Trainer::with(root.path(), meta);
    trainer.rows(1, 1);
    trainer.seal();
    Uploader::start(root.path(), settings()).ended().await;
    assert_eq!(service.shared.behaviour().keys, [Some("Bearer sk".to_owned())]);
}

/// Scenario: the service takes one small batch at a time. Guarantees: the window is kept, which the service checks, and all arrives.
#[tokio::test]
async fn a_narrow_window_and_small_batches_are_kept() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    {
        let mut behaviour = service.shared.behaviour();
        (behaviour.window_batches, behaviour.window_bytes, behaviour.max_batch_points) = (1, 1, 7);
    }
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(20, 3);
    trainer.array(100);
    trainer.seal();
    Uploader::start(root.path(), settings()).ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
}

/// Scenario: a window that is never full, and a service that is slower than the connection, so that the uploader always waits to
/// send. Guarantees: it sees the acknowledgements that come meanwhile, and does not take the service for dead.
#[tokio::test]
async fn acknowledgements_count_while_a_batch_waits_to_be_sent() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    {
        let mut behaviour = service.shared.behaviour();
        (behaviour.window_batches, behaviour.window_bytes) = (1_000, 1 << 30);
        behaviour.streams.push_back(Fault::Slow { ms: 100 });
    }
    let mut settings = settings();
    settings.tuning.ack = Duration::from_secs(2);
    (settings.tuning.batch_points, settings.tuning.batch_bytes) = (10_000, 1 << 20);
    let options = WriterOptions::default();
    let mut trainer = Trainer::with_options(root.path(), meta(&service.server(), "r"), options);
    for _ in 0..60 {
        trainer.noise(10_000);
    }
    trainer.seal();
    Uploader::start(root.path(), settings).ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
    assert_eq!(service.shared.behaviour().opened, 1);
}

/// Scenario: the trainer registered the run itself. Guarantees: nobody registers it again.
#[tokio::test]
async fn a_registered_run_is_not_registered_again() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    service.shared.store().attempts.insert("r".into(), 4);
    let meta = stepline_core::spool::SpoolMeta { attempt: Some(4), ..meta(&service.server(), "r") };
    let mut trainer = Trainer::with(root.path(), meta);
    trainer.rows(5, 5);
    trainer.seal();
    Uploader::start(root.path(), settings()).ended().await;
    let store = service.shared.store();
    store.expect(trainer.id, &trainer.logged);
    assert_eq!(store.events, []);
}

/// Scenario: a few points and then nothing. Guarantees: they do not wait for a full batch.
#[tokio::test]
async fn a_small_batch_does_not_wait_for_company_for_ever() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut settings = settings();
    settings.tuning.batch_points = Tuning::default().batch_points;
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let uploader = Uploader::start(root.path(), settings);
    trainer.rows(1, 2);
    until("two points are stored", || service.shared.store().stored() == 2).await;
    soon("the uploader stops", uploader.stop()).await;
}
