//! What a generated record contains: a function of (seed, split, sequence) and nothing else.
//!
//! Invariant: making a record allocates nothing; key and value live in buffers that are reused. A
//! value is the record's number, a word of its own, and a stretch of a seeded pool from a place of
//! its own: as repeatable as bytes drawn one by one, at the price of a copy.

use serde::{Deserialize, Serialize};

use crate::ids::{Offset, PartitionId};

/// Bytes of the record's number, with which every value begins.
pub const MIN_RECORD_BYTES: usize = 8;

/// Places in the pool where a value's stretch may start.
const POOL_PLACES: u64 = 4096;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// How records spread over the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum KeySkew {
    /// Every key is equally likely.
    #[default]
    Uniform,
    /// Key number k (from 1) is as likely as `k^-exponent`.
    Zipf {
        /// Larger than 0.
        exponent: f64,
    },
    /// Key 0 gets this share of all records, the others share the rest.
    HotKey {
        /// Between 0 and 100.
        percent: u8,
    },
}

impl KeySkew {
    pub(super) fn validate(self) -> Result<(), String> {
        match self {
            Self::Zipf { exponent } if !(exponent.is_finite() && exponent > 0.0) => {
                Err(format!("a Zipf exponent of {exponent}; use one larger than 0, such as 1.1"))
            }
            Self::HotKey { percent } if percent > 100 => {
                Err(format!("a hot key with {percent} % of all records; use 0 to 100"))
            }
            _ => Ok(()),
        }
    }
}

/// Sequence of well-mixed numbers from one seed (SplitMix64).
#[derive(Clone, Copy, Debug)]
struct Mixer(u64);

impl Mixer {
    #[inline]
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In `[0, 1)`.
    #[inline]
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// In `0..bound`.
    #[inline]
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// Zipf by rejection-inversion (Hörmann and Derflinger 1996): no table, any number of keys.
#[derive(Clone, Copy, Debug)]
struct Zipf {
    exponent: f64,
    keys: f64,
    h_first: f64,
    h_last: f64,
    shortcut: f64,
}

impl Zipf {
    fn new(keys: u64, exponent: f64) -> Self {
        let mut this =
            Self { exponent, keys: keys as f64, h_first: 0.0, h_last: 0.0, shortcut: 0.0 };
        this.h_first = this.integral(1.5) - 1.0;
        this.h_last = this.integral(this.keys + 0.5);
        this.shortcut = 2.0 - this.inverse(this.integral(2.5) - this.weight(2.0));
        this
    }

    fn weight(&self, x: f64) -> f64 {
        x.powf(-self.exponent)
    }

    /// Integral of the weight, from 1 to x.
    fn integral(&self, x: f64) -> f64 {
        let power = 1.0 - self.exponent;
        if power.abs() < 1e-9 { x.ln() } else { (x.powf(power) - 1.0) / power }
    }

    fn inverse(&self, area: f64) -> f64 {
        let power = 1.0 - self.exponent;
        if power.abs() < 1e-9 { area.exp() } else { (1.0 + area * power).powf(1.0 / power) }
    }

    /// A key from 0; the smallest is the most likely.
    fn draw(&self, mixer: &mut Mixer) -> u64 {
        loop {
            let area = self.h_last + mixer.unit() * (self.h_first - self.h_last);
            let x = self.inverse(area);
            let k = x.round().clamp(1.0, self.keys);
            if k - x <= self.shortcut || area >= self.integral(k + 0.5) - self.weight(k) {
                return k as u64 - 1;
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Keys {
    Uniform,
    Zipf(Zipf),
    HotKey(u64),
}

/// Makes keys and values.
#[derive(Debug)]
pub struct Content {
    seed: u64,
    keys: u64,
    spread: Keys,
    key: [u8; 24],
    key_bytes: usize,
    value: Vec<u8>,
    pool: Vec<u8>,
}

impl Content {
    /// Content of `record_bytes` for each value over `keys` keys.
    pub fn new(seed: u64, keys: u64, skew: KeySkew, record_bytes: usize) -> Self {
        let spread = match skew {
            KeySkew::Uniform => Keys::Uniform,
            KeySkew::Zipf { exponent } => Keys::Zipf(Zipf::new(keys, exponent)),
            KeySkew::HotKey { percent } => Keys::HotKey(u64::from(percent)),
        };
        let value = vec![0; record_bytes.max(MIN_RECORD_BYTES)];
        let mut mixer = Mixer(seed);
        let words = value.len().div_ceil(8) + POOL_PLACES as usize;
        let pool = (0..words).flat_map(|_| mixer.next().to_le_bytes()).collect();
        Self { seed, keys, spread, key: [0; 24], key_bytes: 0, value, pool }
    }

    /// The key (`k<number>`) and the value (`u64 number`, seeded bytes) of a record whose number
    /// in the whole stream is `number`.
    #[inline]
    pub fn make(&mut self, partition: PartitionId, offset: Offset, number: u64) -> (&[u8], &[u8]) {
        let place = (u64::from(partition.0) << 40).wrapping_add(offset.0);
        let mut mixer = Mixer(self.seed ^ place.wrapping_mul(GOLDEN));
        mixer.next();
        let key = match &self.spread {
            Keys::Uniform => mixer.below(self.keys),
            Keys::Zipf(zipf) => zipf.draw(&mut mixer),
            Keys::HotKey(percent) => match mixer.below(100) < *percent || self.keys == 1 {
                true => 0,
                false => 1 + mixer.below(self.keys - 1),
            },
        };
        self.write_key(key);
        self.value[..MIN_RECORD_BYTES].copy_from_slice(&number.to_le_bytes());
        let own = mixer.next();
        let (word, rest) = match self.value[MIN_RECORD_BYTES..].split_at_mut_checked(8) {
            Some(parts) => parts,
            None => (&mut self.value[MIN_RECORD_BYTES..], &mut [][..]),
        };
        word.copy_from_slice(&own.to_le_bytes()[..word.len()]);
        let place = (own % POOL_PLACES) as usize;
        rest.copy_from_slice(&self.pool[place..place + rest.len()]);
        (&self.key[..self.key_bytes], &self.value)
    }

    #[inline]
    fn write_key(&mut self, key: u64) {
        let digits = key.checked_ilog10().unwrap_or(0) as usize + 1;
        self.key_bytes = 1 + digits;
        if digits < 8 {
            // One store: the hash that reads these bytes next need not wait for eight.
            let text = eight_digits(key as u32) >> (8 * (8 - digits));
            self.key[..8].copy_from_slice(&(text << 8 | u64::from(b'k')).to_le_bytes());
            return;
        }
        let mut rest = key;
        self.key[0] = b'k';
        for digit in self.key[1..=digits].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

/// The eight decimal digits of a number below 10^8, the first in the lowest byte. Halves, then
/// quarters, then digits are split all at once by multiplication (Khuong 2017).
#[inline]
fn eight_digits(number: u32) -> u64 {
    let halves = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let quarters = hundreds | (halves - 100 * hundreds) << 16;
    let tens = ((quarters * 103) >> 10) & 0x000F_000F_000F_000F;
    (tens | (quarters - 10 * tens) << 8) + 0x3030_3030_3030_3030
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
