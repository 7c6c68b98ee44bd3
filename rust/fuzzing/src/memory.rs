//! How much memory a call takes at its peak, counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what the thread holds, and the most that it held. A program that wants [`bounded`] to see anything makes this its global
/// allocator.
pub struct Counting;

thread_local! {
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn count(change: isize) {
    // A thread that ends frees after its locals are gone.
    let _ = HELD.try_with(|held| {
        let now = held.get().0 + change;
        held.set((now, held.get().1.max(now)));
    });
}

// A global allocator is unsafe by its nature; this one only counts and passes on.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        System.dealloc(pointer, layout);
    }
}

/// Calls `work`, which may hold so many bytes more than it began with.
pub fn bounded<T>(limit: usize, work: impl FnOnce() -> T) -> T {
    let before = HELD.with(|held| {
        held.set((held.get().0, held.get().0));
        held.get().0
    });
    let result = work();
    let peak = HELD.with(|held| held.get().1) - before;
    assert!(peak <= limit as isize, "{peak} bytes of memory at the peak, {limit} are allowed");
    result
}
