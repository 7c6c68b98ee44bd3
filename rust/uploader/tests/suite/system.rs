//! Readings of the host: once for each run and host, with their own writer, whoever uploads.

use std::path::Path;

use stepline_core::spool::{scan, SpoolMeta};
use stepline_uploader::Background;

use crate::service::Service;
use crate::support::{settings, soon, until, Uploader, LONG};
use crate::trainer::{meta, Trainer};

const BUSY: &str = "system/memory/percent";

fn rank(root: &Path, service: &Service, rank: u32, local_rank: Option<u32>) -> Trainer {
    let meta = SpoolMeta {
        rank,
        local_rank,
        world_size: 4,
        system_ms: 100,
        pid: std::process::id(),
        config_json: r#"{"lr": 1}"#.into(),
        ..meta(&service.server(), "r")
    };
    Trainer::with(root, meta)
}

async fn readings(service: &Service, count: usize) {
    let enough = || service.shared.store().series(BUSY).iter().map(|(_, steps)| steps.len()).sum::<usize>() >= count;
    until("readings arrive", enough).await;
}

/// Scenario: two ranks of one host, which end. Guarantees: one writer of its own carries the readings, in the order of time, and is gone
/// with the ranks.
#[tokio::test]
async fn a_host_is_measured_once_for_a_run() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut ranks = [1, 0].map(|number| rank(root.path(), &service, number, Some(number)));
    let uploader = Uploader::start(root.path(), settings());
    readings(&service, 3).await;
    for trainer in &mut ranks {
        trainer.rows(3, 2);
        trainer.seal();
    }
    uploader.ended().await;
    assert_eq!(scan(root.path()).unwrap(), Vec::<std::path::PathBuf>::new());
    let store = service.shared.store();
    let [(writer, steps)] = &store.series(BUSY)[..] else { panic!("{:?}", store.series(BUSY)) };
    assert!(ranks.iter().all(|trainer| trainer.id != *writer));
    assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
    for number in [0, 1] {
        assert_eq!(store.series(&format!("system/process/{number}/memory")).len(), 1);
    }
    for trainer in &ranks {
        store.expect(trainer.id, &trainer.logged);
    }
}

/// Scenario: the ranks of a host have a spool directory and an uploader each. Guarantees: readings are not doubled.
#[tokio::test]
async fn two_uploaders_of_one_run_take_readings_once() {
    let (roots, service) = ([(); 2].map(|()| tempfile::tempdir().unwrap()), Service::start());
    let mut ranks = [0, 1].map(|number| rank(roots[number as usize].path(), &service, number, Some(number)));
    let uploaders = roots.each_ref().map(|root| Uploader::start(root.path(), settings()));
    readings(&service, 2).await;
    ranks.iter_mut().for_each(Trainer::seal);
    for uploader in uploaders {
        uploader.ended().await;
    }
    assert_eq!(service.shared.store().series(BUSY).len(), 1);
}

/// Scenario: no launcher says which rank is the first one here. Guarantees: the lowest one leads, and nobody else.
#[tokio::test]
async fn the_lowest_rank_leads_where_nobody_says_which_does() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut ranks = [3, 2].map(|number| rank(root.path(), &service, number, None));
    let uploader = Uploader::start(root.path(), settings());
    readings(&service, 2).await;
    ranks.iter_mut().for_each(Trainer::seal);
    uploader.ended().await;
    assert_eq!(service.shared.store().series(BUSY).len(), 1);
}

/// Scenario: the uploader dies and another one comes. Guarantees: every reading is stored once, under the two writers that took them.
#[tokio::test]
async fn readings_survive_their_uploader() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = rank(root.path(), &service, 0, Some(0));
    let first = Uploader::start(root.path(), settings());
    readings(&service, 2).await;
    first.kill().await;
    let second = Uploader::start(root.path(), settings());
    until("another writer takes over", || service.shared.store().series(BUSY).len() == 2).await;
    trainer.seal();
    second.ended().await;
    let store = service.shared.store();
    assert_eq!(store.violations, Vec::<String>::new());
    let mut steps: Vec<i64> = store.series(BUSY).into_iter().flat_map(|(_, steps)| steps).collect();
    let all = steps.len();
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps.len(), all);
}

/// Scenario: the uploader is a thread of the trainer. Guarantees: it takes readings as well, sends them, and leaves nothing behind.
#[tokio::test]
async fn a_thread_takes_readings_too() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = rank(root.path(), &service, 0, Some(0));
    let thread = Background::start(&trainer.dir, settings()).unwrap();
    readings(&service, 2).await;
    trainer.rows(3, 2);
    trainer.seal();
    soon("the thread ends", async { tokio::task::spawn_blocking(move || assert!(thread.join(LONG))).await.unwrap() })
        .await;
    assert_eq!(scan(root.path()).unwrap(), Vec::<std::path::PathBuf>::new());
    service.shared.store().expect(trainer.id, &trainer.logged);
}

/// Scenario: the trainer wants no readings. Guarantees: there are none, and no spool for them.
#[tokio::test]
async fn who_wants_no_readings_gets_none() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let uploader = Uploader::start(root.path(), settings());
    trainer.rows(3, 2);
    until("points arrive", || service.shared.store().stored() == 6).await;
    assert_eq!(scan(root.path()).unwrap().len(), 1);
    trainer.seal();
    uploader.ended().await;
    assert!(service.shared.store().series(BUSY).is_empty());
}
