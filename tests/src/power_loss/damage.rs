//! Damage to an otherwise intact folder: bits that flipped, pages that were lost, files that are gone.

use std::{fmt, io, thread};

use super::{
    chance::Chance,
    image::Image,
    pages::{PAGE, Pages},
    sweep::{self, Opened, Subject},
    trace::{Kind, Record},
};

/// A damaged folder.
#[derive(Clone, Debug)]
pub struct Damaged {
    /// What was done to it.
    pub what: String,
    /// The folder.
    pub image: Image,
    /// The damage is in what was written last: no program can tell it from a write that the power cut.
    pub at_tail: bool,
}

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Damaged folders that were opened.
    pub images: usize,
    /// Refused, with no file changed.
    pub refused: usize,
    /// Opened with everything in place: the damage was in bytes that say nothing.
    pub harmless: usize,
    /// Opened with everything in place, after what was damaged had been made anew from what was not.
    pub mended: usize,
    /// Opened without what was written last, whose damage looks like a cut write.
    pub taken_for_a_cut: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            images,
            refused,
            harmless,
            mended,
            taken_for_a_cut,
        } = self;
        write!(
            f,
            "{images} damaged folders: {refused} refused unchanged, {harmless} harmless, {mended} mended, "
        )?;
        write!(f, "{taken_for_a_cut} at the tail and taken for a cut write")
    }
}

/// Opens every damaged folder, and answers with the counts and with some of what went wrong. `intact` is what is in the folder
/// without the damage.
///
/// # Errors
/// When a folder cannot be written.
pub fn try_all<S: Subject>(
    subject: &S,
    intact: &S::State,
    damaged: &[Damaged],
) -> io::Result<(Counts, Vec<String>)>
where
    S::State: PartialEq + Sync,
{
    let share = damaged.len().div_ceil(subject.at_once()).max(1);
    let outcomes: io::Result<Vec<_>> = thread::scope(|scope| {
        let workers: Vec<_> = damaged
            .chunks(share)
            .map(|part| scope.spawn(|| try_some(subject, intact, part)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a panic of the subject is caught"))
            .collect()
    });
    let mut total = (Counts::default(), Vec::new());
    for (counts, wrong) in outcomes? {
        total.0.images += counts.images;
        total.0.refused += counts.refused;
        total.0.harmless += counts.harmless;
        total.0.mended += counts.mended;
        total.0.taken_for_a_cut += counts.taken_for_a_cut;
        total.1.extend(wrong);
        total.1.truncate(5);
    }
    Ok(total)
}

fn try_some<S: Subject>(
    subject: &S,
    intact: &S::State,
    damaged: &[Damaged],
) -> io::Result<(Counts, Vec<String>)>
where
    S::State: PartialEq,
{
    let (mut counts, mut wrong) = (
        Counts {
            images: damaged.len(),
            ..Counts::default()
        },
        Vec::new(),
    );
    for Damaged {
        what,
        image,
        at_tail,
    } in damaged
    {
        let seen = sweep::look_at(subject, image)?;
        match (seen.opened, seen.afterwards) {
            (Opened::Panicked(text), _) => wrong.push(format!("{what}: panicked: {text}")),
            (_, Err(text)) => wrong.push(format!("{what}: {text}")),
            (Opened::Refused(_), Ok(())) => counts.refused += 1,
            (Opened::As(state), Ok(())) if state == *intact => counts.harmless += 1,
            (Opened::As(state), Ok(())) if subject.mended(intact, &state) => counts.mended += 1,
            (Opened::As(_), Ok(())) if *at_tail => counts.taken_for_a_cut += 1,
            (Opened::As(_), Ok(())) => wrong.push(format!(
                "{what}: opened, but something is missing or different"
            )),
        }
    }
    Ok((counts, wrong))
}

/// The file that was written last, and where in it that write begins.
fn tail(trace: &[Record]) -> Option<(&[u8], u64)> {
    let last = trace
        .iter()
        .rfind(|record| record.kind == Kind::Write && !record.bytes.is_empty())?;
    Some((&last.path, last.offset))
}

/// `count` copies of `image`, each with one bit flipped in a file whose path begins with `within` and in a place where
/// something was written.
#[must_use]
pub fn flips(image: &Image, trace: &[Record], within: &str, count: usize) -> Vec<Damaged> {
    let mut chance = Chance::new(count as u64);
    let mut places = Vec::new();
    for (path, pages) in image.0.iter().filter(|(path, _)| path.starts_with(within)) {
        let runs = pages.iter().flat_map(Pages::runs);
        let written =
            runs.flat_map(|(start, run)| (start..).zip(run).filter(|(_, byte)| *byte != 0));
        places.extend(written.map(|(offset, _)| (path, offset)));
    }
    let mut damaged = Vec::new();
    while damaged.len() < count && !places.is_empty() {
        let (path, offset) = places.swap_remove(chance.up_to(places.len() - 1));
        let bit = chance.below(8);
        let mut image = image.clone();
        if let Some(Some(pages)) = image.0.get_mut(path) {
            let byte = pages.read(offset..offset + 1)[0] ^ (1 << bit);
            pages.write(offset, &[byte]);
            *pages = pages.plain();
        }
        let at_tail = tail(trace).is_some_and(|(file, start)| {
            path.as_os_str().as_encoded_bytes() == file && offset >= start
        });
        let what = format!("bit {bit} of byte {offset} of {} flipped", path.display());
        damaged.push(Damaged {
            what,
            image,
            at_tail,
        });
    }
    damaged
}

/// Copies of `image` in which a part of one of the files is gone whose path begins with `within`: every written page once,
/// the second half, and all of it.
#[must_use]
pub fn losses(image: &Image, trace: &[Record], within: &str) -> Vec<Damaged> {
    let mut damaged = Vec::new();
    for (path, pages) in &image.0 {
        let Some(pages) = pages.as_ref().filter(|_| path.starts_with(within)) else {
            continue;
        };
        let shown = path.display();
        // Of the newest file, whatever follows the damage has to be there to show that something did follow.
        let last = tail(trace).filter(|(file, _)| path.as_os_str().as_encoded_bytes() == *file);
        let mut lose = |what: String, at_tail: bool, change: &dyn Fn(&mut Pages)| {
            let mut image = image.clone();
            if let Some(Some(pages)) = image.0.get_mut(path) {
                change(pages);
                *pages = pages.plain();
            }
            damaged.push(Damaged {
                what,
                image,
                at_tail,
            });
        };
        for (start, run) in pages.runs() {
            for page in
                (start..start + run.len() as u64).step_by(usize::try_from(PAGE).expect("small"))
            {
                let length = PAGE.min(pages.length() - page);
                let at_tail = last.is_some_and(|(_, start)| page + PAGE > start);
                lose(
                    format!("page at {page} of {shown} zeroed"),
                    at_tail,
                    &|pages| pages.write_zeros(page, length),
                );
            }
        }
        let half = pages.length() / 2;
        lose(
            format!("{shown} cut to {half} bytes"),
            last.is_some(),
            &|pages| pages.set_length(half),
        );
        lose(format!("{shown} emptied"), false, &|pages| {
            pages.set_length(0)
        });
        let mut image = image.clone();
        image.0.remove(path);
        damaged.push(Damaged {
            what: format!("{shown} removed"),
            image,
            at_tail: last.is_some(),
        });
    }
    damaged
}
