//! Who lives, who is gone without a word, and who has to wait.

use std::time::Duration;

use stepline_core::spool::SpoolMeta;
use tonic::Status;

use crate::service::Service;
use crate::store::Event;
use crate::support::{settings, until, Uploader};
use crate::trainer::{meta, Trainer};

fn vanished(event: &Event) -> bool {
    matches!(event, Event::Vanished { .. })
}

/// Scenario: sixteen ranks of a host that log nothing. Guarantees: one call says that their attempt lives, and which ranks of it, again
/// and again.
#[tokio::test]
async fn one_call_speaks_for_all_spools_of_a_host() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let rank = |rank| SpoolMeta { rank, world_size: 16, ..meta(&service.server(), "r") };
    let mut trainers: Vec<_> = (0..16).map(|number| Trainer::with(root.path(), rank(number))).collect();
    trainers.push(Trainer::new(root.path(), &service.server(), "other"));
    let uploader = Uploader::start(root.path(), settings());
    let all: Vec<u32> = (0..16).collect();
    until("both attempts are named by one call, with all ranks", || {
        let store = service.shared.store();
        store.heartbeats.iter().any(|signs| signs.len() == 2 && signs.iter().any(|sign| sign.ranks == all))
    })
    .await;
    until("they are named again", || {
        service.shared.store().heartbeats.iter().filter(|signs| signs.len() == 2).count() > 1
    })
    .await;
    assert!(service.shared.store().heartbeats.iter().all(|signs| signs.len() <= 2));
    for trainer in &mut trainers {
        trainer.finish(0);
    }
    uploader.ended().await;
    assert!(!service.shared.store().events.iter().any(vanished));
}

/// Scenario: a trainer is killed while the service takes its points slowly. Guarantees: the service is told once, before the last point
/// of the backlog is stored, and the points arrive all the same.
#[tokio::test]
async fn a_trainer_that_is_gone_without_a_word_is_told_of() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(2_000, 3);
    let (id, logged, dir) = trainer.vanish();
    Uploader::start(root.path(), settings()).ended().await;
    let store = service.shared.store();
    store.expect(id, &logged);
    let told: Vec<_> = store.events.iter().filter(|event| vanished(event)).collect();
    let [Event::Vanished { run_id, attempt, stored }] = told[..] else { panic!("{told:?}") };
    assert_eq!((run_id.as_str(), *attempt), ("r", 1));
    assert!(*stored < logged.len());
    assert!(!dir.exists());
}

/// Scenario: a registered trainer is killed and has logged nothing, so that nothing is left to be sent. Guarantees: the service is told
/// before the spool is gone.
#[tokio::test]
async fn a_trainer_that_is_gone_before_it_logged_is_told_of() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let trainer = Trainer::with(root.path(), SpoolMeta { attempt: Some(1), ..meta(&service.server(), "r") });
    let (_, _, dir) = trainer.vanish();
    Uploader::start(root.path(), settings()).ended().await;
    assert_eq!(service.shared.store().events.iter().filter(|event| vanished(event)).count(), 1);
    assert!(!dir.exists());
}

/// Scenario: a worker that was forked from a trainer is killed. Guarantees: that says nothing about the run.
#[tokio::test]
async fn a_child_may_go_as_it_likes() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::with(root.path(), SpoolMeta { child: true, ..meta(&service.server(), "r") });
    trainer.rows(20, 3);
    let (id, logged, _) = trainer.vanish();
    Uploader::start(root.path(), settings()).ended().await;
    service.shared.store().expect(id, &logged);
    assert!(!service.shared.store().events.iter().any(vanished));
}

/// Scenario: a run begun offline is alive elsewhere when it is registered. Guarantees: it waits until the other start has ended.
#[tokio::test]
async fn a_run_that_another_start_holds_is_waited_for() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    for _ in 0..3 {
        service.shared.behaviour().calls.push_back((Status::aborted("run r is alive"), false));
    }
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(50, 3);
    trainer.finish(0);
    let mut patient = settings();
    patient.tuning.live = Duration::from_millis(5);
    Uploader::start(root.path(), patient).ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
    assert!(!trainer.exists());
}
