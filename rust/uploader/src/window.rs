//! What is under way on one stream: sent and not yet settled.

use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct Window {
    max_batches: usize,
    max_bytes: u64,
    flights: VecDeque<Flight>,
    bytes: u64,
    acknowledged: u64,
    settled: u64,
}

#[derive(Debug)]
struct Flight {
    first: u64,
    last: u64,
    bytes: u64,
    rejected: bool,
}

impl Window {
    pub fn new(max_batches: u32, max_bytes: u64, committed: u64) -> Self {
        Window {
            max_batches: (max_batches as usize).max(1),
            max_bytes,
            flights: VecDeque::new(),
            bytes: 0,
            acknowledged: committed,
            settled: committed,
        }
    }

    /// A batch of BYTES may be sent. One always may when nothing is under way, however large it is.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.flights.is_empty()
            || (self.flights.len() < self.max_batches && self.bytes.saturating_add(bytes) <= self.max_bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// Everything up to here is stored or was rejected for ever.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    pub fn sent(&mut self, first: u64, last: u64, bytes: u64) {
        self.bytes += bytes;
        self.flights.push_back(Flight { first, last, bytes, rejected: false });
    }

    pub fn acknowledge(&mut self, committed: u64) {
        self.acknowledged = self.acknowledged.max(committed);
        self.settle();
    }

    pub fn reject(&mut self, first: u64, last: u64) {
        for flight in self.flights.iter_mut().filter(|flight| first <= flight.first && flight.last <= last) {
            flight.rejected = true;
        }
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(flight) = self.flights.front() {
            if !flight.rejected && flight.last > self.acknowledged {
                // Part of a batch may be acknowledged: the service cuts as it likes.
                if flight.first <= self.acknowledged {
                    self.settled = self.settled.max(self.acknowledged);
                }
                return;
            }
            self.bytes -= flight.bytes;
            self.settled = self.settled.max(flight.last);
            self.flights.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_and_bytes_both_close_the_window() {
        let mut window = Window::new(2, 100, 0);
        assert!(window.has_room(1_000), "the first batch always goes");
        window.sent(1, 10, 60);
        assert!(window.has_room(40) && !window.has_room(41));
        window.sent(11, 20, 10);
        assert!(!window.has_room(1));
        window.acknowledge(10);
        assert!(window.has_room(90) && !window.has_room(91));
    }

    #[test]
    fn acknowledgements_are_cumulative_and_never_go_back() {
        let mut window = Window::new(10, 100, 5);
        for first in [6, 8, 10] {
            window.sent(first, first + 1, 1);
        }
        window.acknowledge(9);
        window.acknowledge(7);
        assert_eq!((window.settled(), window.is_empty()), (9, false));
        window.acknowledge(1_000);
        assert_eq!((window.settled(), window.is_empty()), (11, true), "nothing is settled that was not sent");
    }

    #[test]
    fn part_of_a_batch_counts() {
        let mut window = Window::new(10, 100, 0);
        window.sent(1, 10, 7);
        window.acknowledge(4);
        assert_eq!((window.settled(), window.has_room(94)), (4, false));
    }

    #[test]
    fn a_rejected_batch_counts_as_settled_once_those_before_it_are() {
        let mut window = Window::new(10, 100, 0);
        window.sent(1, 2, 1);
        window.sent(3, 4, 1);
        window.sent(5, 6, 1);
        window.reject(3, 4);
        assert_eq!(window.settled(), 0);
        window.acknowledge(2);
        assert_eq!(window.settled(), 4);
        window.reject(5, 6);
        assert_eq!((window.settled(), window.is_empty()), (6, true));
    }
}
