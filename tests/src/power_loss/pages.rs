//! What is in one file, in pages that copies share until one of them changes.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// Bytes in a page: what the kernel writes back as one.
pub const PAGE: u64 = 4096;

const PAGE_BYTES: usize = 4096;

/// A page that was never written.
pub const ZEROS: Page = [0; PAGE_BYTES];

/// The bytes of a page.
pub type Page = [u8; PAGE_BYTES];

/// The length of a file and its pages that are not all zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pages {
    length: u64,
    pages: BTreeMap<u64, Arc<Page>>,
}

impl Pages {
    /// The length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Makes the file `length` bytes long; what comes to be beyond the old end is zero.
    pub fn set_length(&mut self, length: u64) {
        if length < self.length {
            self.fill(length..self.length, None);
            let gone = self.pages.split_off(&length.div_ceil(PAGE));
            drop(gone);
        }
        self.length = length;
    }

    /// Puts `bytes` at `offset`, and makes the file longer if they do not fit.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        let range = offset..offset + bytes.len() as u64;
        self.length = self.length.max(range.end);
        self.fill(range, Some(bytes));
    }

    /// Puts `length` zeros at `offset`, and makes the file longer if they do not fit.
    pub fn write_zeros(&mut self, offset: u64, length: u64) {
        self.length = self.length.max(offset + length);
        self.fill(offset..offset + length, None);
    }

    /// Writes `bytes`, or zeros, to `range` without a look at the length.
    fn fill(&mut self, range: Range<u64>, bytes: Option<&[u8]>) {
        for number in range.start / PAGE..range.end.div_ceil(PAGE) {
            let start = range.start.max(number * PAGE);
            let end = range.end.min((number + 1) * PAGE);
            let inside = place(start - number * PAGE)..place(end - number * PAGE);
            let source =
                bytes.map(|bytes| &bytes[place(start - range.start)..place(end - range.start)]);
            if source.is_none() && (inside.len() == PAGE_BYTES || !self.pages.contains_key(&number))
            {
                self.pages.remove(&number);
                continue;
            }
            let page = self.pages.entry(number).or_insert_with(|| Arc::new(ZEROS));
            match source {
                Some(source) => Arc::make_mut(page)[inside].copy_from_slice(source),
                None => Arc::make_mut(page)[inside].fill(0),
            }
        }
    }

    /// The bytes of `range`, as far as pages reach; beyond the end they are zero.
    #[must_use]
    pub fn read(&self, range: Range<u64>) -> Vec<u8> {
        let mut bytes = vec![0; place(range.end - range.start)];
        for (number, page) in self
            .pages
            .range(range.start / PAGE..range.end.div_ceil(PAGE))
        {
            let start = range.start.max(number * PAGE);
            let end = range.end.min((number + 1) * PAGE);
            let inside = place(start - number * PAGE)..place(end - number * PAGE);
            bytes[place(start - range.start)..place(end - range.start)]
                .copy_from_slice(&page[inside]);
        }
        bytes
    }

    /// The pages that are not all zero, as runs of neighbours with the offset of each; none reaches beyond the length.
    #[must_use]
    pub fn runs(&self) -> Vec<(u64, Vec<u8>)> {
        let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
        for (number, page) in &self.pages {
            let offset = number * PAGE;
            let kept = place(self.length.saturating_sub(offset).min(PAGE));
            match runs.last_mut() {
                Some((start, run)) if *start + run.len() as u64 == offset => {
                    run.extend(&page[..kept])
                }
                _ => runs.push((offset, page[..kept].to_vec())),
            }
        }
        runs
    }

    /// A copy in which pages that hold nothing but zeros are left out, so that equal files are equal values.
    #[must_use]
    pub fn plain(&self) -> Self {
        let mut plain = self.clone();
        plain.pages.retain(|_, page| **page != ZEROS);
        plain
    }
}

/// A length in memory.
fn place(length: u64) -> usize {
    usize::try_from(length).expect("files of the tests fit in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shrunk_file_is_zero_where_it_grows_again() {
        let mut pages = Pages::default();
        pages.write(4000, &[7; 5000]);
        pages.set_length(4100);
        pages.set_length(9000);
        assert_eq!(pages.read(4098..4102), [7, 7, 0, 0]);
        assert_eq!(pages.read(8190..8194), [0; 4]);
        assert_eq!(pages.length(), 9000);
    }

    #[test]
    fn zeros_take_no_pages() {
        let mut pages = Pages::default();
        pages.write_zeros(0, 1 << 24);
        pages.write((1 << 23) + 10, b"here");
        assert_eq!(pages.runs().len(), 1);
        pages.write_zeros((1 << 23) + 10, 4);
        let mut empty = Pages::default();
        empty.set_length(1 << 24);
        assert_eq!(pages.plain(), empty);
    }

    #[test]
    fn neighbouring_pages_are_one_run_that_ends_with_the_file() {
        let mut pages = Pages::default();
        pages.write(PAGE, &[1; 5000]);
        let runs = pages.runs();
        assert_eq!(
            runs.iter()
                .map(|(offset, run)| (*offset, run.len()))
                .collect::<Vec<_>>(),
            [(PAGE, 5000)]
        );
    }
}
