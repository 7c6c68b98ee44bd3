//! What the tests share.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use stepline_core::spool::{status, Status};
use stepline_uploader::{host, run_host, Settings, Stop, Stopper, SystemClock, Tuning};
use tokio::task::JoinHandle;

use crate::clock::TestClock;
use crate::trainer::Trainer;

/// Short times and small batches.
pub fn settings() -> Settings {
    if std::env::var_os("STEPLINE_TEST_LOG").is_some() {
        stepline_uploader::log_to_stderr();
    }
    let tuning = Tuning {
        poll: Duration::from_millis(2),
        linger: Duration::from_millis(4),
        scan: Duration::from_millis(5),
        relock: Duration::from_millis(20),
        sync: Duration::from_millis(20),
        call: Duration::from_secs(5),
        ack: Duration::from_secs(5),
        live: Duration::from_millis(20),
        heartbeat: Duration::from_millis(2),
        shortest_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        batch_points: 40,
        batch_bytes: 16 << 10,
    };
    Settings { tuning, clock: Arc::new(TestClock::default()), seed: 1, ..Settings::default() }
}

/// Far more than any of these waits takes; so that a mistake fails and does not hang.
pub const LONG: Duration = Duration::from_secs(60);

pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LONG, work).await {
        Ok(done) => done,
        Err(_) => panic!("it takes too long until {what}"),
    }
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let work = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon(what, work).await;
}

/// An uploader of the whole root.
pub struct Uploader {
    pub stopper: Stopper,
    pub task: JoinHandle<()>,
}

impl Uploader {
    pub fn start(root: &Path, settings: Settings) -> Uploader {
        let (stopper, stop) = Stop::new();
        let root = root.to_owned();
        let work = async move { host(&root, settings, Duration::from_millis(10), stop).await.unwrap() };
        Uploader { stopper, task: tokio::spawn(work) }
    }

    /// Until it ends by itself.
    pub async fn ended(self) {
        soon("the uploader ends", self.task).await.unwrap();
    }

    pub async fn stop(self) {
        self.stopper.stop();
        soon("the uploader stops", self.task).await.unwrap();
    }

    /// As SIGKILL does: no farewell.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|err| err.is_cancelled()));
    }
}

/// Names the directory that `uploader_process` drains.
const ROOT: &str = "STEPLINE_TEST_ROOT";

/// `patient` and for SIGKILL: a process of its own, with so many open files at most.
pub fn start_process(root: &Path, open_files: Option<u32>) -> Child {
    let limit = open_files.map_or_else(|| "unlimited".to_owned(), |files| files.to_string());
    let script = r#"[ "$0" = unlimited ] || ulimit -n "$0"; exec "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, &limit]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "support::uploader_process"]).env(ROOT, root);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The child of `start_process`.
#[test]
fn uploader_process() {
    if let Some(root) = std::env::var_os(ROOT) {
        run_host(Path::new(&root), patient(), Duration::from_millis(10)).unwrap();
    }
}

/// Real time, and short times where a service is mute.
pub fn patient() -> Settings {
    let mut settings = Settings { clock: Arc::new(SystemClock), ..settings() };
    (settings.tuning.call, settings.tuning.ack) = (Duration::from_millis(500), Duration::from_millis(500));
    settings
}

pub fn look(trainer: &Trainer) -> Status {
    status(&trainer.dir).unwrap()
}

/// The files of a spool that hold records, in their order; none without the spool.
pub fn segments(spool: &Path) -> Vec<PathBuf> {
    files(spool, "seg")
}

pub fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ending| ending == extension)).collect();
    found.sort();
    found
}

pub async fn phase(trainer: &Trainer, wanted: &str) -> Status {
    until(&format!("the phase is {wanted}"), || status(&trainer.dir).is_some_and(|s| s.state == wanted)).await;
    look(trainer)
}
