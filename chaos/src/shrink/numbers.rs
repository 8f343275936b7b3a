//! Smaller numbers: each is bisected between its least value and where it stands.
//!
//! Failing is not monotonous in a number, so what is found is a local least; the caller repeats
//! the moves until none helps.

use super::{Search, Shrinkable};

pub(super) fn smaller<P: Shrinkable>(search: &mut Search<'_, P>) {
    let names: Vec<&str> = search.best.knobs().iter().map(|knob| knob.name).collect();
    for name in names {
        let find = |plan: &P| plan.knobs().into_iter().find(|knob| knob.name == name);
        let Some(knob) = find(&search.best) else { continue };
        if knob.value <= knob.least || search.take(search.best.with(&knob, knob.least)) {
            continue;
        }
        // Too small at `low`, fails at `high`.
        let (mut low, mut high) = (knob.least, knob.value);
        while high - low > 1 && !(search.is_over)() {
            let middle = low + (high - low) / 2;
            let plan = search.best.with(&knob, middle);
            if search.take(plan) {
                high = middle;
            } else {
                low = middle;
            }
        }
    }
}
