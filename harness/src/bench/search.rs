//! The search for the highest sustainable rate: doubling, then bisection. Pure.
//!
//! Invariant: what it calls sustainable was told to be; it ends after a bounded number of trials.

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Try this rate.
    Try(u64),
    /// It is over.
    Done,
}

/// The state of a search.
#[derive(Clone, Debug)]
pub(super) struct Search {
    next: u64,
    highest: u64,
    precision_percent: u64,
    sustained: Option<u64>,
    failed: Option<u64>,
}

impl Search {
    /// From `lowest` records/s up to `highest`, until both sides are within so many percent.
    pub(super) fn new(lowest: u64, highest: u64, precision_percent: u64) -> Self {
        assert!(0 < lowest && lowest <= highest, "a search has a range");
        let precision_percent = precision_percent.max(1);
        Self { next: lowest, highest, precision_percent, sustained: None, failed: None }
    }

    pub(super) fn next(&self) -> Step {
        let is_done = match (self.sustained, self.failed) {
            (Some(low), Some(high)) => (high - low) * 100 <= high * self.precision_percent,
            (Some(low), None) => low == self.highest,
            (None, Some(high)) => high <= 1,
            (None, None) => false,
        };
        if is_done { Step::Done } else { Step::Try(self.next) }
    }

    /// How the trial at the rate that was asked for ended.
    pub(super) fn told(&mut self, is_sustainable: bool) {
        let side = if is_sustainable { &mut self.sustained } else { &mut self.failed };
        *side = Some(self.next);
        self.next = match (self.sustained, self.failed) {
            (Some(low), Some(high)) => u64::midpoint(low, high),
            (Some(low), None) => low.saturating_mul(2).min(self.highest),
            (None, Some(high)) => (high / 2).max(1),
            (None, None) => self.next,
        };
    }

    /// The highest rate that was sustained.
    pub(super) fn sustainable(&self) -> Option<u64> {
        self.sustained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(limit: u64, from: u64, to: u64) -> (Option<u64>, u32) {
        let mut search = Search::new(from, to, 5);
        let mut trials = 0;
        while let Step::Try(rate) = search.next() {
            search.told(rate <= limit);
            trials += 1;
            assert!(trials < 100, "it ends");
        }
        (search.sustainable(), trials)
    }

    #[test]
    fn finds_the_limit_from_either_side() {
        for from in [10, 1_000, 500_000] {
            let (found, trials) = find(77_000, from, 1_000_000);
            let found = found.expect("there is one");
            assert!((73_000..=77_000).contains(&found), "from {from}: {found}");
            assert!(trials < 25, "{trials} trials");
        }
    }

    #[test]
    fn stops_at_the_end_of_its_range_and_at_nothing() {
        assert_eq!(find(u64::MAX, 10, 1_000).0, Some(1_000));
        assert_eq!(find(0, 10, 1_000).0, None);
    }
}
