//! How often something is run, and what is kept of it.

use serde::Serialize;

/// The time of one unit of work, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Timing {
    pub median_ms: f64,
    pub min_ms: f64,
    /// Independent runs behind the two.
    pub runs: usize,
}

/// A run lasts at least this long where it can: clocks in browsers are coarse.
const RUN_SECONDS: f64 = 0.25;
/// All runs of one unit together, about.
const ALL_SECONDS: f64 = 2.0;
/// Most units of a run.
const MOST: usize = 501;

/// Times `work(n)`, which does `n` units, an odd number, and returns the seconds that they took.
///
/// One unit warms up (shaders and buffers), one more tells how many make a run.
pub fn time(work: impl FnMut(usize) -> f64) -> Timing {
    time_within(ALL_SECONDS, work)
}

/// [`time`] with so many seconds for all runs.
pub fn time_within(all: f64, mut work: impl FnMut(usize) -> f64) -> Timing {
    work(1);
    let first = work(1);
    let units = ((RUN_SECONDS.min(all / 3.0) / first) as usize).clamp(1, MOST) | 1;
    let runs = if first > all { 2 } else { (all / (first * units as f64)).clamp(3.0, 9.0) as usize };
    let mut times = if units == 1 { vec![first] } else { vec![] };
    while times.len() < runs {
        times.push(work(units) / units as f64);
    }
    Timing::of(times)
}

impl Timing {
    /// Of the seconds that single units took.
    pub fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let n = seconds.len();
        let median = (seconds[(n - 1) / 2] + seconds[n / 2]) / 2.0;
        Self { median_ms: 1e3 * median, min_ms: 1e3 * seconds[0], runs: n }
    }
}
