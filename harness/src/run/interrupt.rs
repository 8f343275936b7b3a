//! Ctrl-C and its relatives: the first one asks the run to end cleanly, the second one ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Result, environment};

/// Whether somebody wants the run to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens to SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    /// When the process cannot listen to signals.
    pub fn listen() -> Result<Self> {
        let refuse = |error: std::io::Error| {
            environment(format!("cannot listen to signals: {error}"))
                .remedy("check the limits on threads and file descriptors (ulimit -a)")
        };
        let interrupt = Self::default();
        let flag = Arc::clone(&interrupt.0);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refuse)?;
        let (mut int, mut term, mut hup) = {
            let _inside = runtime.enter();
            (
                signal(SignalKind::interrupt()).map_err(refuse)?,
                signal(SignalKind::terminate()).map_err(refuse)?,
                signal(SignalKind::hangup()).map_err(refuse)?,
            )
        };
        let listen = async move {
            loop {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                    _ = hup.recv() => {}
                }
                if flag.swap(true, Ordering::SeqCst) {
                    break;
                }
            }
        };
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                runtime.block_on(listen);
                // Engine and service processes die with their parent; the rest is told here, out
                // of the runtime: containers are removed by one of their own.
                crate::environment::leftovers::sweep_own_and_exit(2)
            })
            .map_err(refuse)?;
        Ok(interrupt)
    }

    /// Whether the run should end.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Asks the run to end.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
