//! Shrinking: of a schedule that fails, the least that still fails.
//!
//! Three moves, repeated until none helps or the time is up: fewer faults (delta debugging over
//! the list), simpler settings (one at a time), smaller numbers (bisection of each). A move is
//! kept only when the smaller plan still fails, so whatever the moves do, the outcome fails, too.
//!
//! It knows neither simulations nor oracles: what a plan is, [`Shrinkable`] says, and whether it
//! fails, the caller. It has no clock either: the caller says when the time is up.

mod delta;
mod numbers;

/// A number of a plan that may become smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knob {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub value: u64,
    /// As small as it may become.
    pub least: u64,
}

/// A plan that can be made smaller.
pub trait Shrinkable: Clone {
    /// How many faults it has.
    fn faults(&self) -> usize;

    /// The plan with the faults at these places only; `places` is ascending.
    #[must_use]
    fn keeping(&self, places: &[usize]) -> Self;

    /// The numbers that may become smaller, the most telling first.
    fn knobs(&self) -> Vec<Knob>;

    /// The plan with one number changed.
    #[must_use]
    fn with(&self, knob: &Knob, value: u64) -> Self;

    /// Plans that are simpler in one setting each. None is an answer.
    fn simpler(&self) -> Vec<Self>;
}

/// What shrinking has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk<P> {
    /// The smallest plan that was seen to fail.
    pub plan: P,
    /// How many plans were tried.
    pub tries: u64,
    /// How many of them failed and were taken.
    pub taken: u64,
    /// Whether no move helped any more; otherwise the time was up.
    pub is_least: bool,
}

/// Tries plans and remembers the smallest that fails.
struct Search<'a, P> {
    best: P,
    fails: &'a mut dyn FnMut(&P) -> bool,
    is_over: &'a dyn Fn() -> bool,
    tries: u64,
    taken: u64,
}

impl<P: Shrinkable> Search<'_, P> {
    /// Takes `plan` if it fails; `false` as well when the time is up.
    fn take(&mut self, plan: P) -> bool {
        if (self.is_over)() {
            return false;
        }
        self.tries += 1;
        let fails = (self.fails)(&plan);
        if fails {
            self.taken += 1;
            self.best = plan;
        }
        fails
    }

    fn simplify(&mut self) {
        let mut at = 0;
        while let Some(simpler) = self.best.simpler().into_iter().nth(at) {
            // What was taken is gone from the list: the next one has its place.
            at += usize::from(!self.take(simpler));
            if (self.is_over)() {
                return;
            }
        }
    }
}

/// Shrinks `plan`, which is known to fail. `fails` says whether a plan does; `is_over` when to stop.
pub fn shrink<P: Shrinkable>(
    plan: P,
    mut fails: impl FnMut(&P) -> bool,
    is_over: impl Fn() -> bool,
) -> Shrunk<P> {
    let mut search =
        Search { best: plan, fails: &mut fails, is_over: &is_over, tries: 0, taken: 0 };
    let mut is_least = false;
    while !is_least && !is_over() {
        let before = search.taken;
        delta::fewer_faults(&mut search);
        search.simplify();
        numbers::smaller(&mut search);
        is_least = search.taken == before && !is_over();
    }
    let Search { best, tries, taken, .. } = search;
    Shrunk { plan: best, tries, taken, is_least }
}
