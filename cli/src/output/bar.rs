//! One line that shows how far something has got: redrawn in place on a terminal, and told now and then elsewhere. On
//! stderr, for it is no answer.

use super::{escape, remark};
use std::io::{self, IsTerminal, Write};

/// Cells of the bar.
const CELLS: u64 = 24;

/// Where nobody sees a line being redrawn, one is told for each so many hundredths.
const TOLD_EVERY: u64 = 10;

/// A bar under way.
pub struct Bar {
    how: How,
}

enum How {
    /// Programs read the answer alone.
    Silent,
    Live,
    /// What was told last.
    Told(Option<u64>),
}

impl Bar {
    /// A bar for whoever reads stderr; none for programs.
    pub fn new(json: bool) -> Self {
        let how = match (json, io::stderr().is_terminal()) {
            (true, _) => How::Silent,
            (false, true) => How::Live,
            (false, false) => How::Told(None),
        };
        Self { how }
    }

    /// Shows how far it has got, with words on it.
    pub fn draw(&mut self, done: u64, total: u64, words: &str) {
        let line = line(done, total, words);
        match &mut self.how {
            How::Silent => {}
            How::Live => write(&format!("\r\x1b[2K{}", escape(&line))),
            How::Told(last) => {
                let now = hundredths(done, total) / TOLD_EVERY;
                if *last != Some(now) {
                    *last = Some(now);
                    remark(&line);
                }
            }
        }
    }
}

/// A line that was drawn in place makes room for what follows.
impl Drop for Bar {
    fn drop(&mut self) {
        if matches!(self.how, How::Live) {
            write("\r\x1b[2K");
        }
    }
}

fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    // Where stderr cannot be written to, the answer must do.
    let _gone = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}

fn hundredths(done: u64, total: u64) -> u64 {
    let scaled = done.min(total).saturating_mul(100);
    scaled.checked_div(total).unwrap_or(100)
}

fn line(done: u64, total: u64, words: &str) -> String {
    let hundredths = hundredths(done, total);
    let full = usize::try_from(hundredths * CELLS / 100).unwrap_or(0);
    let empty = usize::try_from(CELLS).unwrap_or(0).saturating_sub(full);
    let bar = format!("{}{}", "#".repeat(full), "-".repeat(empty));
    format!("[{bar}] {hundredths:>3} %  {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_with_what_is_done() {
        let told = |done, total| line(done, total, "x");
        assert_eq!(told(0, 10), "[------------------------]   0 %  x");
        assert_eq!(told(5, 10), "[############------------]  50 %  x");
        assert_eq!(told(10, 10), "[########################] 100 %  x");
        assert_eq!(told(11, 10), told(10, 10), "never more than all");
        assert_eq!(told(0, 0), told(10, 10), "nothing to do is done");
    }
}
