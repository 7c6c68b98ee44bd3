//! Updates and ends of runs, in their order among the points.

use stepline_core::spool::{LimitPolicy, WriterOptions};
use tonic::Status;

use crate::service::{Fault, Service};
use crate::store::Event;
use crate::support::{settings, Uploader};
use crate::trainer::{meta, Trainer};

/// Scenario: updates between points, a finish at the end, an unsteady service. Guarantees: updates come in order, the finish after every
/// point is stored, both at least once.
#[tokio::test]
async fn controls_keep_their_place() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    {
        let mut behaviour = service.shared.behaviour();
        // CreateRun; then an update is lost before, another after it had its effect.
        behaviour.calls.push_back((Status::unavailable("later"), true));
        behaviour.calls.push_back((Status::unavailable("later"), false));
        behaviour.streams.extend([Fault::LoseAcks { after: 2 }, Fault::None, Fault::DropAfter { after: 1 }]);
    }
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    for n in 1..=5 {
        trainer.rows(50, 3);
        trainer.update(n);
    }
    trainer.rows(50, 3);
    trainer.finish(3);
    Uploader::start(root.path(), settings()).ended().await;
    let store = service.shared.store();
    store.expect(trainer.id, &trainer.logged);
    let mut updates: Vec<_> = store
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Updated { summary_json, .. } => Some(summary_json.clone()),
            _ => None,
        })
        .collect();
    updates.dedup();
    assert_eq!(updates, (1..=5).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>());
    let finished = Event::Finished { run_id: "r".into(), attempt: 1, exit_code: 3, stored: trainer.logged.len() };
    assert_eq!(store.events.last(), Some(&finished));
}

/// Scenario: control records that the service refuses or nobody understands. Guarantees: they are left out, what follows arrives.
#[tokio::test]
async fn a_control_that_is_refused_blocks_nothing() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    service.shared.store().attempts.insert("r".into(), 1);
    service.shared.behaviour().calls.push_back((Status::invalid_argument("no JSON object"), false));
    let meta = stepline_core::spool::SpoolMeta { attempt: Some(1), ..meta(&service.server(), "r") };
    let mut trainer = Trainer::with(root.path(), meta);
    trainer.update(1);
    trainer.control("{\"nonsense\": {}}");
    trainer.control("no json at all");
    trainer.rows(10, 2);
    trainer.update(2);
    trainer.finish(0);
    Uploader::start(root.path(), settings()).ended().await;
    let store = service.shared.store();
    store.expect(trainer.id, &trainer.logged);
    assert!(matches!(store.events.last(), Some(Event::Finished { .. })));
    assert!(!trainer.exists());
}

/// Scenario: a service that is older than its client knows neither contexts nor printed lines. Guarantees: points and what it does
/// know arrive all the same.
#[tokio::test]
async fn what_an_older_service_does_not_know_is_left_out() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.control(r#"{"context": {"part": "git", "content": {"commit": "abc"}}}"#);
    trainer.rows(5, 3);
    trainer.control(r#"{"console": {"line": 1, "stream": 1, "time_ms": 5, "text": "hello"}}"#);
    trainer.finish(0);
    Uploader::start(root.path(), settings()).ended().await;
    let store = service.shared.store();
    store.expect(trainer.id, &trainer.logged);
    assert!(matches!(store.events.last(), Some(Event::Finished { .. })));
}

/// Scenario: the writer had no room for some points. Guarantees: the run's summary says so.
#[tokio::test]
async fn a_gap_becomes_part_of_the_summary() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.control(r#"{"gap": {"count": 12, "reason": "disk full"}}"#);
    trainer.seal();
    Uploader::start(root.path(), settings()).ended().await;
    let store = service.shared.store();
    let Some(Event::Updated { summary_json, .. }) = store.events.last() else { panic!("{:?}", store.events) };
    assert!(summary_json.contains(&trainer.id.to_hex()) && summary_json.contains("disk full"), "{summary_json}");
}

/// Scenario: the trainer dropped its oldest records because of its limit, updates among them, and is killed. Guarantees: nobody waits for
/// those; the rest arrives and the spool goes.
#[tokio::test]
async fn updates_that_the_trainer_dropped_are_not_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let (shared, address) = Service::start().kill();
    let options = WriterOptions { limit_bytes: 64 << 10, policy: LimitPolicy::DropOldest, ..WriterOptions::default() };
    let mut trainer = Trainer::with_options(root.path(), meta(&address.to_string(), "r"), options);
    trainer.rows(1, 4);
    trainer.update(1);
    trainer.update(2);
    trainer.rows(5_000, 4);
    let (id, logged, dir) = trainer.vanish();
    let service = Service::restart(shared, Some(address));
    Uploader::start(root.path(), settings()).ended().await;
    assert!(!dir.exists());
    let store = service.shared.store();
    let [(1, dropped)] = store.gaps(id)[..] else { panic!("{:?}", store.gaps(id)) };
    let kept = logged.iter().filter(|((seq, _), _)| *seq > dropped);
    store.expect(id, &kept.map(|(key, value)| (*key, *value)).collect());
}
