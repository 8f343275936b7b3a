//! The task behind a writer's connection: one call after the other.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::Address;
use super::session::Session;
use crate::connectors::sql::backend::{ResolveOutcome, SqlConnection, WriteOutcome, WriteTerms};
use crate::connectors::sql::batch::{Batch, BatchTry};
use crate::seam::{Ticket, TicketSender};

enum Call {
    Write { batch: Arc<Batch>, batch_try: BatchTry, answer: TicketSender<WriteOutcome> },
    Resolve { batch: Arc<Batch>, answer: TicketSender<ResolveOutcome> },
}

/// The worker's half.
pub(super) struct MysqlConnection {
    calls: UnboundedSender<Call>,
    task: JoinHandle<()>,
}

impl MysqlConnection {
    pub(super) fn start(address: Address, terms: Arc<WriteTerms>, runtime: &Handle) -> Self {
        let (calls, queue) = unbounded_channel();
        let task = runtime.spawn(serve(Session::new(address, terms), queue));
        Self { calls, task }
    }

    /// If the task is gone the call's answer is dropped, which says so.
    fn send(&self, call: Call) {
        drop(self.calls.send(call));
    }
}

impl SqlConnection for MysqlConnection {
    fn write(&mut self, batch: &Arc<Batch>, batch_try: BatchTry) -> Ticket<WriteOutcome> {
        let (answer, ticket) = Ticket::pair();
        self.send(Call::Write { batch: Arc::clone(batch), batch_try, answer });
        ticket
    }

    fn resolve(&mut self, batch: &Arc<Batch>) -> Ticket<ResolveOutcome> {
        let (answer, ticket) = Ticket::pair();
        self.send(Call::Resolve { batch: Arc::clone(batch), answer });
        ticket
    }
}

impl Drop for MysqlConnection {
    /// Cuts the connection: an open transaction is rolled back, its locks are free at once.
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut session: Session, mut queue: UnboundedReceiver<Call>) {
    while let Some(call) = queue.recv().await {
        match call {
            Call::Write { batch, batch_try, answer } => {
                answer.fulfil(session.write(&batch, batch_try).await);
            }
            Call::Resolve { batch, answer } => answer.fulfil(session.resolve(&batch).await),
        }
    }
}
