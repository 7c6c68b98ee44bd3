//! Streams that break anywhere: exactly once, in any case.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use stepline_core::spool::SpoolMeta;
use tonic::{Code, Status};

use crate::service::{Fault, Service};
use crate::store::Event;
use crate::support::{look, phase, settings, soon, until, Uploader, LONG};
use crate::trainer::{meta, Trainer};

/// One thing that happens to a spool.
#[derive(Clone, Debug)]
enum Act {
    Rows {
        rows: usize,
        width: usize,
    },
    Sparse(usize),
    Array(usize),
    Update,
    /// The next stream goes like this.
    Stream(Fault),
    /// The next unary call is answered with UNAVAILABLE, before or after it had its effect.
    Call {
        after: bool,
    },
    KillUploader,
    KillService,
    /// Lets the uploader work for a moment.
    Breathe(u64),
}

fn fault() -> impl Strategy<Value = Fault> {
    let after = 0usize..6;
    prop_oneof![
        Just(Fault::Refuse(Status::unavailable("not now"))),
        Just(Fault::Refuse(Status::internal("a bug"))),
        after.clone().prop_map(|after| Fault::DropBefore { after }),
        after.clone().prop_map(|after| Fault::DropAfter { after }),
        (0usize..4).prop_map(|after| Fault::LoseAcks { after }),
        after.clone().prop_map(|after| Fault::StoreHalf { after }),
        (1u64..500).prop_map(|by| Fault::ForgetfulWelcome { by }),
        Just(Fault::Slow { ms: 2 }),
        after.prop_map(|after| Fault::FailWith { after, status: Status::new(Code::DeadlineExceeded, "too slow") }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1usize..60, 1usize..9).prop_map(|(rows, width)| Act::Rows { rows, width }),
        1 => (1usize..9).prop_map(Act::Sparse),
        1 => (1usize..400).prop_map(Act::Array),
        1 => Just(Act::Update),
        4 => fault().prop_map(Act::Stream),
        1 => any::<bool>().prop_map(|after| Act::Call { after }),
        1 => Just(Act::KillUploader),
        1 => Just(Act::KillService),
        3 => (0u64..8).prop_map(Act::Breathe),
    ]
}

async fn play(acts: Vec<Act>) {
    let root = tempfile::tempdir().unwrap();
    let mut service = Service::start();
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let mut uploader = Uploader::start(root.path(), settings());
    for act in acts {
        match act {
            Act::Rows { rows, width } => trainer.rows(rows, width),
            Act::Sparse(width) => trainer.sparse(width),
            Act::Array(points) => trainer.array(points),
            Act::Update => trainer.update(1),
            Act::Stream(fault) => service.shared.behaviour().streams.push_back(fault),
            Act::Call { after } => {
                service.shared.behaviour().calls.push_back((Status::unavailable("not now"), after));
            }
            Act::KillUploader => {
                uploader.kill().await;
                uploader = Uploader::start(root.path(), settings());
            }
            Act::KillService => {
                let (shared, address) = service.kill();
                service = Service::restart(shared, Some(address));
            }
            Act::Breathe(ms) => tokio::time::sleep(std::time::Duration::from_millis(ms)).await,
        }
    }
    trainer.finish(0);
    uploader.ended().await;
    assert!(!trainer.exists(), "the spool stays");
    service.shared.store().expect(trainer.id, &trainer.logged);
}

/// Scenario: any sequence of logging, broken streams, failing calls, and kills of uploader and service. Guarantees: when all is over,
/// what was logged is stored exactly once and the spool is gone.
#[test]
fn exactly_once_whatever_breaks() {
    let seed = std::env::var("STEPLINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand_seed);
    println!("replay with STEPLINE_SEED={seed}");
    let cases = std::env::var("STEPLINE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48);
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 60,
        ..Config::default()
    };
    let run = TestRunner::new(config).run(&prop::collection::vec(act(), 1..25), |acts| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(soon("the story ends", play(acts)));
        Ok(())
    });
    run.unwrap();
}

fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// Scenario: every stream breaks after one batch, each in another way. Guarantees: exactly once.
#[tokio::test]
async fn each_fault_after_each_batch() {
    let faults: [fn(usize) -> Fault; 4] = [
        |after| Fault::DropBefore { after },
        |after| Fault::DropAfter { after },
        |after| Fault::LoseAcks { after: after % 4 },
        |after| Fault::StoreHalf { after },
    ];
    for (n, fault) in faults.iter().enumerate() {
        let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
        service.shared.behaviour().streams.extend((0..8).map(fault));
        let mut trainer = Trainer::new(root.path(), &service.server(), "r");
        trainer.rows(150, 4);
        trainer.array(333);
        trainer.finish(0);
        Uploader::start(root.path(), settings()).ended().await;
        service.shared.store().expect(trainer.id, &trainer.logged);
        assert!(service.shared.behaviour().opened > 4, "fault {n} broke some streams");
    }
}

/// Scenario: nobody listens, later somebody does. Guarantees: the spool says unreachable, names the address and what to do; then all
/// arrives.
#[tokio::test]
async fn an_unreachable_service_is_named_and_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let (shared, address) = Service::start().kill();
    let mut trainer = Trainer::new(root.path(), &address.to_string(), "r");
    trainer.rows(10, 3);
    trainer.finish(0);
    let uploader = Uploader::start(root.path(), settings());
    let status = phase(&trainer, "unreachable").await;
    assert!(status.error.contains(&address.to_string()), "{}", status.error);
    assert!(status.error.contains("refused") && status.error.contains("start `stepline serve`"), "{}", status.error);
    let service = Service::restart(shared, Some(address));
    uploader.ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
}

/// Scenario: the service takes Hello and never answers. Guarantees: the stream is given up and the next one works.
#[tokio::test]
async fn a_service_that_never_answers_is_left() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    service.shared.behaviour().streams.push_back(Fault::Silent);
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(10, 3);
    trainer.seal();
    let mut settings = settings();
    settings.tuning.call = std::time::Duration::from_millis(300);
    Uploader::start(root.path(), settings).ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
}

/// Scenario: the service takes batches and never acknowledges any. Guarantees: the stream is given up and the next one works.
#[tokio::test]
async fn a_service_that_never_acknowledges_is_left() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    service.shared.behaviour().streams.push_back(Fault::Mute);
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(400, 3);
    trainer.finish(0);
    let mut settings = settings();
    settings.tuning.ack = std::time::Duration::from_millis(300);
    Uploader::start(root.path(), settings).ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
}

/// Scenario: the service loses its disk while a trainer logs. Guarantees: the run is registered again, what was acknowledged and
/// deleted here is confessed as a gap, and the rest arrives.
#[tokio::test]
async fn a_service_that_lost_everything_gets_what_is_left() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let uploader = Uploader::start(root.path(), settings());
    trainer.rows(2_000, 5);
    let last = trainer.writer.last_seq();
    until("all is acknowledged", || look(&trainer).acked_seq >= last).await;
    until("segments are deleted", || look(&trainer).bytes <= 2 * (16 << 10)).await;
    let (shared, address) = service.kill();
    shared.store().wipe();
    let service = Service::restart(shared, Some(address));
    trainer.rows(100, 5);
    trainer.seal();
    uploader.ended().await;
    let store = service.shared.store();
    let [.., Event::Gap { first: 1, last: lost }] = store.events[..] else { panic!("{:?}", store.events) };
    assert!(lost <= last);
    let left = trainer.logged.range((lost + 1, 0)..).map(|(key, value)| (*key, *value)).collect();
    store.expect(trainer.id, &left);
}

/// Scenario: the service goes back to a state before an update that the spool still has. Guarantees: it hears of the update again.
#[tokio::test]
async fn updates_that_the_spool_still_has_are_sent_again() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let uploader = Uploader::start(root.path(), settings());
    trainer.rows(5, 3);
    trainer.update(1);
    until("all is acknowledged", || look(&trainer).acked_control == 1 && look(&trainer).acked_seq == 5).await;
    let (shared, address) = service.kill();
    shared.store().wipe();
    let service = Service::restart(shared, Some(address));
    trainer.rows(5, 3);
    trainer.finish(0);
    uploader.ended().await;
    let store = service.shared.store();
    store.expect(trainer.id, &trainer.logged);
    assert_eq!(store.events.iter().filter(|event| matches!(event, Event::Updated { .. })).count(), 1);
}

/// Scenario: the service loses the run twice, and the trainer logs nothing in between. Guarantees: the run is registered each time, for a
/// stream that was welcomed for a while was no refusal.
#[tokio::test]
async fn a_run_that_is_lost_twice_is_registered_twice() {
    let (root, mut service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    let uploader = Uploader::start(root.path(), settings());
    for _ in 0..2 {
        phase(&trainer, "streaming").await;
        tokio::time::sleep(2 * settings().tuning.longest_pause).await;
        let (shared, address) = service.kill();
        shared.store().wipe();
        phase(&trainer, "unreachable").await;
        service = Service::restart(shared, Some(address));
    }
    trainer.rows(10, 3);
    trainer.finish(0);
    uploader.ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
    assert!(!trainer.exists());
}

/// Scenario: all is acknowledged, the uploader is killed before it deletes the spool, and the service goes back to an older state.
/// Guarantees: the spool is not deleted before the service has said once more that it has all.
#[tokio::test]
async fn a_spool_is_deleted_on_the_word_of_the_service_alone() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    let mut trainer = Trainer::with(root.path(), SpoolMeta { child: true, ..meta(&service.server(), "r") });
    trainer.rows(50, 3);
    let uploader = Uploader::start(root.path(), settings());
    until("all is acknowledged", || look(&trainer).acked_seq == 50).await;
    uploader.kill().await;
    trainer.seal();
    service.shared.store().wipe();
    Uploader::start(root.path(), settings()).ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
}

/// Scenario: each of thirty streams stores a batch and breaks before its acknowledgement. Guarantees: that counts as progress, so that the
/// pauses between streams stay short.
#[tokio::test]
async fn what_a_welcome_settles_is_progress() {
    let (root, service) = (tempfile::tempdir().unwrap(), Service::start());
    service.shared.behaviour().window_batches = 1;
    service.shared.behaviour().streams.extend((0..30).map(|_| Fault::DropAfter { after: 0 }));
    let mut settings = settings();
    // Pauses that grow would take minutes.
    settings.tuning.longest_pause = LONG;
    let mut trainer = Trainer::new(root.path(), &service.server(), "r");
    trainer.rows(240, 10);
    trainer.seal();
    Uploader::start(root.path(), settings).ended().await;
    service.shared.store().expect(trainer.id, &trainer.logged);
}
