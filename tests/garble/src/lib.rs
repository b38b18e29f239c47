//! Makes bytes worse: what a failing disk, a broken network, another version or an ill-disposed sender may turn
//! an encoding into. The tests of every decoder draw from here, so that all are tried in the same ways.
//!
//! How many cases a test tries is `PROPTEST_CASES`; `cargo xtask fuzz` sets it high.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// No copy of a piece makes bytes longer than this, in bytes.
const LONGEST: usize = 1 << 18;

/// What a byte may cost a decoder at a time, in bytes: an element of two bytes becomes a value of some hundred, and
/// lists have room to spare.
const PER_BYTE: u64 = 1_024;
/// What a decoder may take for nothing, in bytes: serde sets up to 1 MiB aside for a list, whatever its length is said
/// to be.
const FREE: u64 = 3 << 20;

/// Decodes so many bytes, and sees to it that they do not make the decoder take memory that they are not worth, as
/// a length that is believed before it is looked at would.
///
/// # Panics
/// When it took more.
pub fn frugally<T>(length: usize, decode: impl FnOnce() -> T) -> T {
    let mut decoded = None;
    let taken = allocation_counter::measure(|| decoded = Some(decode()));
    let most = FREE.saturating_add(PER_BYTE.saturating_mul(length as u64));
    let bytes = taken.bytes_max;
    assert!(
        bytes <= most,
        "{bytes} bytes of memory were taken for {length}"
    );
    decoded.expect("it was measured while it ran")
}

/// One thing that happens to bytes. Places are drawn without regard to the length, and fall within it.
#[derive(Debug, Clone)]
pub enum Edit {
    /// One bit is another.
    Flip(Index, u8),
    /// One byte is another.
    Put(Index, u8),
    /// What lies between two places is missing.
    Cut(Index, Index),
    /// Everything after a place is missing.
    End(Index),
    /// What lies between two places is there several times.
    Repeat(Index, Index, u8),
    /// Bytes are inserted.
    Insert(Index, Vec<u8>),
    /// Four bytes, or eight, are a number that a length or a count would be at its worst.
    Number(Index, bool, u64),
    /// What lies between two places is zeros, as a page that was lost.
    Zeros(Index, Index),
}

/// Numbers that decoders are most likely to stumble over.
fn number() -> impl Strategy<Value = u64> {
    let near = |at: u64| (at.saturating_sub(2)..=at.saturating_add(2)).prop_map(|it| it);
    prop_oneof![
        3 => near(0),
        2 => near(u64::from(u16::MAX)),
        3 => near(u64::from(u32::MAX)),
        2 => near(1 << 31),
        2 => near(1 << 40),
        3 => near(u64::MAX),
        3 => 0..10_000_u64,
        1 => any::<u64>(),
    ]
}

/// An edit.
pub fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Put(at, byte)),
        2 => (at(), at()).prop_map(|(from, to)| Edit::Cut(from, to)),
        2 => at().prop_map(Edit::End),
        2 => (at(), at(), 1..40_u8).prop_map(|(from, to, times)| Edit::Repeat(from, to, times)),
        2 => (at(), vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        3 => (at(), any::<bool>(), number()).prop_map(|(at, wide, to)| Edit::Number(at, wide, to)),
        1 => (at(), at()).prop_map(|(from, to)| Edit::Zeros(from, to)),
    ]
}

impl Edit {
    /// Does it to some bytes; bytes that there are none of stay as they are.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            if let Self::Insert(_, inserted) = self {
                bytes.clone_from(inserted);
            }
            return;
        }
        let length = bytes.len();
        let within = |from: &Index, to: &Index| {
            let (from, to) = (from.index(length), to.index(length + 1));
            from.min(to)..from.max(to)
        };
        match self {
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << (bit % 8),
            Self::Put(at, byte) => bytes[at.index(length)] = *byte,
            Self::Cut(from, to) => drop(bytes.drain(within(from, to))),
            Self::End(at) => bytes.truncate(at.index(length)),
            Self::Repeat(from, to, times) => {
                let range = within(from, to);
                let room = LONGEST.saturating_sub(length) / range.len().max(1);
                let again = bytes[range.clone()].repeat(room.min(usize::from(*times)));
                bytes.splice(range.end..range.end, again);
            }
            Self::Insert(at, inserted) => {
                let at = at.index(length + 1);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Number(at, wide, to) => {
                let number = to.to_le_bytes();
                let number = if *wide { &number[..] } else { &number[..4] };
                let from = at.index(length);
                let places = bytes[from..].iter_mut();
                places.zip(number).for_each(|(place, byte)| *place = *byte);
            }
            Self::Zeros(from, to) => bytes[within(from, to)].fill(0),
        }
    }
}

/// Bytes of no meaning at all.
pub fn rubbish() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..40),
        vec(any::<u8>(), 0..600),
        vec(prop_oneof![Just(0_u8), Just(0xff), 0..16_u8], 0..600),
    ]
}

/// What becomes of encodings that were right: edited here and there, or the beginning of one with the end of
/// another.
pub fn garbled<S>(right: S) -> impl Strategy<Value = Vec<u8>>
where
    S: Strategy<Value = Vec<u8>> + Clone,
{
    let spliced = (right.clone(), right.clone(), any::<(Index, Index)>());
    let spliced = spliced.prop_map(|(mut one, other, (at, from))| {
        one.truncate(at.index(one.len() + 1));
        one.extend_from_slice(&other[from.index(other.len() + 1)..]);
        one
    });
    let edited = |bytes: Vec<u8>, edits: Vec<Edit>| {
        let mut bytes = bytes;
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    };
    prop_oneof![
        6 => (right, vec(edit(), 1..4)).prop_map(move |(bytes, edits)| edited(bytes, edits)),
        2 => (spliced, vec(edit(), 0..2)).prop_map(move |(bytes, edits)| edited(bytes, edits)),
        1 => rubbish(),
    ]
}

/// The same of text: what is no UTF-8 any more is shown as it would be read.
pub fn garbled_text<S>(right: S) -> impl Strategy<Value = String>
where
    S: Strategy<Value = String> + Clone,
{
    let bytes = right.clone().prop_map(String::into_bytes);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    // Its own characters in other places are more likely to mean something than any bytes.
    let moved = (right, any::<[Index; 3]>()).prop_map(|(text, [from, to, at])| {
        let mut letters: Vec<char> = text.chars().collect();
        let (from, to) = (from.index(letters.len() + 1), to.index(letters.len() + 1));
        let piece: Vec<char> = letters.drain(from.min(to)..from.max(to)).collect();
        let at = at.index(letters.len() + 1);
        letters.splice(at..at, piece);
        letters.into_iter().collect()
    });
    prop_oneof![
        3 => garbled(bytes).prop_map(text),
        1 => moved,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::strategy::ValueTree;

    proptest! {
        #[test]
        fn every_edit_bears_every_length(mut bytes in vec(any::<u8>(), 0..20), edits in vec(edit(), 1..20)) {
            for edit in edits {
                edit.apply(&mut bytes);
                prop_assert!(bytes.len() <= LONGEST);
            }
        }

        #[test]
        fn text_stays_text(text in garbled_text("[a-zä-ü= \n]{0,40}")) {
            prop_assert!(text.len() <= 3 * LONGEST);
        }
    }

    #[test]
    #[should_panic(expected = "bytes of memory were taken for 8")]
    fn memory_taken_for_nothing_is_noticed() {
        frugally(8, || Vec::<u8>::with_capacity(4 << 20));
    }

    #[test]
    fn much_of_what_is_garbled_is_not_what_it_was() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let right = vec![7_u8; 40];
        let drawn = || {
            let tree = garbled(Just(right.clone())).new_tree(&mut runner);
            tree.expect("it is drawn").current()
        };
        let drawn: Vec<Vec<u8>> = std::iter::repeat_with(drawn).take(200).collect();
        let changed = drawn.iter().filter(|bytes| **bytes != right).count();
        assert!(changed > 150, "{changed} of 200");
        assert!(drawn.iter().any(|bytes| bytes.len() > right.len()));
        assert!(drawn.iter().any(|bytes| bytes.len() < right.len()));
    }
}
