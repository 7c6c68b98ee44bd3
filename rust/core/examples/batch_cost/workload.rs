//! Metrics as training runs log them, made from distributions whose entropy is known.

use std::f64::consts::{E, PI};

/// Which metrics a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Of 20 metrics: 14 noisy float32 levels (losses, norms), 3 float32 walks, one constant, one counter, one timing in float64.
    Training,
    /// One float32 level with noise of a fifth of it.
    Noise,
    /// A cosine schedule in float64, without any noise: its entropy is taken as half a byte a value.
    Schedule,
}

#[derive(Debug)]
pub struct Workload {
    pub metrics: usize,
    pub steps: usize,
    pub names: Vec<String>,
    /// Milliseconds, one a step, with the jitter of a real loop.
    pub times: Vec<i64>,
    /// Metric-major.
    pub columns: Vec<f64>,
    /// Step-major.
    pub rows: Vec<f64>,
    /// Shannon entropy of all values in bits, given the model.
    pub value_bits: f64,
    /// That of the times: of their jitter.
    pub time_bits: f64,
}

impl Workload {
    pub fn new(mix: Mix, metrics: usize, steps: usize) -> Self {
        let mut random = Random(0x0123_4567_89ab_cdef);
        let mut bits = 0.0;
        let mut columns = Vec::with_capacity(metrics * steps);
        for m in 0..metrics {
            let role = match mix {
                Mix::Training => m % 20,
                Mix::Noise => 20,
                Mix::Schedule => 21,
            };
            let level = 10f64.powf(random.uniform() * 7.0 - 4.0);
            let spread = level * 10f64.powf(-0.5 - 1.5 * random.uniform());
            let mut walk = level;
            for t in 0..steps {
                let t = t as f64;
                let (value, entropy) = match role {
                    0..=13 => {
                        let mean = level * (1.0 + 2.0 * (-(t + 50.0) / 200.0).exp());
                        float32(mean, spread, &mut random)
                    }
                    14..=16 => {
                        let next = float32(walk, walk * 0.01, &mut random);
                        walk = next.0;
                        next
                    }
                    17 => ((level * 64.0).floor() / 64.0, 0.0),
                    18 => ((level * 1e4).floor() + 4_096.0 * t, 0.0),
                    19 => {
                        let value = 0.3 + 0.01 * random.normal();
                        (value, gauss_bits(0.01 / ulp(value, 52)))
                    }
                    20 => float32(1.0, 0.2, &mut random),
                    _ => (3e-4 * (1.0 + (PI * t / steps as f64).cos()), 4.0),
                };
                columns.push(value);
                bits += entropy;
            }
        }
        // The loop takes 250 ms with a deviation of 3 ms; times are rounded to milliseconds.
        let mut now = 1.75e12;
        let times = (0..steps)
            .map(|_| {
                now += 250.0 + 3.0 * random.normal();
                now as i64
            })
            .collect();
        let mut rows = Vec::with_capacity(columns.len());
        for t in 0..steps {
            rows.extend((0..metrics).map(|m| columns[m * steps + t]));
        }
        let names = (0..metrics).map(|m| format!("train/layer_{}/metric_{}", m / 20, m % 20)).collect();
        let time_bits = steps as f64 * gauss_bits(3.0);
        Workload { metrics, steps, names, times, columns, rows, value_bits: bits, time_bits }
    }
}

/// A float32 from a normal distribution, and its entropy: that of the distribution in units of the last place.
fn float32(mean: f64, deviation: f64, random: &mut Random) -> (f64, f64) {
    let value = f64::from((mean + deviation * random.normal()) as f32);
    (value, gauss_bits(deviation / ulp(value, 23)))
}

/// Differential entropy of a normal distribution with this deviation.
fn gauss_bits(deviation: f64) -> f64 {
    (deviation * (2.0 * PI * E).sqrt()).log2().max(0.0)
}

fn ulp(value: f64, mantissa_bits: i32) -> f64 {
    2f64.powi(value.abs().log2().floor() as i32 - mantissa_bits)
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().max(f64::MIN_POSITIVE).ln()).sqrt();
        radius * (2.0 * PI * self.uniform()).cos()
    }
}
