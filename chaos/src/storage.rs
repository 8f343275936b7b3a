//! A checkpoint storage whose disk can be full or slow for a while.
//!
//! Invariants: outside of that while every call goes through unchanged; a write that is refused
//! leaves nothing behind, as a full disk leaves nothing of a file that is written beside its place;
//! what was refused or delayed is counted, for a fault counts by its effect.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stormproof_engine::error::{EngineError, Result};
use stormproof_engine::seam::{SnapshotStorage, Ticket};

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskTrouble {
    /// Writes fail.
    Full,
    /// Writes take so many milliseconds longer.
    Slow(u64),
}

/// The switch of a [`TroubledStorage`].
#[derive(Clone, Debug, Default)]
pub struct DiskSwitch(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    trouble: Mutex<Option<(DiskTrouble, Instant)>>,
    struck: AtomicU64,
}

impl DiskSwitch {
    /// Trouble from now on, for so long.
    pub fn strike(&self, trouble: DiskTrouble, lasts: Duration) {
        let until = now() + lasts;
        *self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some((trouble, until));
    }

    /// Writes that were refused or delayed so far.
    pub fn struck(&self) -> u64 {
        self.0.struck.load(Ordering::SeqCst)
    }

    /// What a write meets now; counted.
    fn meet(&self) -> Option<DiskTrouble> {
        let mut trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let (met, until) = (*trouble)?;
        if now() >= until {
            *trouble = None;
            return None;
        }
        self.0.struck.fetch_add(1, Ordering::SeqCst);
        Some(met)
    }
}

#[allow(clippy::disallowed_methods, reason = "a fault of the disk lasts in real time")]
fn now() -> Instant {
    Instant::now()
}

/// The storage behind the switch.
#[derive(Debug)]
pub struct TroubledStorage<S> {
    inner: Arc<S>,
    switch: DiskSwitch,
}

impl<S: SnapshotStorage + 'static> TroubledStorage<S> {
    /// `inner`, with trouble when `switch` says so.
    pub fn new(inner: S, switch: DiskSwitch) -> Self {
        Self { inner: Arc::new(inner), switch }
    }

    fn write<T: Send + 'static>(
        &self,
        path: &str,
        put: impl FnOnce(&S) -> Ticket<Result<T>> + Send + 'static,
    ) -> Ticket<Result<T>> {
        match self.switch.meet() {
            None => put(&self.inner),
            Some(DiskTrouble::Full) => Ticket::ready(Err(EngineError::service(
                "checkpoint storage",
                format!(
                    "could not write {path} in {}: No space left on device (os error 28, \
                     injected); make room there",
                    self.inner.describe()
                ),
            ))),
            Some(DiskTrouble::Slow(ms)) => later(Arc::clone(&self.inner), ms, put),
        }
    }
}

/// Writes after `ms`, on a thread of its own.
#[allow(clippy::disallowed_methods, reason = "a slow disk is slow in real time")]
fn later<S: SnapshotStorage + 'static, T: Send + 'static>(
    inner: Arc<S>,
    ms: u64,
    put: impl FnOnce(&S) -> Ticket<Result<T>> + Send + 'static,
) -> Ticket<Result<T>> {
    let (sender, ticket) = Ticket::pair();
    // Without a thread the ticket is orphaned, and the write has failed.
    let _ = std::thread::Builder::new().name("slow-disk".to_owned()).spawn(move || {
        std::thread::sleep(Duration::from_millis(ms));
        let written = put(&inner);
        loop {
            if let Some(outcome) = written.try_take() {
                return sender.fulfil(outcome);
            }
            if written.is_orphaned() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    ticket
}

impl<S: SnapshotStorage + 'static> SnapshotStorage for TroubledStorage<S> {
    fn put(&self, path: &str, data: bytes::Bytes) -> Ticket<Result<()>> {
        let to = path.to_owned();
        self.write(path, move |inner| inner.put(&to, data))
    }

    fn put_new(&self, path: &str, data: bytes::Bytes) -> Ticket<Result<bool>> {
        let to = path.to_owned();
        self.write(path, move |inner| inner.put_new(&to, data))
    }

    fn read(&self, path: &str) -> Result<Option<bytes::Bytes>> {
        self.inner.read(path)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.inner.list(prefix)
    }

    fn delete(&self, paths: Vec<String>) -> Ticket<Result<()>> {
        self.inner.delete(paths)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a fault of the disk lasts in real time")]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::collections::BTreeMap;

    #[derive(Debug, Default)]
    struct Memory(Mutex<BTreeMap<String, Bytes>>);

    impl SnapshotStorage for Memory {
        fn put(&self, path: &str, data: Bytes) -> Ticket<Result<()>> {
            self.0.lock().unwrap().insert(path.to_owned(), data);
            Ticket::ready(Ok(()))
        }
        fn put_new(&self, path: &str, data: Bytes) -> Ticket<Result<bool>> {
            Ticket::ready(Ok(self.0.lock().unwrap().insert(path.to_owned(), data).is_none()))
        }
        fn read(&self, path: &str) -> Result<Option<Bytes>> {
            Ok(self.0.lock().unwrap().get(path).cloned())
        }
        fn list(&self, _prefix: &str) -> Result<Vec<String>> {
            Ok(self.0.lock().unwrap().keys().cloned().collect())
        }
        fn delete(&self, paths: Vec<String>) -> Ticket<Result<()>> {
            self.0.lock().unwrap().retain(|path, _| !paths.contains(path));
            Ticket::ready(Ok(()))
        }
        fn describe(&self) -> String {
            "memory".to_owned()
        }
    }

    #[test]
    fn a_full_disk_refuses_writes_leaves_nothing_and_has_room_again() {
        let switch = DiskSwitch::default();
        let storage = TroubledStorage::new(Memory::default(), switch.clone());
        switch.strike(DiskTrouble::Full, Duration::from_millis(60));
        let refused = storage.put("a", Bytes::from_static(b"1")).try_take().unwrap().unwrap_err();
        assert!(refused.to_string().contains("No space left"), "{refused}");
        assert!(refused.is_retryable());
        assert_eq!(storage.read("a").unwrap(), None);
        std::thread::sleep(Duration::from_millis(80));
        storage.put("a", Bytes::from_static(b"2")).try_take().unwrap().unwrap();
        assert_eq!(switch.struck(), 1);
    }

    #[test]
    fn a_slow_disk_writes_later_and_loses_nothing() {
        let switch = DiskSwitch::default();
        let storage = TroubledStorage::new(Memory::default(), switch.clone());
        switch.strike(DiskTrouble::Slow(50), Duration::from_secs(5));
        let ticket = storage.put_new("b", Bytes::from_static(b"3"));
        assert!(ticket.try_take().is_none() && storage.read("b").unwrap().is_none());
        let begun = now();
        let outcome = loop {
            if let Some(outcome) = ticket.try_take() {
                break outcome;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "it never came");
            std::thread::sleep(Duration::from_millis(2));
        };
        assert!(outcome.unwrap() && begun.elapsed() >= Duration::from_millis(40));
        assert_eq!(storage.read("b").unwrap().as_deref(), Some(&b"3"[..]));
    }
}
