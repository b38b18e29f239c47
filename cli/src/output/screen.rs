//! The live view on a terminal: drawn in place, and left as it was found.

use super::escape;
use std::io::{self, IsTerminal, Write};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As usual.
    Plain,
    /// What stands out.
    Bold,
    /// What matters less.
    Dim,
    /// What is well.
    Good,
    /// What is not.
    Bad,
    /// What can be pasted.
    Command,
}

/// One line of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    look: Look,
    text: String,
}

impl Line {
    /// A line that looks so.
    pub fn new(look: Look, text: impl Into<String>) -> Self {
        Self {
            look,
            text: text.into(),
        }
    }

    /// A line as usual.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(Look::Plain, text)
    }

    /// Whether it only keeps others apart.
    pub fn is_blank(&self) -> bool {
        self.text.is_empty()
    }

    fn drawn(&self, width: usize, coloured: bool) -> String {
        let text: String = escape(&self.text).chars().take(width).collect();
        let code = match self.look {
            Look::Plain => None,
            Look::Bold => Some("1"),
            Look::Dim => Some("2"),
            Look::Good => Some("32"),
            Look::Bad => Some("31"),
            Look::Command => Some("36"),
        };
        match code.filter(|_| coloured) {
            Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
            None => text,
        }
    }
}

/// The terminal, as long as the view is on it.
pub struct Screen {
    drawn: Vec<String>,
    size: (usize, usize),
    coloured: bool,
}

impl Screen {
    /// Whether stdout is a terminal that is large enough for a view.
    pub fn is_there() -> bool {
        io::stdout().is_terminal() && size().is_some()
    }

    /// Takes the terminal over; None when there is none ([`Screen::is_there`]).
    pub fn open() -> Option<Self> {
        if !io::stdout().is_terminal() {
            return None;
        }
        let size = size()?;
        let coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let screen = Self {
            drawn: Vec::new(),
            size,
            coloured,
        };
        // Another screen than that of the shell, without cursor and without breaking lines.
        screen.write("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J");
        Some(screen)
    }

    /// Columns and lines that there is room for.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Shows these lines. Only those that differ are sent: what is selected with the mouse stays so.
    pub fn draw(&mut self, lines: &[Line]) {
        let mut sent = String::new();
        if let Some(size) = size().filter(|size| *size != self.size) {
            self.size = size;
            self.drawn.clear();
            sent.push_str("\x1b[2J");
        }
        let (width, height) = self.size;
        let lines: Vec<String> = lines
            .iter()
            .take(height)
            .map(|line| line.drawn(width, self.coloured))
            .collect();
        for at in 0..lines.len().max(self.drawn.len()) {
            let new = lines.get(at);
            if new == self.drawn.get(at) {
                continue;
            }
            let text = new.map_or("", String::as_str);
            sent.push_str(&format!("\x1b[{};1H\x1b[2K{text}", at + 1));
        }
        self.drawn = lines;
        self.write(&sent);
    }

    fn write(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        // A terminal that is gone sends SIGHUP, which ends all this.
        let _gone = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.write("\x1b[?7h\x1b[?25h\x1b[?1049l");
    }
}

/// Columns and lines.
fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    let size = (usize::from(size.ws_col), usize::from(size.ws_row));
    (size.0 > 0 && size.1 > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_escaped() {
        let line = Line::new(Look::Bad, "dead\u{7} and gone");
        assert_eq!(line.drawn(8, false), "dead\\u{7");
        assert_eq!(line.drawn(4, true), "\u{1b}[31mdead\u{1b}[0m");
    }
}
