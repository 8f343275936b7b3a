//! Fewer faults: delta debugging (Zeller and Hildebrandt 2002, `ddmin`).
//!
//! The list is cut into parts; if one part alone fails, it is taken, or else the list without one
//! part; if neither fails, the parts become smaller, down to single faults.

use super::{Search, Shrinkable};

pub(super) fn fewer_faults<P: Shrinkable>(search: &mut Search<'_, P>) {
    let mut parts = 2;
    // Often none is needed: the bug shows without a storm.
    if search.best.faults() > 0 && search.take(search.best.keeping(&[])) {
        return;
    }
    while search.best.faults() > 1 && !(search.is_over)() {
        let faults = search.best.faults();
        parts = parts.min(faults);
        let bounds: Vec<_> =
            (0..parts).map(|n| n * faults / parts..(n + 1) * faults / parts).collect();
        let alone = bounds.iter().any(|part| {
            let places: Vec<usize> = part.clone().collect();
            search.take(search.best.keeping(&places))
        });
        if alone {
            parts = 2;
            continue;
        }
        let without = parts > 2
            && bounds.iter().any(|part| {
                let places: Vec<usize> = (0..faults).filter(|at| !part.contains(at)).collect();
                search.take(search.best.keeping(&places))
            });
        match (without, parts >= faults) {
            (true, _) => parts = (parts - 1).max(2),
            (false, false) => parts = (parts * 2).min(faults),
            (false, true) => return,
        }
    }
}
