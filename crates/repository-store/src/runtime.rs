//! The threads on which all work for stores runs, so that requests do not wait for the disk or the decryption of a download.

use std::future::Future;
use std::sync::mpsc;

use hippocamp_repository::RemoteFault;
use tokio::runtime::{Builder, Runtime};

/// Two threads of their own for all stores of a process.
#[derive(Debug)]
pub(crate) struct StoreRuntime(Option<Runtime>);

impl StoreRuntime {
    pub(crate) fn start() -> std::io::Result<StoreRuntime> {
        let threads =
            Builder::new_multi_thread().worker_threads(2).thread_name("store").enable_all().build()?;
        Ok(StoreRuntime(Some(threads)))
    }

    /// Runs it there, and blocks the caller until it is done.
    pub(crate) fn wait_for<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, RemoteFault>> + Send + 'static,
    ) -> Result<T, RemoteFault> {
        let (done, result) = mpsc::sync_channel(1);
        if let Some(runtime) = &self.0 {
            runtime.spawn(async move { drop(done.send(work.await)) });
        }
        // Nothing comes if the server ends meanwhile, or if the work panicked.
        result.recv().unwrap_or_else(|_| Err(RemoteFault("the download ended without a word".to_owned())))
    }
}

impl Drop for StoreRuntime {
    /// Does not wait for downloads: what is left of them is not under a name that anything reads.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
