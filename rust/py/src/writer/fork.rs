//! What a forked child must not go on with.
//!
//! Two hooks, because they reach different forks. `pthread_atfork` sees every fork of the C library, and only counts: a writer whose
//! count differs from the process's knows that its spool is the parent's. `os.register_at_fork` sees the forks of Python, and closes
//! the child's copies of the locks at once, so that the death of the parent can be noticed even when the child never logs. What
//! remains is in `stepline_core::spool::lock`.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use super::state::Shared;

static GENERATION: AtomicU64 = AtomicU64::new(0);
/// Only touched by threads that are attached to the interpreter, as `os.fork` is: never inherited locked.
static WRITERS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// Another number in each process of a line of forks.
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

extern "C" fn count() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Installs the hook of the C library, once.
pub fn watch() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: the handler only adds to an atomic, and lives as long as the process because extensions are never unloaded. Without
        // memory for it (the only error) the hook of Python remains.
        unsafe {
            libc::pthread_atfork(None, None, Some(count));
        }
    });
}

pub fn register(shared: &Arc<Shared>) {
    let mut writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    writers.retain(|writer| writer.strong_count() > 0);
    writers.push(Arc::downgrade(shared));
}

/// In the child, from the hook of Python.
pub fn give_up_inherited() {
    count();
    let writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    for shared in writers.iter().filter_map(Weak::upgrade) {
        shared.with(|state| state.give_up_inherited());
        shared.latency.reset();
    }
}
