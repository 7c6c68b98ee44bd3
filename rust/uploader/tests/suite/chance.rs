//! The random choices of a simulation.

use tonic::{Code, Status};

use crate::service::Fault;

/// The random choices of one story: Steele, Lea and Flood (2014).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    pub fn upto(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }

    /// Of any code.
    pub fn status(&mut self) -> Status {
        Status::new(Code::from_i32(1 + self.below(16) as i32), "as chance will have it")
    }

    /// Of a code that means: later.
    pub fn passing(&mut self) -> Status {
        let codes = [Code::Unavailable, Code::Internal, Code::Unknown, Code::DeadlineExceeded, Code::Cancelled];
        Status::new(codes[self.upto(codes.len())], "later")
    }

    /// What goes wrong on the next stream.
    pub fn fault(&mut self) -> Fault {
        let after = self.upto(4);
        match self.below(14) {
            0 | 1 => Fault::DropBefore { after },
            2 | 3 => Fault::DropAfter { after },
            4 => Fault::LoseAcks { after },
            5 | 6 => Fault::StoreHalf { after },
            7 => Fault::ForgetfulWelcome { by: 1 + self.below(300) },
            8 | 9 => Fault::Stutter,
            10 => Fault::Slow { ms: 2 },
            11 => Fault::FailWith { after, status: self.status() },
            12 => Fault::Refuse(self.status()),
            _ if self.below(4) == 0 => [Fault::Mute, Fault::Silent][self.upto(2)].clone(),
            _ => Fault::FailWith { after, status: self.passing() },
        }
    }
}
