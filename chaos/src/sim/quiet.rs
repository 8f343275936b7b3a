//! Panics inside a simulated engine are caught and judged; they print nothing.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static IS_SIMULATING: Cell<bool> = const { Cell::new(false) };
}

static INSTALLED: Once = Once::new();

/// Runs `work` with this thread's panics unannounced.
pub(super) fn while_simulating<T>(work: impl FnOnce() -> T) -> T {
    INSTALLED.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_SIMULATING.get() {
                usual(panic);
            }
        }));
    });
    let before = IS_SIMULATING.replace(true);
    let guard = Restore(before);
    let outcome = work();
    drop(guard);
    outcome
}

struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        IS_SIMULATING.set(self.0);
    }
}
