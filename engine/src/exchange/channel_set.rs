//! A set of channels of one gate, as bits, with its size at hand.

/// A set of channel numbers below a fixed bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSet {
    words: Vec<u64>,
    len: usize,
    bound: usize,
}

impl ChannelSet {
    /// No channel out of `bound`.
    pub fn empty(bound: usize) -> Self {
        Self { words: vec![0; bound.div_ceil(64)], len: 0, bound }
    }

    /// Adds a channel; `false` when it was there.
    pub fn insert(&mut self, channel: usize) -> bool {
        assert!(channel < self.bound, "channel {channel} of a gate with {}", self.bound);
        let (word, bit) = (channel / 64, 1_u64 << (channel % 64));
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.len += usize::from(is_new);
        is_new
    }

    /// Whether the channel is in the set.
    #[inline]
    pub fn contains(&self, channel: usize) -> bool {
        self.words[channel / 64] & (1 << (channel % 64)) != 0
    }

    /// The channels in the set.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// How many channels are in the set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether every channel is in this set or in the other.
    pub fn covers_with(&self, other: &Self) -> bool {
        if self.len == self.bound {
            return true;
        }
        let both = self.words.iter().zip(&other.words).map(|(a, b)| (a | b).count_ones() as usize);
        both.sum::<usize>() == self.bound
    }

    /// Removes every channel.
    pub fn clear(&mut self) {
        self.words.fill(0);
        self.len = 0;
    }
}
