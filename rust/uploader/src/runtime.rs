//! The runtime of everything here: one thread, and a few more only while the disk or a name look-up keeps someone waiting.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

pub(crate) fn build() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(2))
        .thread_name("stepline-io")
        .build()
}
