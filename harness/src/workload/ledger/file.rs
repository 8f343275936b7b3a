//! The ledger on disk (`ledger.bin`), so that a run can be judged again later.
//!
//! Layout, little-endian: `"SPLEDGER"`, `u32` version, `u32` partitions, then for each partition
//! `u32 id, u64 start, u64 end, u64 present_len`, the serialized bitmap of existing offsets, and
//! the columns `lane_of`, `key`, `last`, `value_hash`, `records`, `intended_us`, `late_us`, each a
//! `u64` count and its items; at the end xxh3-64 of everything before it.
//!
//! The checksum is verified before a byte is believed. A file is put in place by rename.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use roaring::RoaringBitmap;
use xxhash_rust::xxh3::Xxh3;

use super::partition::{Lanes, PartitionLedger, dense_from};
use super::{Ledger, LedgerError, Offset, PartitionId};

const MAGIC: &[u8; 8] = b"SPLEDGER";
const VERSION: u32 = 2;
const CHECKSUM_BYTES: u64 = 8;
const BUFFER_BYTES: usize = 1 << 20;

impl Ledger {
    /// Writes the ledger to one file, replacing it as a whole.
    pub fn save(&self, path: &Path) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::Io { action: "write", path: path.to_owned(), source };
        let scratch = path.with_extension("bin.part");
        let write = || {
            let file = BufWriter::with_capacity(BUFFER_BYTES, File::create(&scratch)?);
            let mut out = Hashing { inner: file, hash: Xxh3::new() };
            write_ledger(self, &mut out)?;
            let checksum = out.hash.digest();
            out.inner.write_all(&checksum.to_le_bytes())?;
            out.inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            std::fs::rename(&scratch, path)
        };
        write().map_err(failed)
    }

    /// Reads a ledger that [`save`](Self::save) wrote.
    pub fn load(path: &Path) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::Io { action: "read", path: path.to_owned(), source };
        let damaged = |reason| LedgerError::Damaged { path: path.to_owned(), reason };
        let open = || Ok(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?));
        let total_bytes = std::fs::metadata(path).map_err(failed)?.len();
        let Some(body_bytes) = total_bytes.checked_sub(CHECKSUM_BYTES).filter(|len| *len >= 16)
        else {
            return Err(damaged(format!("it has {total_bytes} bytes only")));
        };
        let mut input = open().map_err(failed)?;
        read_head(&mut input).map_err(failed)?.map_err(damaged)?;
        verify(open().map_err(failed)?, body_bytes).map_err(failed)?.map_err(damaged)?;
        let mut body = input.take(body_bytes - 12);
        read_partitions(&mut body)
            .map(Self::new)
            .map_err(|error| damaged(format!("its contents do not add up ({error})")))
    }
}

/// Passes bytes on and hashes them.
struct Hashing<W> {
    inner: W,
    hash: Xxh3,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn write_ledger(ledger: &Ledger, out: &mut impl Write) -> io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    out.write_all(&(ledger.partitions.len() as u32).to_le_bytes())?;
    for partition in &ledger.partitions {
        out.write_all(&partition.id.0.to_le_bytes())?;
        out.write_all(&partition.start.0.to_le_bytes())?;
        out.write_all(&partition.end.0.to_le_bytes())?;
        out.write_all(&(partition.present.serialized_size() as u64).to_le_bytes())?;
        partition.present.serialize_into(&mut *out)?;
        write_column(out, &partition.lane_of, |item| item.to_le_bytes())?;
        write_column(out, &partition.lanes.key, |item| item.to_le_bytes())?;
        write_column(out, &partition.lanes.last, |item| item.to_le_bytes())?;
        write_column(out, &partition.lanes.value_hash, |item| item.to_le_bytes())?;
        write_column(out, &partition.lanes.records, |item| item.to_le_bytes())?;
        write_column(out, &partition.intended_us, |item| item.to_le_bytes())?;
        write_column(out, &partition.late_us, |item| item.to_le_bytes())?;
    }
    Ok(())
}

fn write_column<T: Copy, const N: usize>(
    out: &mut impl Write,
    items: &[T],
    bytes: fn(T) -> [u8; N],
) -> io::Result<()> {
    out.write_all(&(items.len() as u64).to_le_bytes())?;
    items.iter().try_for_each(|item| out.write_all(&bytes(*item)))
}

fn read_head(input: &mut impl Read) -> io::Result<Result<(), String>> {
    if &read_array::<8>(input)? != MAGIC {
        return Ok(Err("it does not begin with the ledger's mark".to_owned()));
    }
    let version = u32::from_le_bytes(read_array(input)?);
    if version != VERSION {
        return Ok(Err(format!("it has version {version}, this build reads version {VERSION}")));
    }
    Ok(Ok(()))
}

/// Compares the checksum at the end with the bytes before it.
fn verify(input: impl Read, body_bytes: u64) -> io::Result<Result<(), String>> {
    let mut body = input.take(body_bytes);
    let mut hashing = Hashing { inner: io::sink(), hash: Xxh3::new() };
    io::copy(&mut body, &mut hashing)?;
    let stored = u64::from_le_bytes(read_array(&mut body.into_inner())?);
    let actual = hashing.hash.digest();
    if stored == actual {
        return Ok(Ok(()));
    }
    Ok(Err(format!("its checksum is {actual:016x}, it should be {stored:016x}")))
}

fn read_partitions<R: Read>(input: &mut io::Take<R>) -> io::Result<Vec<PartitionLedger>> {
    let count = u32::from_le_bytes(read_array(input)?);
    let mut partitions: Vec<PartitionLedger> = Vec::new();
    for _ in 0..count {
        let partition = read_partition(input)?;
        if partitions.last().is_some_and(|last| last.id >= partition.id) {
            return Err(invalid("partitions out of order"));
        }
        partitions.push(partition);
    }
    if input.limit() != 0 {
        return Err(invalid("bytes after the last partition"));
    }
    Ok(partitions)
}

fn read_partition<R: Read>(input: &mut io::Take<R>) -> io::Result<PartitionLedger> {
    let id = PartitionId(u32::from_le_bytes(read_array(input)?));
    let start = Offset(u64::from_le_bytes(read_array(input)?));
    let end = Offset(u64::from_le_bytes(read_array(input)?));
    let present_bytes = u64::from_le_bytes(read_array(input)?);
    let present = RoaringBitmap::deserialize_from(&mut input.take(present_bytes))?;
    let lane_of = read_column(input, u32::from_le_bytes)?;
    let lanes = Lanes {
        key: read_column(input, u128::from_le_bytes)?,
        last: read_column(input, u32::from_le_bytes)?,
        value_hash: read_column(input, u64::from_le_bytes)?,
        records: read_column(input, u32::from_le_bytes)?,
    };
    let intended_us = read_column(input, i64::from_le_bytes)?;
    let late_us = read_column(input, u32::from_le_bytes)?;
    let lane_count = lanes.key.len();
    let even = lanes.last.len() == lane_count
        && lanes.value_hash.len() == lane_count
        && lanes.records.len() == lane_count
        && lane_of.len() as u64 == present.len()
        && late_us.len() == intended_us.len()
        && (intended_us.is_empty() || intended_us.len() == lane_of.len());
    if !even {
        return Err(invalid("columns of different lengths"));
    }
    let dense_from = dense_from(&present);
    Ok(PartitionLedger {
        id,
        start,
        end,
        present,
        dense_from,
        lane_of,
        lanes,
        intended_us,
        late_us,
    })
}

fn read_column<R: Read, T, const N: usize>(
    input: &mut io::Take<R>,
    item: fn([u8; N]) -> T,
) -> io::Result<Vec<T>> {
    let count = u64::from_le_bytes(read_array(input)?);
    if count.saturating_mul(N as u64) > input.limit() {
        return Err(invalid("a column longer than the file"));
    }
    (0..count).map(|_| read_array(input).map(item)).collect()
}

fn read_array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
