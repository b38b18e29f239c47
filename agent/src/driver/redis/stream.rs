//! Reads a stream of replication as it flows: which commands it holds, and which database they are for.

/// How much of one argument is looked at.
const HEAD_BYTES_MAX: usize = 64;

/// What a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counted {
    /// Commands that somebody may miss.
    pub(super) changes: u64,
    /// Signs of life, probes of the agent's own, and what only frames others.
    pub(super) others: u64,
}

#[derive(Debug)]
enum State {
    /// A line that is not complete yet.
    Line(Vec<u8>),
    /// Bytes of an argument, its end included, that are still to come.
    Argument(usize),
}

/// Counts the commands of a stream that is fed to it in pieces of any size.
#[derive(Debug)]
pub(super) struct Counter<'a> {
    /// A key that begins so is the agent's own.
    own_keys: &'a str,
    state: State,
    /// How many arguments of the command are still to come.
    missing: u64,
    /// The beginnings of the first arguments.
    heads: Vec<Vec<u8>>,
    arguments: usize,
    counted: Counted,
}

impl<'a> Counter<'a> {
    pub(super) fn new(own_keys: &'a str) -> Self {
        Self {
            own_keys,
            state: State::Line(Vec::new()),
            missing: 0,
            heads: Vec::new(),
            arguments: 0,
            counted: Counted::default(),
        }
    }

    pub(super) fn counted(&self) -> Counted {
        self.counted
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match &mut self.state {
                State::Line(line) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let taken = end.map_or(bytes.len(), |end| end + 1);
                    // A line is a number; what is longer is no such stream, and is counted as a change.
                    let room = HEAD_BYTES_MAX.saturating_sub(line.len());
                    line.extend_from_slice(&bytes[..taken.min(room)]);
                    if end.is_some() {
                        self.line();
                    }
                    &bytes[taken..]
                }
                State::Argument(left) => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    let ended = *left == 0;
                    if let Some(head) = self.heads.last_mut() {
                        let room = HEAD_BYTES_MAX.saturating_sub(head.len());
                        head.extend_from_slice(&bytes[..taken.min(room)]);
                    }
                    if ended {
                        self.argument();
                    }
                    &bytes[taken..]
                }
            };
        }
    }

    fn line(&mut self) {
        let State::Line(line) = std::mem::replace(&mut self.state, State::Line(Vec::new())) else {
            return;
        };
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let number = text.get(1..).and_then(|digits| digits.parse::<u64>().ok());
        match (text.get(..1), number) {
            (Some("*"), Some(count)) if self.missing == 0 => {
                self.missing = count;
                self.arguments = 0;
                self.heads.clear();
            }
            (Some("$"), Some(length)) if self.missing > 0 => {
                // One more argument, of which at most the first two matter.
                self.arguments += 1;
                if self.arguments <= 2 {
                    self.heads.push(Vec::new());
                }
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                self.state = State::Argument(length.saturating_add(2));
            }
            _ if text.is_empty() => {}
            _ => self.counted.changes += 1,
        }
    }

    fn argument(&mut self) {
        self.state = State::Line(Vec::new());
        self.missing = self.missing.saturating_sub(1);
        if self.missing > 0 {
            return;
        }
        let head = |index: usize| {
            let head = self.heads.get(index).map(Vec::as_slice).unwrap_or_default();
            String::from_utf8_lossy(head).trim_end().to_owned()
        };
        let word = head(0).to_ascii_uppercase();
        let own = word == "SET" && self.arguments <= 3 && head(1).starts_with(self.own_keys);
        let frame = ["PING", "REPLCONF", "SELECT", "MULTI", "EXEC"].contains(&word.as_str());
        if own || frame {
            self.counted.others += 1;
        } else {
            self.counted.changes += 1;
        }
    }
}

/// The database that the stream was at when it ended, as far as it says: the last `SELECT` in it. The
/// bytes may begin in the midst of a command.
pub(super) fn database_at_end(stream: &[u8]) -> Option<u32> {
    const SELECT: &[u8] = b"*2\r\n$6\r\nselect\r\n$";
    let lower = stream.to_ascii_lowercase();
    let at = lower
        .windows(SELECT.len())
        .rposition(|window| window == SELECT)?;
    let rest = stream.get(at + SELECT.len()..)?;
    let mut lines = rest.split(|byte| *byte == b'\n').skip(1);
    let number = std::str::from_utf8(lines.next()?).ok()?;
    number.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> String {
        let words = words
            .iter()
            .map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let words: Vec<String> = words.collect();
        format!("*{}\r\n{}", words.len(), words.concat())
    }

    #[test]
    fn what_nobody_misses_is_not_a_change_however_the_stream_is_cut() {
        let stream = [
            command(&["SELECT", "0"]),
            command(&["PING"]),
            command(&["set", "own:r", "1:1"]),
            command(&["REPLCONF", "GETACK", "*"]),
            command(&["MULTI"]),
            command(&["set", "x", "a\r\n*1\r\n$4\r\nPING\r\n"]),
            command(&["del", &"k".repeat(500)]),
            command(&["EXEC"]),
        ]
        .concat();
        let expected = Counted {
            changes: 2,
            others: 6,
        };
        for size in [1, 2, 3, 7, 64, stream.len()] {
            let mut counter = Counter::new("own:");
            stream
                .as_bytes()
                .chunks(size)
                .for_each(|piece| counter.feed(piece));
            assert_eq!(counter.counted(), expected, "pieces of {size}");
        }
    }

    #[test]
    fn the_last_select_says_which_database() {
        let tail = [
            "3\r\nabc\r\n".to_owned(),
            command(&["SELECT", "1"]),
            command(&["set", "a", "b"]),
            command(&["select", "12"]),
            command(&["set", "a", "b"]),
        ]
        .concat();
        assert_eq!(database_at_end(tail.as_bytes()), Some(12));
        assert_eq!(database_at_end(command(&["PING"]).as_bytes()), None);
    }
}
