//! What stands around the counting operator: it takes what it takes, and emits what it emits.
//!
//! Behind a broadcast every subtask gets every record, and takes what is its own by key. As a flat
//! map does, a record may become several.

use stormproof_engine::api::{
    Collector, GroupContext, GroupState, Operator, OperatorFactory, StateSnapshot,
};
use stormproof_engine::error::Result;
use stormproof_engine::graph::{key_group_of, subtask_of_key_group};
use stormproof_engine::ids::{CheckpointId, SubtaskIndex};
use stormproof_engine::record::{Payload, Provenance, RecordRef};
use stormproof_engine::seam::TimeUs;

/// The subtask that a record belongs to by its key.
pub(super) fn owner_of(payload: &Payload<'_>, context: &GroupContext) -> SubtaskIndex {
    let group = key_group_of(payload, context.max_parallelism);
    subtask_of_key_group(group, context.parallelism, context.max_parallelism)
}

/// The key of the n-th record that a record with this key becomes: each is a key of its own, so that
/// the rows of one record do not overwrite each other.
pub fn key_of_output(key: &[u8], index: u32) -> Vec<u8> {
    let suffix = if index == 0 { String::new() } else { format!("{MARK}{index}") };
    [key, suffix.as_bytes()].concat()
}

/// Which of the records that a record became has this key.
pub fn output_of_key(key: &[u8]) -> u32 {
    let text = std::str::from_utf8(key).unwrap_or_default();
    text.rsplit_once(MARK).and_then(|(_, index)| index.parse().ok()).unwrap_or(0)
}

/// Between a key and the number of an output; no key of the load has it.
const MARK: char = '/';

/// Makes operators that shape what those of `inner` take and emit.
pub(super) struct Shaped<F> {
    pub(super) inner: F,
    /// Whether each subtask takes only what is its own by key, and leaves the rest to others.
    pub(super) takes_its_own: bool,
    /// How many records each that is emitted becomes.
    pub(super) outputs: u32,
}

struct Shape {
    context: GroupContext,
    inner: Box<dyn Operator>,
    takes_its_own: bool,
    outputs: u32,
}

impl<F: OperatorFactory> OperatorFactory for Shaped<F> {
    fn open(&self, context: GroupContext, state: GroupState) -> Result<Box<dyn Operator>> {
        let inner = self.inner.open(context.clone(), state)?;
        let (takes_its_own, outputs) = (self.takes_its_own, self.outputs);
        Ok(Box::new(Shape { context, inner, takes_its_own, outputs }))
    }
}

/// Sends on each record `outputs` times, under as many keys.
struct Copies<'a> {
    outputs: u32,
    out: &'a mut dyn Collector,
}

impl Collector for Copies<'_> {
    fn emit(&mut self, subtask: SubtaskIndex, payload: &Payload<'_>) {
        for index in 0..self.outputs {
            let key = payload.key.map(|key| key_of_output(key, index));
            let provenance = Provenance { index, ..payload.provenance };
            self.out.emit(subtask, &Payload { provenance, key: key.as_deref(), ..*payload });
        }
    }

    fn register_timer(&mut self, subtask: SubtaskIndex, at_us: TimeUs) {
        self.out.register_timer(subtask, at_us);
    }
}

impl Operator for Shape {
    fn process(
        &mut self,
        subtask: SubtaskIndex,
        record: RecordRef<'_>,
        out: &mut dyn Collector,
    ) -> Result<()> {
        if self.takes_its_own && owner_of(&record.view().payload(), &self.context) != subtask {
            return Ok(());
        }
        self.inner.process(subtask, record, &mut Copies { outputs: self.outputs, out })
    }

    fn begin(
        &mut self,
        subtask: SubtaskIndex,
        now_us: TimeUs,
        out: &mut dyn Collector,
    ) -> Result<()> {
        self.inner.begin(subtask, now_us, &mut Copies { outputs: self.outputs, out })
    }

    fn on_timer(
        &mut self,
        subtask: SubtaskIndex,
        now_us: TimeUs,
        out: &mut dyn Collector,
    ) -> Result<()> {
        self.inner.on_timer(subtask, now_us, &mut Copies { outputs: self.outputs, out })
    }

    fn prepare_barrier(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        out: &mut dyn Collector,
    ) -> Result<()> {
        self.inner.prepare_barrier(checkpoint, subtask, &mut Copies { outputs: self.outputs, out })
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskIndex,
        state: &mut StateSnapshot,
    ) -> Result<()> {
        self.inner.snapshot(checkpoint, subtask, state)
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) {
        self.inner.notify_checkpoint_complete(checkpoint);
    }

    fn notify_checkpoint_aborted(&mut self, checkpoint: CheckpointId) {
        self.inner.notify_checkpoint_aborted(checkpoint);
    }

    fn finish(&mut self, subtask: SubtaskIndex, out: &mut dyn Collector) -> Result<()> {
        self.inner.finish(subtask, &mut Copies { outputs: self.outputs, out })
    }
}
