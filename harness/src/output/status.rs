//! What a run is doing right now, as text: one plain line, or the rows of the live screen. Pure.
//!
//! Invariant: a row fits 80 columns up to a billion records, and what matters most is at its left.

/// Levels of a spark line, from nothing to the highest.
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What a run is doing right now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The phase.
    pub phase: &'static str,
    /// How much of the phase is done, 0 to 1; `None` when nobody knows.
    pub done: Option<f64>,
    /// Records produced.
    pub produced: u64,
    /// Effects in the database.
    pub effects: u64,
    /// Records produced per second.
    pub rate_in_per_s: f64,
    /// Effects per second.
    pub rate_out_per_s: f64,
    /// Produced minus effects: below the true lag by the duplicates, which nobody knows yet.
    pub true_lag_records: i64,
    /// Produced minus committed.
    pub lag_records: i64,
    /// Completed checkpoints.
    pub checkpoints: u64,
    /// Seconds since the last one completed; `None` = none yet.
    pub checkpoint_age_s: Option<f64>,
    /// Execution attempts.
    pub attempts: u64,
    /// Faults landed.
    pub landed: u64,
    /// Of them, between a barrier's injection and its notification.
    pub mid_checkpoint: u64,
    /// Faults that did not land.
    pub missed: u64,
    /// Faults in the schedule.
    pub scheduled: u64,
    /// Ends of the engine process that nobody planned.
    pub unplanned: u64,
}

impl Status {
    /// The status on one line.
    pub fn line(&self) -> String {
        format!(
            "in {:>7.0}/s  out {:>7.0}/s  lag {:>8}  checkpoints {:>3}  faults {}/{}",
            self.rate_in_per_s,
            self.rate_out_per_s,
            self.lag_records,
            self.checkpoints,
            self.landed,
            self.scheduled
        )
    }

    /// Name and text of each row of the live screen; `history` is the lag so far, oldest first.
    pub fn rows(&self, history: &[f64]) -> [(&'static str, String); 5] {
        let rate = format!(
            "in {}/s   out {}/s   {} effects",
            grouped(self.rate_in_per_s as u64),
            grouped(self.rate_out_per_s as u64),
            grouped(self.effects)
        );
        let lag = format!(
            "true at least {}   committed {}   {}",
            grouped(self.true_lag_records.max(0) as u64),
            grouped(self.lag_records.max(0) as u64),
            sparks(history, 24)
        );
        let age = match self.checkpoint_age_s {
            Some(age_s) => format!("the last one {age_s:.1} s ago"),
            None => "none yet".to_owned(),
        };
        let checkpoints = format!("{} completed, {age}", grouped(self.checkpoints));
        let faults = format!(
            "{}/{} landed, {} mid-checkpoint, {} missed   attempt {}",
            self.landed, self.scheduled, self.mid_checkpoint, self.missed, self.attempts
        );
        [
            ("rate", rate),
            ("lag", lag),
            ("checkpoints", checkpoints),
            ("faults", faults),
            ("verdict", self.so_far()),
        ]
    }

    /// What can be said of the verdict before anything was judged.
    pub fn so_far(&self) -> String {
        match (self.unplanned, self.missed) {
            (0, 0) => "open: judged at the end; nothing speaks against a proof yet".to_owned(),
            (0, 1) => "unknown at best: a fault did not land".to_owned(),
            (0, missed) => format!("unknown at best: {missed} faults did not land"),
            (_, _) => "unknown at best: the engine ended, and nobody had planned it".to_owned(),
        }
    }
}

/// With separators of thousands.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The last `count` values, relative to the highest of them.
fn sparks(values: &[f64], count: usize) -> String {
    let values = &values[values.len().saturating_sub(count)..];
    let highest = values.iter().copied().fold(0.0, f64::max);
    let level = |value: &f64| {
        let share = if highest > 0.0 { (value / highest).clamp(0.0, 1.0) } else { 0.0 };
        SPARKS[(share * (SPARKS.len() - 1) as f64).round() as usize]
    };
    values.iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> Status {
        Status {
            phase: "load",
            rate_in_per_s: 40_123.4,
            rate_out_per_s: 1_234_567.0,
            effects: 987_654_321,
            true_lag_records: -12,
            lag_records: 40_960,
            checkpoints: 1234,
            checkpoint_age_s: Some(0.34),
            attempts: 7,
            landed: 5,
            mid_checkpoint: 4,
            scheduled: 12,
            ..Status::default()
        }
    }

    #[test]
    fn rows_fit_and_say_what_matters() {
        let history: Vec<f64> = (0..100).map(f64::from).collect();
        let rows = busy().rows(&history);
        assert!(rows.iter().all(|(_, text)| text.chars().count() <= 66), "{rows:?}");
        let text = rows.iter().map(|(name, text)| format!("{name} {text}\n")).collect::<String>();
        for part in [
            "rate in 40,123/s   out 1,234,567/s   987,654,321 effects",
            "lag true at least 0   committed 40,960   ▆▆",
            "checkpoints 1,234 completed, the last one 0.3 s ago",
            "faults 5/12 landed, 4 mid-checkpoint, 0 missed   attempt 7",
            "verdict open: ",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_rules_a_proof_out_is_said_before_the_end() {
        let so_far = |unplanned, missed| Status { unplanned, missed, ..busy() }.so_far();
        assert!(so_far(0, 1).contains("a fault did not land"));
        assert!(so_far(0, 3).contains("3 faults"));
        assert!(so_far(1, 3).contains("nobody had planned"));
    }

    #[test]
    fn a_spark_line_is_relative_to_its_own_highest() {
        assert_eq!(sparks(&[0.0, 5.0, 10.0], 24), "▁▅█");
        assert_eq!(sparks(&[0.0, 0.0], 24), "▁▁");
        assert_eq!(sparks(&[9.0, 0.0, 1.0], 2), "▁█");
        assert_eq!(sparks(&[], 24), "");
    }
}
