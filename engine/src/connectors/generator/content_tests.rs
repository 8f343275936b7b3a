//! Tests of generated content: repeatable, spread as asked.

use super::*;

fn key_counts(skew: KeySkew, keys: u64, records: u64) -> Vec<u64> {
    let mut content = Content::new(7, keys, skew, 16);
    let mut counts = vec![0; keys as usize];
    for offset in 0..records {
        let (key, _) = content.make(PartitionId(3), Offset(offset), offset);
        let number: usize =
            std::str::from_utf8(&key[1..]).expect("digits").parse().expect("a number");
        counts[number] += 1;
    }
    counts
}

#[test]
fn the_same_place_has_the_same_content() {
    let mut once = Content::new(1, 1000, KeySkew::Uniform, 100);
    let mut again = Content::new(1, 1000, KeySkew::Uniform, 100);
    again.make(PartitionId(9), Offset(9), 9);
    let first = once.make(PartitionId(4), Offset(81), 5);
    assert_eq!(first, again.make(PartitionId(4), Offset(81), 5));
    assert_eq!(first.1.len(), 100);
    assert_eq!(&first.1[..8], &5_u64.to_le_bytes());
}

#[test]
fn places_and_seeds_differ() {
    let mut content = Content::new(1, u64::MAX, KeySkew::Uniform, 64);
    let mut seen = std::collections::HashSet::new();
    for partition in 0..50 {
        for offset in 0..50 {
            let (_, value) = content.make(PartitionId(partition), Offset(offset), 0);
            assert!(seen.insert(value.to_vec()), "partition {partition} offset {offset} repeats");
        }
    }
    let mut other = Content::new(2, u64::MAX, KeySkew::Uniform, 64);
    let (_, value) = other.make(PartitionId(0), Offset(0), 0);
    assert!(!seen.contains(value), "the seed does not matter");
}

#[test]
fn uniform_is_even() {
    let counts = key_counts(KeySkew::Uniform, 10, 100_000);
    assert!(counts.iter().all(|n| (9_500..10_500).contains(n)), "{counts:?}");
}

#[test]
fn zipf_follows_its_law() {
    for exponent in [0.8, 1.0, 1.3] {
        let keys = 100;
        let counts = key_counts(KeySkew::Zipf { exponent }, keys, 200_000);
        let norm: f64 = (1..=keys).map(|k| (k as f64).powf(-exponent)).sum();
        for k in [1_u64, 2, 3, 10] {
            let expected = 200_000.0 * (k as f64).powf(-exponent) / norm;
            let ratio = counts[k as usize - 1] as f64 / expected;
            assert!((0.93..1.07).contains(&ratio), "exponent {exponent}, key {k}: {ratio}");
        }
    }
}

#[test]
fn the_hot_key_gets_its_share() {
    let counts = key_counts(KeySkew::HotKey { percent: 60 }, 50, 100_000);
    assert!((59_000..61_000).contains(&counts[0]), "{}", counts[0]);
    assert!(counts[1..].iter().all(|n| (600..1_050).contains(n)), "{counts:?}");
    assert_eq!(key_counts(KeySkew::HotKey { percent: 0 }, 1, 10), [10]);
}

#[test]
fn keys_are_their_numbers_in_decimal() {
    let mut content = Content::new(1, 1, KeySkew::Uniform, 16);
    let powers = (0..20).map(|n| 10_u64.pow(n)).flat_map(|p| [p - 1, p, p + 1]);
    for key in powers.chain([12_345_670, 9_080_706, u64::MAX]) {
        content.write_key(key);
        assert_eq!(&content.key[..content.key_bytes], format!("k{key}").as_bytes());
    }
}
