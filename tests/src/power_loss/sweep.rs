//! Cutting the power after every operation of a trace, and looking at what is left.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use super::{
    Treatment, disk::Disk, image::Image, marks::Progress, report::Report, run, trace::Record,
};

/// What opening an image came to.
#[derive(Clone, Debug)]
pub enum Opened<S> {
    /// It could be opened, and this was in it.
    As(S),
    /// It was refused, with this error.
    Refused(String),
    /// The code that opens panicked.
    Panicked(String),
}

/// The store under test, as a sweep sees it.
pub trait Subject: Sync {
    /// What is in an opened store.
    type State: Send;

    /// Opens the store in `folder`, reads everything in it and closes it; an error is a refusal.
    ///
    /// # Errors
    /// With the text of the store's error.
    fn open(&self, folder: &Path) -> Result<Self::State, String>;

    /// Whether `state` is one that a store may be in whose user was at `progress` when the power went.
    ///
    /// # Errors
    /// With what is missing or surplus.
    fn judge(&self, state: &Self::State, progress: Progress) -> Result<(), String>;

    /// Uses the store in `folder` as a server would that found `state` there, and looks whether what it adds is kept.
    ///
    /// # Errors
    /// With what went wrong.
    fn go_on(&self, folder: &Path, state: &Self::State) -> Result<(), String>;

    /// What a refusal should have left as it was, and did not.
    fn altered(&self, before: &Image, after: &Image) -> Option<String> {
        before.difference(after)
    }

    /// How many may be open at a time.
    fn at_once(&self) -> usize {
        thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8))
    }

    /// Whether `found`, which was in a damaged folder, is as good as `intact`, which is in it without the damage.
    fn mended(&self, _intact: &Self::State, _found: &Self::State) -> bool {
        false
    }
}

/// A subject whose user said nothing more after a first power cut: what is cut now is the start after it.
#[derive(Debug)]
pub struct Restarted<'a, S> {
    /// The subject.
    pub subject: &'a S,
    /// How far its user was.
    pub progress: Progress,
}

impl<S: Subject> Subject for Restarted<'_, S> {
    type State = S::State;

    fn open(&self, folder: &Path) -> Result<Self::State, String> {
        self.subject.open(folder)
    }

    fn judge(&self, state: &Self::State, _: Progress) -> Result<(), String> {
        self.subject.judge(state, self.progress)
    }

    fn go_on(&self, folder: &Path, state: &Self::State) -> Result<(), String> {
        self.subject.go_on(folder, state)
    }

    fn altered(&self, before: &Image, after: &Image) -> Option<String> {
        self.subject.altered(before, after)
    }

    fn at_once(&self) -> usize {
        self.subject.at_once()
    }
}

/// One power cut of a sweep.
struct Cut {
    after: usize,
    treatment: Treatment,
    progress: Progress,
    image: u64,
}

/// What came of one image.
pub(super) struct Seen<S> {
    pub(super) opened: Opened<S>,
    /// Opening took something away.
    repaired: bool,
    /// What went wrong afterwards.
    pub(super) afterwards: Result<(), String>,
}

/// Cuts the power before the first operation of `trace` and after each, in every way that `treatments` names for that
/// point, opens each different folder once and judges it for every cut that leads to it.
///
/// # Errors
/// When the trace cannot be played or an image cannot be written; what the subject does is in the report.
pub fn sweep<S: Subject>(
    subject: &S,
    before: &Image,
    trace: &[Record],
    treatments: impl Fn(usize) -> Vec<Treatment>,
) -> io::Result<Report> {
    let (give, take) = mpsc::sync_channel::<(u64, Image)>(8);
    let take = Mutex::new(take);
    let seen = Mutex::new(BTreeMap::new());
    let cuts = thread::scope(|scope| {
        let workers: Vec<_> = (0..subject.at_once())
            .map(|_| scope.spawn(|| open_all(subject, &take, &seen)))
            .collect();
        let cuts = cut_everywhere(before, trace, treatments, |number, image| {
            let sent = give.send((number, image));
            sent.map_err(|_| io::Error::other("the threads that open images have ended"))
        });
        drop(give);
        for worker in workers {
            worker
                .join()
                .map_err(|_| io::Error::other("a thread that opens images panicked"))??;
        }
        cuts
    })?;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(judge_all(subject, &cuts, &seen, trace))
}

fn cut_everywhere(
    before: &Image,
    trace: &[Record],
    treatments: impl Fn(usize) -> Vec<Treatment>,
    mut open: impl FnMut(u64, Image) -> io::Result<()>,
) -> io::Result<Vec<Cut>> {
    let mut disk = Disk::from_image(before)?;
    let mut progress = Progress::default();
    let mut cuts = Vec::new();
    let mut known = HashSet::new();
    for after in 0..=trace.len() {
        if let Some(record) = after.checked_sub(1).map(|last| &trace[last]) {
            disk.apply(record)?;
            progress.apply(record)?;
        }
        for treatment in treatments(after) {
            let image = disk.after_cut(treatment);
            let number = image.fingerprint();
            cuts.push(Cut {
                after,
                treatment,
                progress,
                image: number,
            });
            if known.insert(number) {
                open(number, image)?;
            }
        }
    }
    Ok(cuts)
}

type Images = Mutex<mpsc::Receiver<(u64, Image)>>;

fn open_all<S: Subject>(
    subject: &S,
    images: &Images,
    seen: &Mutex<BTreeMap<u64, Seen<S::State>>>,
) -> io::Result<()> {
    loop {
        let next = images.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, image)) = next else {
            return Ok(());
        };
        let outcome = look_at(subject, &image)?;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(number, outcome);
    }
}

pub(super) fn look_at<S: Subject>(subject: &S, image: &Image) -> io::Result<Seen<S::State>> {
    let folder = run::scratch()?;
    let path = folder.path();
    image.write(path)?;
    let opened = match catch_unwind(AssertUnwindSafe(|| subject.open(path))) {
        Ok(Ok(state)) => Opened::As(state),
        Ok(Err(error)) => Opened::Refused(error),
        Err(panic) => Opened::Panicked(said(panic.as_ref())),
    };
    let after = Image::read(path)?;
    let repaired = takes_away(image, &after);
    let afterwards = match &opened {
        Opened::As(state) => catch_unwind(AssertUnwindSafe(|| subject.go_on(path, state)))
            .unwrap_or_else(|panic| Err(format!("going on panicked: {}", said(panic.as_ref())))),
        Opened::Refused(error) => match subject.altered(image, &after) {
            None => Ok(()),
            Some(what) => Err(format!("it refused ({error}), but altered {what}")),
        },
        Opened::Panicked(_) => Ok(()),
    };
    Ok(Seen {
        opened,
        repaired,
        afterwards,
    })
}

/// Whether a file of `before` is shorter in `after`, or not there.
fn takes_away(before: &Image, after: &Image) -> bool {
    before
        .0
        .iter()
        .any(|(path, pages)| match (pages, after.0.get(path)) {
            (_, None) => true,
            (Some(before), Some(Some(after))) => after.length() < before.length(),
            (Some(_) | None, Some(_)) => false,
        })
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a text")
        .to_owned()
}

/// The folder after one power cut, and how far its program was.
///
/// # Errors
/// When the trace cannot be played.
pub fn cut(
    before: &Image,
    trace: &[Record],
    after: usize,
    treatment: Treatment,
) -> io::Result<(Image, Progress)> {
    let mut disk = Disk::from_image(before)?;
    let mut progress = Progress::default();
    for record in &trace[..after] {
        disk.apply(record)?;
        progress.apply(record)?;
    }
    Ok((disk.after_cut(treatment), progress))
}

fn judge_all<S: Subject>(
    subject: &S,
    cuts: &[Cut],
    seen: &BTreeMap<u64, Seen<S::State>>,
    trace: &[Record],
) -> Report {
    let mut report = Report::default();
    let mut told = HashSet::new();
    report.counts.boundaries = cuts
        .iter()
        .map(|cut| cut.after)
        .collect::<HashSet<_>>()
        .len();
    report.counts.cuts = cuts.len();
    report.counts.images = seen.len();
    report.counts.repaired = seen.values().filter(|seen| seen.repaired).count();
    for cut in cuts {
        let first = told.insert(cut.image);
        let seen = seen.get(&cut.image).expect("every image was opened");
        let afterwards = seen.afterwards.clone();
        let (counter, text) = match &seen.opened {
            Opened::As(state) => match subject.judge(state, cut.progress).and(afterwards) {
                Ok(()) => continue,
                Err(text) => (&mut report.counts.broken, text),
            },
            Opened::Refused(_) | Opened::Panicked(_) if !first => continue,
            Opened::Refused(text) => match afterwards {
                Ok(()) => (&mut report.counts.refused, format!("refused: {text}")),
                Err(text) => (&mut report.counts.broken, text),
            },
            Opened::Panicked(text) => (&mut report.counts.panicked, format!("panicked: {text}")),
        };
        *counter += 1;
        report.complain(|| format!("{}: {text}", describe(cut, trace)));
    }
    report
}

fn describe(cut: &Cut, trace: &[Record]) -> String {
    let Cut {
        after,
        treatment,
        progress,
        image: _,
    } = cut;
    let last = after.checked_sub(1).map(|last| &trace[last]);
    let last = last.map_or("nothing".to_owned(), |last| {
        let path = String::from_utf8_lossy(&last.path);
        format!("{:?} {path} {}+{}", last.kind, last.offset, last.length)
    });
    let Progress {
        begun,
        acknowledged,
    } = progress;
    format!(
        "cut after operation {after} ({last}), {treatment:?}, begun {begun}, acknowledged {acknowledged}"
    )
}
