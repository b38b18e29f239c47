//! What is in one file, and what of it a power cut leaves.

use super::{
    Fate,
    chance::Chance,
    pages::{PAGE, Pages},
};

const SECTOR: u64 = 512;

/// A change of what is in a file.
#[derive(Clone, Debug)]
pub enum Change {
    /// These bytes at this offset.
    Write(u64, Vec<u8>),
    /// This many zeros at this offset.
    Zeros(u64, u64),
    /// Exactly this long.
    SetLength(u64),
    /// At least this long.
    Extend(u64),
}

impl Change {
    fn apply(&self, pages: &mut Pages) {
        match self {
            Self::Write(offset, bytes) => pages.write(*offset, bytes),
            Self::Zeros(offset, length) => pages.write_zeros(*offset, *length),
            Self::SetLength(length) => pages.set_length(*length),
            Self::Extend(length) => pages.set_length(pages.length().max(*length)),
        }
    }

    /// The first byte and the one after the last whose content this change decides.
    fn range(&self) -> (u64, u64) {
        match self {
            Self::Write(offset, bytes) => (*offset, *offset + bytes.len() as u64),
            Self::Zeros(offset, length) => (*offset, *offset + *length),
            Self::SetLength(length) => (*length, u64::MAX),
            Self::Extend(_) => (0, 0),
        }
    }
}

/// What is in one file: as of its last sync, and every change since.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    synced: Pages,
    changes: Vec<Change>,
    live: Pages,
}

impl Contents {
    /// A file that was read from a disk.
    #[must_use]
    pub fn durable(pages: Pages) -> Self {
        Self {
            live: pages.clone(),
            synced: pages,
            changes: Vec::new(),
        }
    }

    /// As the running program sees it.
    #[must_use]
    pub fn live(&self) -> &Pages {
        &self.live
    }

    /// The program changed it.
    pub fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.changes.push(change);
    }

    /// A sync of this file returned.
    pub fn sync(&mut self) {
        self.synced = self.live.clone();
        self.changes.clear();
    }

    /// As the disk has it after a power cut.
    #[must_use]
    pub fn after_cut(&self, fate: Fate) -> Pages {
        match fate {
            _ if self.changes.is_empty() => self.synced.clone(),
            Fate::Dropped => self.synced.clone(),
            Fate::Kept => self.live.clone(),
            Fate::Partial(seed) => self.in_part(&mut Chance::new(seed)),
        }
    }

    /// Every page in some version of its own, or torn between two; the length in some version too.
    fn in_part(&self, chance: &mut Chance) -> Pages {
        let versions = self.versions();
        // Lengths are metadata: the journal has a beginning of them.
        let length_version = if chance.one_in(3) {
            self.changes.len()
        } else {
            chance.up_to(self.changes.len())
        };
        let mut result = versions[length_version].clone();
        let longest = versions.iter().map(Pages::length).max().unwrap_or(0);
        let style = chance.below(4);
        let mut needed = result.length();
        for page in self.touched(longest) {
            let torn = style == 3 || chance.one_in(4);
            let unit = if torn { SECTOR } else { PAGE };
            for start in (page..page + PAGE).step_by(usize::try_from(unit).expect("small")) {
                let version = match style {
                    0 => chance.up_to(self.changes.len()),
                    _ if chance.one_in(2) => self.changes.len(),
                    _ => chance.up_to(self.changes.len()),
                };
                let version = self.reachable(version, length_version, start + unit);
                let source = &versions[version];
                if source.length() > start && source.length() > versions[length_version].length() {
                    needed = needed.max(source.length().min(start + unit));
                }
                result.write(start, &source.read(start..start + unit));
            }
        }
        result.set_length(needed);
        result
    }

    /// The file before any of the changes, after the first of them, and so on.
    fn versions(&self) -> Vec<Pages> {
        let mut versions = vec![self.synced.clone()];
        for change in &self.changes {
            let mut next = versions[versions.len() - 1].clone();
            change.apply(&mut next);
            versions.push(next);
        }
        versions
    }

    /// Where the pages begin that some change decides.
    fn touched(&self, longest: u64) -> Vec<u64> {
        let mut pages = Vec::new();
        for change in &self.changes {
            let (start, end) = change.range();
            let (start, end) = (start / PAGE * PAGE, end.min(longest).max(start));
            let mut page = start;
            while page < end {
                pages.push(page);
                page += PAGE;
            }
        }
        pages.sort_unstable();
        pages.dedup();
        pages
    }

    /// The version nearest to `wanted` that a piece of the file ending at `end` can have when the journal has the first
    /// `length_version` changes: a shortening that is not in the journal still holds the old blocks, so nothing that
    /// came after it can stand there, and one that is in the journal has taken what was there before.
    fn reachable(&self, wanted: usize, length_version: usize, end: u64) -> usize {
        let cuts = |change: &Change| matches!(change, Change::SetLength(length) if *length < end);
        let last_done = self.changes[..length_version]
            .iter()
            .rposition(cuts)
            .map_or(0, |at| at + 1);
        let first_open = self.changes[length_version..].iter().position(cuts);
        let limit = first_open.map_or(self.changes.len(), |at| length_version + at);
        wanted.clamp(last_done, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Contents {
        let mut file = Contents::default();
        file.change(Change::Write(0, vec![1; 3 * 4096]));
        file.sync();
        file.change(Change::Write(4096, vec![2; 4096]));
        file.change(Change::Write(3 * 4096, vec![3; 4096]));
        file
    }

    #[test]
    fn dropped_is_the_last_sync_and_kept_is_all() {
        let file = file();
        assert_eq!(
            file.after_cut(Fate::Dropped).read(0..3 * 4096),
            vec![1; 3 * 4096]
        );
        assert_eq!(file.after_cut(Fate::Dropped).length(), 3 * 4096);
        assert_eq!(&file.after_cut(Fate::Kept), file.live());
    }

    #[test]
    fn in_part_every_combination_occurs_and_nothing_synced_changes() {
        let file = file();
        let (mut old, mut new, mut torn, mut short, mut long_zero) = (0, 0, 0, 0, 0);
        for seed in 0..400 {
            let image = file.after_cut(Fate::Partial(seed));
            assert_eq!(image.read(0..4096), vec![1; 4096], "seed {seed}");
            assert_eq!(image.read(8192..12288), vec![1; 4096], "seed {seed}");
            let page = image.read(4096..8192);
            assert!(
                page.chunks(512)
                    .all(|sector| sector == [1; 512] || sector == [2; 512]),
                "seed {seed}"
            );
            match (page.contains(&1), page.contains(&2)) {
                (true, false) => old += 1,
                (false, true) => new += 1,
                _ => torn += 1,
            }
            short += u32::from(image.length() == 3 * 4096);
            long_zero +=
                u32::from(image.length() == 4 * 4096 && !image.read(12288..16384).contains(&3));
        }
        assert!(
            old.min(new).min(torn).min(short).min(long_zero) > 0,
            "{old} {new} {torn} {short} {long_zero}"
        );
    }

    #[test]
    fn nothing_written_after_a_shortening_stands_without_it() {
        let mut file = Contents::default();
        file.change(Change::Write(0, vec![1; 8192]));
        file.sync();
        file.change(Change::SetLength(4096));
        file.change(Change::Write(4096, vec![2; 2048]));
        for seed in 0..400 {
            let image = file.after_cut(Fate::Partial(seed));
            let page = image.read(4096..8192);
            assert!(!(page.contains(&1) && page.contains(&2)), "seed {seed}");
        }
    }
}
