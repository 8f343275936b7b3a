//! The logs of the services that the environment owns, kept in the run's folder.

use std::sync::Arc;

use super::RunFolder;
use crate::environment::Service;
use crate::output::Console;

/// Services whose logs are kept when this program panics. Dropped before the services go.
pub(super) struct AfterPanic<'a> {
    services: Vec<Arc<Service>>,
    folder: &'a RunFolder,
}

impl<'a> AfterPanic<'a> {
    pub(super) fn new(services: Vec<Arc<Service>>, folder: &'a RunFolder) -> Self {
        Self { services, folder }
    }
}

impl Drop for AfterPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for service in &self.services {
                // The panic is told; a log that cannot be kept is not worth a second one.
                let _ = service.save_log(self.folder.path());
            }
        }
    }
}

/// Keeps them, and tells what the services complain of.
pub(super) fn keep(services: &[Arc<Service>], folder: &RunFolder, console: Console) {
    for service in services {
        match service.save_log(folder.path()) {
            Ok(log) => {
                if let Some(complaints) = log.complaints() {
                    console.remark(&complaints);
                }
            }
            Err(error) => console.error(&error),
        }
    }
}
