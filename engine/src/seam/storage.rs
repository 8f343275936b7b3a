//! Where snapshots go: a small object interface, asynchronous through tickets.
//!
//! Invariant: a put is atomic and durable when its ticket says so; readers never see half a file.

use std::fmt::Debug;
use std::io::Write as _;
use std::path::Path as FsPath;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use tokio::runtime::Handle;

use super::Ticket;
use crate::error::{EngineError, Result};

/// The storage of checkpoints. Paths are relative, with `/`.
pub trait SnapshotStorage: Send + Sync + Debug {
    /// Writes an object, replacing an older one. Atomic, durable.
    fn put(&self, path: &str, data: Bytes) -> Ticket<Result<()>>;
    /// Writes an object that must not exist yet; `Ok(false)` when it does.
    fn put_new(&self, path: &str, data: Bytes) -> Ticket<Result<bool>>;
    /// Reads an object whole; `None` when there is none. Used at restore, where nothing else runs:
    /// may block. An error says nothing about the object: whoever asked has to ask again.
    fn read(&self, path: &str) -> Result<Option<Bytes>>;
    /// Every path under `prefix`. May block.
    fn list(&self, prefix: &str) -> Result<Vec<String>>;
    /// Deletes objects one after the other, in this order, up to the first that cannot be; a
    /// missing one is fine.
    fn delete(&self, paths: Vec<String>) -> Ticket<Result<()>>;
    /// Where this is, for messages.
    fn describe(&self) -> String;
}

/// The same over any `object_store`: local disk, memory, and whatever else the crate speaks.
#[derive(Debug, Clone)]
pub struct ObjectStorage {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    place: String,
}

impl ObjectStorage {
    /// A folder of this machine. Files are written beside their place, synced and renamed. What
    /// a killed process had not renamed yet is swept away.
    ///
    /// # Errors
    /// When the folder cannot be created or written.
    pub fn folder(folder: &FsPath, runtime: Handle) -> Result<Self> {
        let refuse = |e: &dyn std::fmt::Display| {
            EngineError::Config(format!(
                "checkpoint folder {}: {e}; choose a folder that can be written",
                folder.display()
            ))
        };
        std::fs::create_dir_all(folder).map_err(|e| refuse(&e))?;
        let probe = folder.join(".writable");
        std::fs::File::create(&probe)
            .and_then(|mut file| file.write_all(b"ok"))
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|e| refuse(&e))?;
        sweep(folder).map_err(|e| refuse(&e))?;
        let store = object_store::local::LocalFileSystem::new_with_prefix(folder)
            .map_err(|e| refuse(&e))?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store), runtime, place: folder.display().to_string() })
    }

    /// Any other object store.
    pub fn new(store: Arc<dyn ObjectStore>, runtime: Handle, place: String) -> Self {
        Self { store, runtime, place }
    }

    fn failure(&self, verb: &str, path: &str, error: &object_store::Error) -> EngineError {
        EngineError::service(
            "checkpoint storage",
            format!("could not {verb} {path} in {}: {error}", self.place),
        )
    }

    fn put_with(&self, path: &str, data: Bytes, mode: PutMode) -> Ticket<Result<bool>> {
        let (sender, ticket) = Ticket::pair();
        let this = self.clone();
        let path = path.to_owned();
        self.runtime.spawn(async move {
            let options = PutOptions { mode, ..PutOptions::default() };
            let put = this.store.put_opts(&Path::from(path.as_str()), data.into(), options).await;
            sender.fulfil(match put {
                Ok(_) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
                Err(error) => Err(this.failure("write", &path, &error)),
            });
        });
        ticket
    }

    /// Runs a future to its end from a thread that is not the runtime's own.
    fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.runtime.block_on(work)
    }
}

impl SnapshotStorage for ObjectStorage {
    fn put(&self, path: &str, data: Bytes) -> Ticket<Result<()>> {
        let (sender, ticket) = Ticket::pair();
        let this = self.clone();
        let path = path.to_owned();
        self.runtime.spawn(async move {
            let put = this.store.put(&Path::from(path.as_str()), data.into()).await;
            sender.fulfil(put.map(|_| ()).map_err(|e| this.failure("write", &path, &e)));
        });
        ticket
    }

    fn put_new(&self, path: &str, data: Bytes) -> Ticket<Result<bool>> {
        self.put_with(path, data, PutMode::Create)
    }

    fn read(&self, path: &str) -> Result<Option<Bytes>> {
        let (store, at) = (Arc::clone(&self.store), Path::from(path));
        match self.wait(async move { store.get(&at).await?.bytes().await }) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failure("read", path, &error)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let (store, at) = (Arc::clone(&self.store), Path::from(prefix));
        let listing = self.wait(async move {
            store.list(Some(&at)).map_ok(|meta| meta.location.to_string()).try_collect().await
        });
        let mut paths: Vec<String> = listing.map_err(|e| self.failure("list", prefix, &e))?;
        paths.sort_unstable();
        Ok(paths)
    }

    fn delete(&self, paths: Vec<String>) -> Ticket<Result<()>> {
        let (sender, ticket) = Ticket::pair();
        let this = self.clone();
        self.runtime.spawn(async move {
            for path in paths {
                match this.store.delete(&Path::from(path.as_str())).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => {
                        return sender.fulfil(Err(this.failure("delete", &path, &error)));
                    }
                }
            }
            sender.fulfil(Ok(()));
        });
        ticket
    }

    fn describe(&self) -> String {
        self.place.clone()
    }
}

/// Removes half-written files: `name#number`, as the crate calls them until they are renamed. It
/// never lists them, so nobody else would. A process that was taken for dead and is not finds its
/// file gone, and its write fails.
fn sweep(folder: &FsPath) -> std::io::Result<()> {
    let is_staged = |name: &str| {
        let number = name.rsplit_once('#').map(|(_, number)| number);
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    for inner in std::fs::read_dir(folder)? {
        let inner = inner?.path();
        if !inner.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&inner)? {
            let file = file?;
            if file.file_name().to_str().is_some_and(is_staged) {
                remove(std::fs::remove_file(file.path()))?;
            }
        }
        // Of a checkpoint that was never more than that, nothing stays. Others are not empty.
        let _ = std::fs::remove_dir(&inner);
    }
    Ok(())
}

/// Somebody else may have removed it meanwhile.
fn remove(outcome: std::io::Result<()>) -> std::io::Result<()> {
    outcome.or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}
