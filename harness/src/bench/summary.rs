//! From trials to the result that is kept: `result.json` in the schema of `reports`.

use std::path::Path;

use hdrhistogram::Histogram;
use stormproof_engine::runtime::{CheckpointStats, JobEvent};
use stormproof_reports::schema::{
    BenchSummary, BenchTrial, CheckpointStatus, CheckpointSummary, Latency, Quantiles, Recovery,
    RunResult, Sample, Verdict,
};

use super::BenchScenario;
use super::sink::Interval;
use super::trial::{Look, TrialOutcome};
use crate::clock::Utc;
use crate::environment::{Embedded, Host, machine_facts};

/// Everything that was tried.
pub(super) struct Account<'a> {
    scenario: &'a BenchScenario,
    started: Utc,
    pub(super) searched: Vec<TrialOutcome>,
    pub(super) repeated: Vec<TrialOutcome>,
    pub(super) killed: Option<TrialOutcome>,
}

impl<'a> Account<'a> {
    pub(super) fn new(scenario: &'a BenchScenario, started: Utc) -> Self {
        Self { scenario, started, searched: Vec::new(), repeated: Vec::new(), killed: None }
    }

    /// Repetitions whose load did not slip.
    pub(super) fn valid(&self) -> usize {
        self.repeated.iter().filter(|trial| trial.invalid().is_none()).count()
    }

    /// Whether the rate was sustained in more than half of the valid repetitions.
    pub(super) fn is_held(&self) -> bool {
        let held = self.repeated.iter().filter(|trial| trial.is_sustainable()).count();
        2 * held > self.valid()
    }

    /// The lowest rate that was tried above the sustained one, where no load of that rate could be
    /// made: how much more the pipeline sustains is not known.
    fn limit_of_load(&self) -> Option<u64> {
        let found = self.repeated.last()?.rate_per_s;
        let above = || self.searched.iter().filter(|trial| trial.rate_per_s > found);
        let lowest = above().map(|trial| trial.rate_per_s).min()?;
        let mut at = above().filter(|trial| trial.rate_per_s == lowest);
        at.all(|trial| trial.invalid().is_some()).then_some(lowest)
    }

    /// The result: figures of the repetitions, latencies of all of them together.
    pub(super) fn settle(&self) -> RunResult {
        let scenario = self.scenario;
        let environment = machine_facts(&Embedded::new(Path::new("."), None, Host::quiet("bench")));
        let merged = self.repeated.iter().flat_map(after_warm_up);
        let latency = latency_of(merged.map(|look| &look.interval));
        let held = self.repeated.last().filter(|_| self.is_held());
        let last = self.repeated.last();
        RunResult {
            scenario: scenario.name.clone(),
            verdict: Verdict::Unknown,
            verdict_reason: "A measurement: consistency is judged by `stormproof run`.".to_owned(),
            parallelism: u32::from(scenario.parallelism),
            workers: environment.cores,
            mode: scenario.mode.name().to_owned(),
            seed: 1,
            records: self.repeated.iter().filter_map(|t| Some(t.looks.last()?.confirmed)).sum(),
            wall_s: self.repeated.iter().filter_map(|t| Some(t.looks.last()?.t_s)).sum(),
            records_per_s: held.map_or(f64::NAN, |t| t.rate_per_s as f64),
            latency,
            checkpoints: last.map(checkpoints).unwrap_or_default(),
            timeline: last.map(timeline).unwrap_or_default(),
            recoveries: self.killed.iter().filter_map(recovery).collect(),
            environment,
            reproduce: self.reproduce(),
            not_tested: vec!["Consistency: nothing was judged.".to_owned()],
            notes: self.notes(),
            started_at: self.started.rfc3339(),
            bench: Some(BenchSummary {
                sustainable_records_per_s: held.map(|t| t.rate_per_s),
                searched: self.searched.iter().map(trial).collect(),
                repeated: self.repeated.iter().map(trial).collect(),
            }),
            ..RunResult::default()
        }
    }

    fn reproduce(&self) -> String {
        let BenchScenario { name, repetitions, database, .. } = self.scenario;
        // The address may hold a password.
        let database = if database.is_some() { " --database URL" } else { "" };
        format!(
            "stormproof bench benches/scenarios/{name}.toml --repetitions {repetitions}{database}"
        )
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let (valid, all) = (self.valid(), self.repeated.len());
        let held = self.repeated.iter().filter(|t| t.is_sustainable()).count();
        if self.repeated.is_empty() {
            notes.push("No rate of the search's range was sustained.".to_owned());
        } else if !self.is_held() {
            notes.push(format!(
                "The lowest rate that was repeated held in {held} of {valid} repetitions only: \
                 nothing is called sustainable. The machine may have been busy."
            ));
        } else if held < valid {
            notes.push(format!(
                "The rate was sustained in {held} of {valid} repetitions: it is at the edge, or the \
                 machine was busy."
            ));
        }
        if valid < all {
            notes.push(format!("In {} of {all} repetitions the load slipped.", all - valid));
        }
        if valid < ENOUGH {
            notes.push(format!("Of fewer than {ENOUGH} repetitions the spread says little."));
        }
        if let Some(rate) = self.limit_of_load() {
            notes.push(format!(
                "A lower bound: the load generator could not make {rate} records/s, the pipeline may \
                 sustain more."
            ));
        }
        if self.scenario.pipeline.writes_sql() {
            notes.push(
                "Latency ends when a sink subtask takes the record, before its batch is written."
                    .to_owned(),
            );
        }
        notes.extend(self.searched.iter().filter_map(TrialOutcome::invalid));
        notes
    }
}

/// Repetitions from which on a spread is worth looking at.
const ENOUGH: usize = 5;

fn after_warm_up(trial: &TrialOutcome) -> impl Iterator<Item = &Look> {
    let during = trial.looks.iter().filter(|look| look.t_s < trial.load_s);
    during.skip(trial.warm_up)
}

fn merged<'i>(intervals: impl Iterator<Item = &'i Interval>) -> Interval {
    let mut all = Interval::new();
    for interval in intervals {
        // Both have the same bounds.
        let added: Result<(), _> = all.latency.add(&interval.latency);
        debug_assert!(added.is_ok());
        all.negative += interval.negative;
    }
    all
}

fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    Quantiles {
        p50_us: histogram.value_at_quantile(0.5),
        p90_us: histogram.value_at_quantile(0.9),
        p99_us: histogram.value_at_quantile(0.99),
        p999_us: histogram.value_at_quantile(0.999),
        max_us: histogram.max(),
    }
}

/// Only from the intended time: the load of a bench knows no other.
fn latency_of<'i>(intervals: impl Iterator<Item = &'i Interval>) -> Option<Latency> {
    let all = merged(intervals);
    let intended = quantiles(&all.latency);
    (!all.latency.is_empty()).then(|| Latency {
        intended,
        samples: all.latency.len(),
        negative: all.negative,
        ..Latency::default()
    })
}

fn trial(outcome: &TrialOutcome) -> BenchTrial {
    let all = merged(after_warm_up(outcome).map(|look| &look.interval));
    BenchTrial {
        rate_per_s: outcome.rate_per_s,
        sustainable: outcome.is_sustainable(),
        invalid: outcome.invalid(),
        lag_slope_per_s: outcome.lag_slope.map(|slope| slope.value),
        lag_slope_half_width: outcome.lag_slope.map(|slope| slope.half_width),
        drained_s: outcome.drained_s,
        warm_up_s: outcome.looks.get(outcome.warm_up).map_or(0.0, |look| look.t_s),
        latency: quantiles(&all.latency),
    }
}

fn timeline(outcome: &TrialOutcome) -> Vec<Sample> {
    let ms = |us: u64| us as f64 / 1000.0;
    let mut before = (0.0, 0, 0);
    let sample = |look: &Look| {
        let seconds: f64 = look.t_s - before.0;
        let per_s = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let (rate_in, rate_out) = (per_s(look.due, before.1), per_s(look.confirmed, before.2));
        before = (look.t_s, look.due, look.confirmed);
        let latency = &look.interval.latency;
        let at = |q: f64| (!latency.is_empty()).then(|| ms(latency.value_at_quantile(q)));
        Sample {
            t_s: look.t_s,
            produced: look.due,
            emitted: look.confirmed,
            effects: look.confirmed,
            lag_records: look.due as i64 - look.confirmed as i64,
            rate_in_per_s: rate_in,
            rate_out_per_s: rate_out,
            latency_p50_ms: at(0.5),
            latency_p99_ms: at(0.99),
            ..Sample::default()
        }
    };
    outcome.looks.iter().map(sample).collect()
}

fn checkpoints(outcome: &TrialOutcome) -> Vec<CheckpointSummary> {
    let seconds = |t_us: u64| (t_us as f64 - outcome.began_us as f64) / 1e6;
    let ms = |us: u64| us as f64 / 1000.0;
    let summary = |id: u64, attempt: u32, t_us: u64, stats: &CheckpointStats| CheckpointSummary {
        id,
        attempt,
        status: CheckpointStatus::Completed,
        triggered_s: seconds(t_us) - stats.duration_us as f64 / 1e6,
        completed_s: Some(seconds(t_us)),
        start_delay_ms: Some(ms(stats.start_delay_us)),
        alignment_ms: ms(stats.alignment_us),
        sync_ms: ms(stats.sync_us),
        async_ms: ms(stats.async_us),
        state_bytes: stats.state_bytes,
        in_flight_bytes: stats.in_flight_bytes,
        aborted_because: None,
    };
    let completed = outcome.events.iter().filter_map(|timed| match &timed.event {
        JobEvent::CheckpointCompleted { checkpoint, attempt, stats } => {
            Some(summary(checkpoint.0, attempt.0, timed.t_us, stats))
        }
        _ => None,
    });
    completed.collect()
}

/// The parts of the recovery from the kill; absent when it did not land.
fn recovery(outcome: &TrialOutcome) -> Option<Recovery> {
    let killed_us = outcome.killed_us?;
    let at = |wanted: fn(&JobEvent) -> bool| {
        let after = |t: &&stormproof_engine::runtime::TimedEvent| t.t_us >= killed_us;
        outcome.events.iter().filter(after).find(|t| wanted(&t.event)).map(|t| t.t_us)
    };
    let failed = at(|e| matches!(e, JobEvent::AttemptFailed { .. }))?;
    let started = at(|e| matches!(e, JobEvent::AttemptStarted { .. }))?;
    let running = at(|e| matches!(e, JobEvent::AttemptRunning { .. }))?;
    let ms = |from: u64, to: u64| Some(to.saturating_sub(from) as f64 / 1000.0);
    let look_us = |look: &Look| outcome.began_us + (look.t_s * 1e6) as u64;
    let later = || outcome.looks.iter().filter(|look| look_us(look) > running);
    let first = later().find(|look| look.confirmed > 0).map(look_us)?;
    let before = outcome.looks.iter().filter(|look| look_us(look) < killed_us);
    let usual = before.map(|l| l.interval.latency.value_at_quantile(0.5)).max().unwrap_or(0);
    let back = later().find(|look| {
        let latency = &look.interval.latency;
        look_us(look) > first && !latency.is_empty() && latency.value_at_quantile(0.5) <= usual
    });
    Some(Recovery {
        attempt: 2,
        fault: Some("kill of a subtask at snapshot_async".to_owned()),
        struck_s: Some((killed_us as f64 - outcome.began_us as f64) / 1e6),
        detect_ms: ms(killed_us, failed),
        restart_ms: ms(failed, started),
        restore_ms: ms(started, running),
        first_output_ms: ms(running, first),
        drained_ms: back.and_then(|look| ms(first, look_us(look))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Slope;

    fn of(rate_per_s: u64, drained: bool, slip_ms: u64) -> TrialOutcome {
        TrialOutcome {
            rate_per_s,
            load_s: 1.0,
            looks: Vec::new(),
            warm_up: 0,
            lag_slope: Some(Slope { value: 0.0, half_width: 1.0 }),
            drained_s: drained.then_some(0.1),
            slip_us: Some(slip_ms * 1_000),
            events: Vec::new(),
            began_us: 0,
            killed_us: None,
        }
    }

    fn account(scenario: &BenchScenario) -> Account<'_> {
        Account::new(scenario, Utc::now())
    }

    fn scenario() -> BenchScenario {
        let text = "name = 'x'\npipeline = 'engine'\nsearch_from_per_s = 1\nsearch_to_per_s = 9\n";
        BenchScenario::parse(text, "x.toml").expect("it is valid")
    }

    #[test]
    fn a_rate_that_most_valid_repetitions_did_not_hold_is_not_sustainable() {
        let scenario = scenario();
        let mut account = account(&scenario);
        account.repeated = vec![of(5, true, 0), of(5, false, 0), of(5, true, 5_000)];
        assert_eq!((account.valid(), account.is_held()), (2, false));
        assert_eq!(account.settle().bench.unwrap().sustainable_records_per_s, None);
        account.repeated.push(of(5, true, 0));
        let result = account.settle();
        assert_eq!(result.bench.unwrap().sustainable_records_per_s, Some(5));
        let says = |what: &str| result.notes.iter().any(|note| note.contains(what));
        assert!(says("2 of 3 repetitions") && says("In 1 of 4"), "{:?}", result.notes);
        assert!(says("fewer than 5"), "{:?}", result.notes);
    }

    #[test]
    fn a_load_that_cannot_be_made_is_no_limit_of_the_pipeline() {
        let scenario = scenario();
        let mut account = account(&scenario);
        account.repeated = vec![of(5, true, 0)];
        account.searched = vec![of(5, true, 0), of(9, false, 0), of(7, false, 4_000)];
        assert_eq!(account.limit_of_load(), Some(7));
        account.searched.push(of(6, false, 0));
        assert_eq!(account.limit_of_load(), None);
    }
}
