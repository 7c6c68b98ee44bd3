//! Uploader processes: who works, who ends when, and what `stepline sync` does.

use std::time::Duration;

use stepline_core::spool::{layout, scan, DirLock, SpoolMeta};
use stepline_uploader::{drain, host, Background, Settings, Stop};

use crate::service::{Fault, Service};
use crate::store::Event;
use crate::support::{look, phase, settings, soon, start_process, until, Uploader, LONG};
use crate::trainer::{meta, Trainer};

/// Scenario: two uploaders of one root. Guarantees: the second ends at once.
#[tokio::test]
async fn the_second_uploader_leaves_the_work_to_the_first() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let first = Uploader::start(root.path(), settings());
    phase(&trainer, "streaming").await;
    assert!(DirLock::held(&root.path().join(layout::UPLOADER_LOCK)));
    Uploader::start(root.path(), settings()).ended().await;
    assert!(!first.task.is_finished());
    trainer.seal();
    first.ended().await;
    assert!(!DirLock::held(&root.path().join(layout::UPLOADER_LOCK)));
}

/// Scenario: trainers make spools just when the uploader ends, again and again; each starts an uploader when it sees none. Guarantees: no
/// spool is left behind.
#[tokio::test]
async fn no_spool_is_forgotten_when_the_uploader_ends() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let lock = root.path().join(layout::UPLOADER_LOCK);
    let mut settings = settings();
    settings.tuning.scan = Duration::from_millis(1);
    let mut uploaders = tokio::task::JoinSet::new();
    let mut trainers = Vec::new();
    for round in 0..150u64 {
        let mut trainer = Trainer::new(root.path(), &service.server(), "r");
        trainer.rows(3, 2);
        trainer.seal();
        trainers.push(trainer);
        // First the spool, then the look at the lock.
        if !DirLock::held(&lock) {
            let (root, settings) = (root.path().to_owned(), settings.clone());
            uploaders.spawn(async move {
                let (_stopper, stop) = Stop::new();
                host(&root, settings, Duration::ZERO, stop).await.unwrap();
            });
        }
        tokio::time::sleep(Duration::from_micros(round * 37 % 5_000)).await;
    }
    while let Some(ended) = soon("the uploaders end", uploaders.join_next()).await {
        ended.unwrap();
    }
    assert_eq!(scan(root.path()).unwrap(), Vec::<std::path::PathBuf>::new());
    let store = service.shared.store();
    for trainer in &trainers {
        store.expect(trainer.id, &trainer.logged);
    }
}

/// Scenario: an offline spool. Guarantees: the uploader leaves it alone, `drain` sends it, to the server that it is given.
#[tokio::test]
async fn an_offline_spool_waits_for_sync() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::with(root.path(), SpoolMeta { mode: "offline".into(), ..meta("", "r") });
    trainer.rows(100, 4);
    trainer.finish(0);
    Uploader::start(root.path(), settings()).ended().await;
    assert_eq!(look(&trainer).state, "waiting");
    assert_eq!(service.shared.counts(), (0, 0));

    let (_stopper, stop) = Stop::new();
    drain(root.path(), settings(), None, stop.clone()).await.unwrap();
    let status = look(&trainer);
    assert_eq!(status.state, "refused");
    assert!(status.error.contains("--server"), "{}", status.error);

    let with_server = Settings { server: Some(service.server()), api_key: Some("key".into()), ..settings() };
    drain(&trainer.dir, with_server, None, stop).await.unwrap();
    assert!(!trainer.exists());
    service.shared.store().expect(trainer.id, &trainer.logged);
    assert_eq!(service.shared.behaviour().keys, [Some("Bearer key".to_owned())]);
}

/// Scenario: `drain` while the trainer lives. Guarantees: it returns when what was there is stored and leaves the spool.
#[tokio::test]
async fn sync_does_not_wait_for_a_living_writer() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::with(root.path(), SpoolMeta { mode: "offline".into(), ..meta(&service.server(), "r") });
    trainer.rows(100, 4);
    let (_stopper, stop) = Stop::new();
    soon("sync returns", drain(root.path(), settings(), None, stop)).await.unwrap();
    service.shared.store().expect(trainer.id, &trainer.logged);
    assert_eq!(look(&trainer).acked_seq, trainer.writer.last_seq());
}

/// Scenario: `drain` and nobody listens. Guarantees: without a time limit it gives up after some attempts, with one it returns when the
/// time is over; both leave the spool and say why.
#[tokio::test]
async fn sync_ends_when_nobody_listens() {
    let root = tempfile::tempdir().unwrap();
    let (_, address) = Service::start().kill();
    let mut trainer = Trainer::new(root.path(), &address.to_string(), "r");
    trainer.rows(5, 2);
    trainer.seal();
    let (_stopper, stop) = Stop::new();
    for timeout in [None, Some(Duration::from_millis(50))] {
        soon("sync returns", drain(root.path(), settings(), timeout, stop.clone())).await.unwrap();
        let status = look(&trainer);
        assert_eq!(status.state, "unreachable");
        assert!(status.error.contains(&address.to_string()), "{}", status.error);
    }
}

/// Scenario: an uploader waits for a service that is gone for good; `drain` knows another one. Guarantees: the uploader gives the spool
/// to it at once, even in the middle of a long pause.
#[tokio::test]
async fn a_waiting_uploader_gives_the_spool_to_sync() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let (_, nowhere) = Service::start().kill();
    let mut trainer = Trainer::new(root.path(), &nowhere.to_string(), "r");
    trainer.rows(100, 4);
    trainer.finish(0);
    let mut patient = settings();
    (patient.tuning.shortest_pause, patient.tuning.longest_pause) = (LONG * 10, LONG * 10);
    let uploader = Uploader::start(root.path(), patient);
    phase(&trainer, "unreachable").await;
    let (_stopper, stop) = Stop::new();
    let with_server = Settings { server: Some(service.server()), ..settings() };
    soon("sync returns", drain(root.path(), with_server, None, stop)).await.unwrap();
    service.shared.store().expect(trainer.id, &trainer.logged);
    assert!(!trainer.exists());
    uploader.ended().await;
}

/// Scenario: `drain` while an uploader sends. Guarantees: it waits until that is done and the spool is gone.
#[tokio::test]
async fn sync_waits_for_an_uploader_that_gets_through() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    service.shared.behaviour().streams.push_back(Fault::Slow { ms: 5 });
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(1_000, 4);
    trainer.finish(0);
    let uploader = Uploader::start(root.path(), settings());
    phase(&trainer, "streaming").await;
    let (_stopper, stop) = Stop::new();
    soon("sync returns", drain(root.path(), settings(), None, stop)).await.unwrap();
    assert!(!trainer.exists());
    service.shared.store().expect(trainer.id, &trainer.logged);
    uploader.ended().await;
}

/// Scenario: a directory that is none. Guarantees: an error that says what to give.
#[tokio::test]
async fn sync_of_nothing_is_an_error() {
    let (_stopper, stop) = Stop::new();
    let missing = tempfile::tempdir().unwrap().path().join("missing");
    let err = drain(&missing, settings(), None, stop).await.unwrap_err().to_string();
    assert!(err.contains("missing") && err.contains("give a spool"), "{err}");
}

/// Scenario: the wish to end, in the middle of the work. Guarantees: the uploader ends, nothing is lost, the next one goes on.
#[tokio::test]
async fn a_stopped_uploader_leaves_the_rest_for_the_next() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    service.shared.behaviour().streams.push_back(Fault::Slow { ms: 5 });
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(1_000, 4);
    trainer.finish(0);
    let uploader = Uploader::start(root.path(), settings());
    until("some of it is stored", || service.shared.store().stored() > 100).await;
    uploader.stop().await;
    assert_eq!(look(&trainer).state, "waiting");
    Uploader::start(root.path(), settings()).ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
}

/// Scenario: the thread of a trainer. Guarantees: it sends while the trainer lives, ends when it is told to, and an uploader process
/// takes over what is left.
#[tokio::test]
async fn a_thread_drains_one_spool() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let thread = Background::start(&trainer.dir, settings()).unwrap();
    trainer.rows(100, 4);
    let last = trainer.writer.last_seq();
    until("it is stored", || look(&trainer).acked_seq >= last).await;
    assert!(!thread.join(Duration::ZERO));
    thread.stop();
    assert!(thread.join(LONG));
    trainer.rows(100, 4);
    trainer.finish(0);
    Uploader::start(root.path(), settings()).ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);

    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let thread = Background::start(&trainer.dir, settings()).unwrap();
    trainer.rows(10, 4);
    trainer.finish(0);
    assert!(thread.join(LONG), "the thread ends with the spool");
    assert!(!trainer.exists());
}

/// Scenario: somebody deletes a spool while it is drained. Guarantees: the uploader goes on and ends.
#[tokio::test]
async fn a_deleted_spool_is_no_trouble() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(10, 4);
    let uploader = Uploader::start(root.path(), settings());
    phase(&trainer, "streaming").await;
    std::fs::remove_dir_all(&trainer.dir).unwrap();
    uploader.ended().await;
}

/// Scenario: `stepline sync` with a time limit finds more spools of a dead service than it sends at once, and a younger one of a living
/// service. Guarantees: the dead ones give way.
#[tokio::test]
async fn sync_with_a_time_limit_reaches_every_spool() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let (_, nowhere) = Service::start().kill();
    let writer = |n: u32| format!("{n:032x}");
    for n in 0..32 {
        let meta = SpoolMeta { writer: writer(n), ..meta(&nowhere.to_string(), "dead") };
        let mut trainer = Trainer::with(root.path(), meta);
        trainer.rows(1, 1);
        trainer.finish(0);
    }
    let mut trainer = Trainer::with(root.path(), SpoolMeta { writer: writer(99), ..meta(&service.server(), "r") });
    trainer.rows(10, 1);
    trainer.finish(0);
    let root = root.path().to_owned();
    let (stopper, stop) = Stop::new();
    let sync = tokio::spawn(async move { drain(&root, settings(), Some(LONG), stop).await });
    until("the living one is sent", || !trainer.exists()).await;
    service.shared.store().expect(trainer.id, &trainer.logged);
    stopper.stop();
    soon("sync stops", sync).await.unwrap().unwrap();
}

/// Scenario: forty living trainers, and an uploader that may not open files enough for them all. Guarantees: none of them is taken for
/// dead, those that have to wait are sent when others have ended, and the uploader does not end before.
#[tokio::test]
async fn spools_beyond_the_limit_of_open_files_wait() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let rank = |rank| SpoolMeta { rank, ..meta(&service.server(), "r") };
    let mut trainers: Vec<_> = (0..40).map(|n| Trainer::with(root.path(), rank(n))).collect();
    for trainer in &mut trainers {
        trainer.rows(20, 3);
    }
    let mut child = start_process(root.path(), Some(100));
    until("some are sent", || service.shared.store().stored() > 0).await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        for trainer in &mut trainers {
            trainer.rows(2, 3);
            trainer.writer.tend().unwrap();
        }
    }
    assert!(child.try_wait().unwrap().is_none());
    for trainer in &mut trainers {
        trainer.finish(0);
    }
    let ended = || child.try_wait().unwrap().is_some_and(|status| status.success());
    until("the uploader ends", ended).await;
    let store = service.shared.store();
    for trainer in &trainers {
        assert!(!trainer.exists());
        store.expect(trainer.id, &trainer.logged);
    }
    let vanished = |event: &&Event| matches!(event, Event::Vanished { .. });
    assert_eq!(store.events.iter().find(vanished), None);
}
