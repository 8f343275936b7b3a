//! Record frames: what is written is read back, compact where it fits and wide where it does not.

use bytes::{Bytes, BytesMut};
use proptest::option;
use proptest::prelude::*;
use stormproof_engine::ids::{AttemptId, Offset, PartitionId, SubtaskIndex};
use stormproof_engine::record::{
    COMPACT_HEADER_BYTES, Payload, Provenance, Record, Route, WIDE_HEADER_BYTES,
};

/// Numbers around the limit of `bits` bits, and any others.
fn around(bits: u32) -> impl Strategy<Value = u64> {
    let limit = 1_u64 << bits;
    prop_oneof![7 => 0..limit, 2 => limit - 2..limit + 2, 1 => any::<u64>()]
}

fn bytes(limit: usize) -> impl Strategy<Value = Option<Vec<u8>>> {
    let len = prop_oneof![4 => 0..40_usize, 1 => limit - 60..limit + 2];
    option::of(len.prop_map(|len| (0..len).map(|at| at as u8).collect()))
}

fn provenance() -> impl Strategy<Value = Provenance> {
    let index = prop_oneof![9 => Just(0), 1 => any::<u32>()];
    (around(16), around(48), index, around(8)).prop_map(|(partition, offset, index, attempt)| {
        Provenance {
            partition: PartitionId(partition as u32),
            offset: Offset(offset),
            index,
            source_attempt: AttemptId(attempt as u32),
        }
    })
}

/// The limits of docs/formats.md, in plain words.
fn fits(payload: &Payload<'_>) -> bool {
    let key = payload.key.map_or(0, <[u8]>::len);
    let len = COMPACT_HEADER_BYTES + key + payload.value.map_or(0, <[u8]>::len);
    let at = payload.provenance;
    let has_room = at.partition.0 <= 65_535 && at.offset.0 < 1 << 48 && at.source_attempt.0 <= 255;
    let is_first = at.index == 0;
    let is_near = (-(1_i64 << 55)..1 << 55).contains(&payload.event_time_us);
    has_room && is_first && is_near && key <= 255 && len <= 65_535
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_is_written_is_read_back(
        provenance in provenance(),
        time in around(55),
        is_before in any::<bool>(),
        key in bytes(256),
        value in bytes(65_536),
        source in any::<u16>(),
        target in any::<u16>(),
        other in any::<u16>(),
    ) {
        let event_time_us = if is_before { (time as i64).wrapping_neg() } else { time as i64 };
        let (key, value) = (key.as_deref(), value.as_deref());
        let payload = Payload { provenance, event_time_us, key, value };
        let route = Route { source: SubtaskIndex(source), target: SubtaskIndex(target) };
        let mut buffer = BytesMut::from(&b"before"[..]);
        payload.encode(route, &mut buffer);
        buffer.extend_from_slice(b"after");
        let buffer = buffer.freeze();
        let record = Record::at(&buffer, 6);

        let header = if fits(&payload) { COMPACT_HEADER_BYTES } else { WIDE_HEADER_BYTES };
        let body = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        prop_assert_eq!(record.frame().len(), header + body);
        prop_assert_eq!(6 + record.frame().len() + 5, buffer.len());

        let moved = record.retargeted(SubtaskIndex(other));
        prop_assert_eq!(moved.view().target(), SubtaskIndex(other));
        let stored = Record::from_state(record.frame().clone()).expect("a whole frame");
        for record in [&record, &moved, &stored] {
            let view = record.view();
            prop_assert_eq!(view.source(), SubtaskIndex(source));
            prop_assert_eq!(view.provenance(), provenance);
            prop_assert_eq!(view.event_time_us(), event_time_us);
            prop_assert_eq!(view.key(), key);
            prop_assert_eq!(view.value(), value);
        }
        prop_assert_eq!(record.view().target(), SubtaskIndex(target));
    }

    #[test]
    fn what_is_no_frame_is_refused_and_never_a_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..80),
        says in option::of(0..90_u8),
    ) {
        if let (Some(len), [flags, _, low, high, ..]) = (says, &mut bytes[..]) {
            (*flags, *low, *high) = (*flags & 7, len, 0);
        }
        if let Some(record) = Record::from_state(Bytes::from(bytes)) {
            let view = record.view();
            let body = view.key().map_or(0, <[u8]>::len) + view.value().map_or(0, <[u8]>::len);
            prop_assert!(body + COMPACT_HEADER_BYTES <= record.frame().len());
            let _ = (view.provenance(), view.event_time_us());
        }
    }
}
