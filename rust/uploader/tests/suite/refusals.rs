//! Answers that no retry changes.

use std::time::Duration;

use tonic::{Code, Status};

use crate::service::{Fault, Service};
use crate::store::Points;
use crate::support::{look, phase, settings, until, Uploader};
use crate::trainer::Trainer;

fn final_codes() -> [Code; 6] {
    [
        Code::AlreadyExists,
        Code::InvalidArgument,
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::FailedPrecondition,
        Code::Unimplemented,
    ]
}

/// Scenario: the registration is refused for ever. Guarantees: the spool says so with the words of the service, nothing is deleted, it
/// is not tried again by this uploader, and a new one sends everything.
#[tokio::test]
async fn a_refused_registration_keeps_the_spool_for_a_new_drainer() {
    for code in final_codes() {
        let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
        service.shared.behaviour().calls.push_back((Status::new(code, "because of that"), false));
        let mut trainer = Trainer::new(root.path(), &service.server(), "r");
        trainer.rows(10, 3);
        trainer.finish(0);
        Uploader::start(root.path(), settings()).ended().await;
        let status = look(&trainer);
        assert_eq!(status.state, "refused");
        assert!(status.error.contains("because of that"), "{}", status.error);
        assert_eq!(service.shared.counts(), (1, 0));
        Uploader::start(root.path(), settings()).ended().await;
        service.shared.store().expect(trainer.id, &trainer.logged);
        assert!(!trainer.exists());
    }
}

/// Scenario: the same in the middle of a stream. Guarantees: the same.
#[tokio::test]
async fn a_refused_stream_keeps_the_spool_for_a_new_drainer() {
    for code in final_codes() {
        let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
        let fault = Fault::FailWith { after: 1, status: Status::new(code, "because of that") };
        service.shared.behaviour().streams.push_back(fault);
        let mut trainer = Trainer::new(root.path(), &service.server(), "r");
        trainer.rows(100, 3);
        trainer.finish(0);
        Uploader::start(root.path(), settings()).ended().await;
        assert_eq!(look(&trainer).state, "refused");
        assert_eq!(service.shared.behaviour().opened, 1);
        Uploader::start(root.path(), settings()).ended().await;
        service.shared.store().expect(trainer.id, &trainer.logged);
    }
}

/// Scenario: a limit without RetryInfo, and one that passes. Guarantees: the first is final, the second is waited for.
#[tokio::test]
async fn exhaustion_is_final_without_retry_info() {
    // google.rpc.Status with one RetryInfo of zero.
    let any = [b"\x0a\x28type.googleapis.com/google.rpc.RetryInfo".as_slice(), b"\x12\x02\x0a\x00"].concat();
    let details = [&[0x1a, any.len() as u8][..], &any].concat();
    for (status, state) in [
        (Status::resource_exhausted("too much"), Some("refused")),
        (Status::with_details(Code::ResourceExhausted, "busy", details.into()), None),
    ] {
        let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
        service.shared.behaviour().streams.push_back(Fault::Refuse(status));
        let mut trainer = Trainer::new(root.path(), &service.server(), "r");
        trainer.rows(10, 3);
        trainer.finish(0);
        Uploader::start(root.path(), settings()).ended().await;
        assert_eq!(stepline_core::spool::status(&trainer.dir).map(|s| s.state), state);
    }
}

/// Scenario: a drainer with a higher epoch has the writer. Guarantees: this one stops at once and leaves the spool alone.
#[tokio::test]
async fn a_fenced_drainer_stops() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    service.shared.behaviour().epochs.insert(trainer.id, u64::MAX);
    trainer.rows(10, 3);
    trainer.finish(0);
    Uploader::start(root.path(), settings()).ended().await;
    assert_eq!(look(&trainer).state, "refused");
    assert_eq!(service.shared.behaviour().opened, 1);
    service.shared.store().expect(trainer.id, &Points::new());
}

/// Scenario: each drainer of a spool. Guarantees: its epoch is higher than that of the one before.
#[tokio::test]
async fn each_drainer_has_a_higher_epoch() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let mut last = 0;
    for round in 0..4u64 {
        let uploader = Uploader::start(root.path(), settings());
        until("it streams", || service.shared.behaviour().epochs.get(&trainer.id).is_some_and(|epoch| *epoch > last))
            .await;
        last = service.shared.behaviour().epochs[&trainer.id];
        assert!(last > round);
        uploader.kill().await;
    }
    trainer.seal();
    Uploader::start(root.path(), settings()).ended().await;
}

/// Scenario: the service does not know the attempt that the trainer was given. Guarantees: it is registered again, once.
#[tokio::test]
async fn an_unknown_attempt_is_registered_again_once() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let meta = stepline_core::spool::SpoolMeta { attempt: Some(9), ..crate::trainer::meta(&service.server(), "r") };
    let mut trainer = Trainer::with(root.path(), meta);
    trainer.rows(10, 3);
    trainer.finish(0);
    Uploader::start(root.path(), settings()).ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);

    let refusal = || Fault::Refuse(Status::not_found("no such attempt"));
    service.shared.behaviour().streams.extend([refusal(), refusal()]);
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(10, 3);
    trainer.finish(0);
    Uploader::start(root.path(), settings()).ended().await;
    assert_eq!(look(&trainer).state, "refused");
}

/// Scenario: batches that the service rejects. Guarantees: they are counted and named, everything else is stored, the spool goes on and
/// is deleted at its end.
#[tokio::test]
async fn a_rejected_batch_blocks_nothing() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    service.shared.behaviour().reject = vec![50, 400];
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let uploader = Uploader::start(root.path(), settings());
    trainer.rows(400, 4);
    until("all is settled", || look(&trainer).acked_seq >= 400).await;
    let status = look(&trainer);
    assert!(
        status.error.contains("2 rejected batches") && status.error.contains("cannot be stored"),
        "{}",
        status.error
    );
    trainer.finish(0);
    uploader.ended().await;
    assert!(!trainer.exists());
    let store = service.shared.store();
    let rejected = store.rejected(trainer.id);
    assert_eq!(rejected.len(), 2);
    let kept = trainer
        .logged
        .iter()
        .filter(|((seq, _), _)| !rejected.iter().any(|(first, last)| (first..=last).contains(&seq)));
    store.expect(trainer.id, &kept.map(|(key, value)| (*key, *value)).collect());
}

/// Scenario: a refused spool beside sound ones, and one that cannot be read at all. Guarantees: the sound ones are not held up.
#[tokio::test]
async fn a_broken_spool_blocks_no_other() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut nowhere = Trainer::new(root.path(), "no address", "r");
    nowhere.rows(1, 1);
    nowhere.seal();
    let mut garbled = Trainer::new(root.path(), &service.server(), "r");
    garbled.seal();
    std::fs::write(garbled.dir.join("spool.json"), "{").unwrap();
    let mut sound = Trainer::new(root.path(), &service.server(), "r");
    sound.rows(100, 3);
    sound.finish(0);
    Uploader::start(root.path(), settings()).ended().await;
    service.shared.store().expect(sound.id, &sound.logged);
    assert!(!sound.exists() && nowhere.exists() && garbled.exists());
    let status = phase(&nowhere, "refused").await;
    assert!(status.error.contains("write HOST:PORT"), "{}", status.error);
}

/// Scenario: the writer of a refused spool lives. Guarantees: the uploader stays to bring its records to the disk, the lock is free for
/// another drainer, and it ends with the writer.
#[tokio::test]
async fn a_refused_spool_is_kept_on_the_disk_while_its_writer_lives() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    service.shared.behaviour().calls.push_back((Status::already_exists("taken"), false));
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let uploader = Uploader::start(root.path(), settings());
    phase(&trainer, "refused").await;
    let lock = trainer.dir.join(stepline_core::spool::layout::DRAIN_LOCK);
    until("the lock is free", || !stepline_core::spool::DirLock::held(&lock)).await;
    assert!(!uploader.task.is_finished());
    trainer.rows(1, 1);
    trainer.seal();
    uploader.ended().await;
    assert!(trainer.exists());
}

/// Scenario: the service rejects a batch and hangs up at once, while the uploader has more to send. Guarantees: the rejection is told.
#[tokio::test]
async fn a_rejection_just_before_the_end_of_the_stream_is_told() {
    for _ in 0..20 {
        let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
        {
            let mut behaviour = service.shared.behaviour();
            (behaviour.reject, behaviour.reject_ends, behaviour.window_batches) = (vec![5], true, 1);
        }
        let mut trainer = Trainer::new(root.path(), &service.server(), "r");
        trainer.rows(200, 10);
        let uploader = Uploader::start(root.path(), settings());
        until("all is settled", || look(&trainer).acked_seq == 200).await;
        assert!(look(&trainer).error.contains("1 rejected batch"), "{}", look(&trainer).error);
        uploader.kill().await;
    }
}

/// Scenario: a proxy answers 404 while the service behind it starts. Guarantees: that is no answer of the service, and passes.
#[tokio::test]
async fn what_a_proxy_says_is_not_final() {
    use std::io::{Read, Write};
    let root = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let meta = stepline_core::spool::SpoolMeta { attempt: Some(1), ..crate::trainer::meta(&address.to_string(), "r") };
    let mut trainer = Trainer::with(root.path(), meta);
    trainer.rows(10, 3);
    trainer.finish(0);
    let proxy = tokio::task::spawn_blocking(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let _ = connection.read(&mut [0; 4096]);
        // SETTINGS, its acknowledgement, and HEADERS of stream 1: `:status: 404`, the end.
        connection.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
        connection.write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0]).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        connection.write_all(&[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x8d]).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    });
    let uploader = Uploader::start(root.path(), settings());
    proxy.await.unwrap();
    let shared = crate::service::Shared::new();
    shared.store().attempts.insert("r".into(), 1);
    let service = Service::restart(shared, Some(address));
    uploader.ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
    assert!(!trainer.exists());
}
