//! Batches come in.

use super::batch::{self, BatchHeader};
use super::entry::Kind;
use super::error::{LogError, Result};
use super::ids::TopicPartition;
use super::journal::Position;
use super::log::Log;
use super::producers::{ProducerState, Sequenced};
use super::storage::Storage;

/// What a producer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the batch's first record.
    pub base_offset: i64,
    /// The log start offset.
    pub start_offset: i64,
    /// Whether it was there already.
    pub is_duplicate: bool,
}

impl<S: Storage> Log<S> {
    /// Appends one batch, as a producer sent it, at `now_ms`.
    ///
    /// # Errors
    /// When the batch is not valid, out of sequence, of a fenced producer, or the storage fails;
    /// then nothing was kept.
    pub fn append(&mut self, at: TopicPartition, batch: &[u8], now_ms: i64) -> Result<Appended> {
        let partition = self.state.partition(at)?;
        let limit_bytes = self.state.topics[&at.topic].settings.max_message_bytes;
        if batch.len() > limit_bytes {
            return Err(LogError::MessageTooLarge { bytes: batch.len(), limit_bytes });
        }
        let mut header = batch::validate(batch)?;
        if let (true, Some(producer)) = (header.is_transactional(), header.producer) {
            self.state.transactions.check_write(producer, at)?;
        }
        let (base_offset, start_offset) = (partition.end_offset, partition.start_offset);
        let known = header.producer.and_then(|producer| partition.producers.get(&producer.id));
        if let Sequenced::Duplicate(base_offset) = ProducerState::judge(known, &header)? {
            return Ok(Appended { base_offset, start_offset, is_duplicate: true });
        }
        header.base_offset = base_offset;
        self.write(at, &header, batch, now_ms)?;
        Ok(Appended { base_offset, start_offset, is_duplicate: false })
    }

    fn write(
        &mut self,
        at: TopicPartition,
        header: &BatchHeader,
        batch: &[u8],
        now_ms: i64,
    ) -> Result<()> {
        let parts: [&[u8]; 6] = [
            &at.topic.0.to_le_bytes(),
            &at.partition.to_le_bytes(),
            &now_ms.to_le_bytes(),
            &header.base_offset.to_be_bytes(),
            // The leader epoch, which no checksum of the producer covers, is always 0.
            &[batch[8], batch[9], batch[10], batch[11], 0, 0, 0, 0],
            &batch[16..],
        ];
        self.make_room()?;
        let position = self.journal.append(Kind::Batch, &parts)?;
        let offset = super::entry::BATCH_AT_BYTES as u32;
        let position = Position { at: position.at + offset, ..position };
        self.state.take_batch(at, header, position, now_ms);
        Ok(())
    }
}
