//! Samples over the run: rates, lags and memory, every quarter of a second.

use stormproof_reports::schema::{EngineLag, Sample};

use super::monitor::Lag;

/// Between two samples.
const EVERY_US: u64 = 250_000;

/// Counters at one moment, as totals since the run's start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    /// Records produced into the log.
    pub(super) produced: u64,
    /// Records emitted by sources, replays included.
    pub(super) emitted: u64,
    /// Effects in the sink.
    pub(super) effects: u64,
    /// Committed lag, as the broker told it last.
    pub(super) committed_lag: Option<Lag>,
    /// Lags as the engine told them last.
    pub(super) engine_lag: Option<EngineLag>,
}

/// The samples so far, and the highest memory seen.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    origin_us: u64,
    last_us: u64,
    /// The samples, in order of time.
    pub(super) samples: Vec<Sample>,
    /// The largest sum of resident sets.
    pub(super) peak_rss_bytes: u64,
}

impl Sampler {
    /// A sampler of a run that began at `origin_us`.
    pub(super) fn new(origin_us: u64) -> Self {
        Self { origin_us, ..Self::default() }
    }

    /// Whether it is time for a sample.
    pub(super) fn is_due(&self, now_us: u64) -> bool {
        now_us >= self.last_us + EVERY_US
    }

    /// Takes a sample.
    pub(super) fn take(&mut self, now_us: u64, totals: Totals, engine_pid: Option<u32>) {
        let t_s = (now_us - self.origin_us) as f64 / 1e6;
        let before = self.samples.last();
        let (then_s, then_produced, then_effects) =
            before.map_or((0.0, 0, 0), |sample| (sample.t_s, sample.produced, sample.effects));
        let elapsed_s = (t_s - then_s).max(1e-3);
        let per_s = |now: u64, then: u64| now.saturating_sub(then) as f64 / elapsed_s;
        let rss_bytes = rss_bytes("self") + engine_pid.map_or(0, |pid| rss_bytes(&pid.to_string()));
        self.peak_rss_bytes = self.peak_rss_bytes.max(rss_bytes);
        self.last_us = now_us;
        self.samples.push(Sample {
            t_s,
            produced: totals.produced,
            emitted: totals.emitted,
            effects: totals.effects,
            lag_records: totals.produced as i64 - totals.effects as i64,
            committed_lag_records: totals.committed_lag.map_or(0, |lag| lag.records),
            committed_lag_at_s: totals
                .committed_lag
                .map(|lag| lag.at_us.saturating_sub(self.origin_us) as f64 / 1e6),
            engine_lag: totals.engine_lag,
            rate_in_per_s: per_s(totals.produced, then_produced),
            rate_out_per_s: per_s(totals.effects, then_effects),
            rss_bytes,
            ..Sample::default()
        });
    }

    /// Memory was looked at between samples.
    pub(super) fn note_own_memory(&mut self) {
        self.peak_rss_bytes = self.peak_rss_bytes.max(rss_bytes("self"));
    }

    /// Rates over the last second: produced and effects.
    pub(super) fn rates(&self) -> (f64, f64) {
        let Some(last) = self.samples.last() else { return (0.0, 0.0) };
        let back = self.samples.iter().rev().find(|sample| last.t_s - sample.t_s >= 0.9);
        let Some(back) = back else { return (last.rate_in_per_s, last.rate_out_per_s) };
        let elapsed_s = last.t_s - back.t_s;
        let per_s = |now: u64, then: u64| now.saturating_sub(then) as f64 / elapsed_s;
        (per_s(last.produced, back.produced), per_s(last.effects, back.effects))
    }
}

/// Resident set of a process, from `/proc`; 0 when it is gone.
fn rss_bytes(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = rss.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_lags_come_from_totals() {
        let mut sampler = Sampler::new(1_000_000);
        for second in 0..3_u64 {
            let now_us = 1_000_000 + second * 1_000_000;
            assert!(sampler.is_due(now_us));
            let totals = Totals {
                produced: second * 100,
                emitted: 0,
                effects: second * 40,
                committed_lag: Some(Lag { records: 140, at_us: now_us - 300_000 }),
                ..Totals::default()
            };
            sampler.take(now_us, totals, None);
            assert!(!sampler.is_due(now_us + 100_000));
        }
        let last = sampler.samples.last().unwrap();
        assert_eq!((last.lag_records, last.committed_lag_records), (120, 140));
        assert!((last.committed_lag_at_s.unwrap() - 1.7).abs() < 1e-9);
        assert_eq!(sampler.rates(), (100.0, 40.0));
        assert!(sampler.peak_rss_bytes > 1024 * 1024);
    }
}
