//! The wish to end, from whoever started the work to everything that waits.

use tokio::sync::watch;

/// Ends the work, also when it is dropped.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Learns of it. Clones learn of the same.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    pub fn new() -> (Stopper, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Stop(receiver))
    }

    /// Returns when the work shall end.
    pub async fn wanted(&self) {
        // An error says that the other side is gone: nobody waits for this work any more.
        let _ = self.0.clone().wait_for(|wanted| *wanted).await;
    }
}

impl Stopper {
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}
