//! A client of Redis that hides nothing: what is sent and what is answered, apart from one another.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Text(String),
    Error(String),
    Number(i64),
    Nothing,
    Many(Vec<Reply>),
    /// The connection ended instead.
    Ended,
}

impl Reply {
    pub fn is(&self, text: &str) -> bool {
        matches!(self, Self::Text(found) if found == text)
    }

    pub fn error(&self) -> &str {
        match self {
            Self::Error(text) => text,
            Self::Text(_) | Self::Number(_) | Self::Nothing | Self::Many(_) | Self::Ended => "",
        }
    }

    pub fn text(&self) -> &str {
        let Self::Text(text) = self else {
            panic!("expected a text, found {self:?}");
        };
        text
    }

    pub fn number(&self) -> i64 {
        let Self::Number(number) = self else {
            panic!("expected a number, found {self:?}");
        };
        *number
    }

    /// The answer on one line, for people.
    pub fn short(&self) -> String {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::Error(text) => text.split('.').next().unwrap_or_default().to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Nothing => "nil".to_owned(),
            Self::Many(all) => {
                let all: Vec<String> = all.iter().map(Self::short).collect();
                format!("[{}]", all.join(", "))
            }
            Self::Ended => "connection ended".to_owned(),
        };
        text.chars().take(60).collect()
    }
}

pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub fn open(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(ANSWERS_WITHIN)).unwrap();
        Some(Self {
            stream: BufReader::new(stream),
        })
    }

    pub fn send(&mut self, words: &[&str]) {
        self.send_all(&[words]);
    }

    /// Several commands in one write.
    pub fn send_all(&mut self, commands: &[&[&str]]) {
        let mut text = String::new();
        for words in commands {
            text.push_str(&format!("*{}\r\n", words.len()));
            for word in *words {
                text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
            }
        }
        // Whoever cannot be written to is read as ended.
        let _ = self.stream.get_mut().write_all(text.as_bytes());
    }

    pub fn answer(&mut self) -> Reply {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => return Reply::Ended,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("no answer within {ANSWERS_WITHIN:?}")
            }
            Err(_) => return Reply::Ended,
        }
        let rest = line[1..].trim_end();
        let count = || rest.parse::<i64>().unwrap();
        match line.as_bytes()[0] {
            b'+' => Reply::Text(rest.to_owned()),
            b'-' => Reply::Error(rest.to_owned()),
            b':' => Reply::Number(count()),
            b'$' if count() < 0 => Reply::Nothing,
            b'$' => {
                let mut bytes = vec![0; usize::try_from(count()).unwrap() + 2];
                if self.stream.read_exact(&mut bytes).is_err() {
                    return Reply::Ended;
                }
                bytes.truncate(bytes.len() - 2);
                Reply::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
            b'*' if count() < 0 => Reply::Nothing,
            b'*' => Reply::Many((0..count()).map(|_| self.answer()).collect()),
            other => panic!("an answer begins with {other}"),
        }
    }

    pub fn ask(&mut self, words: &[&str]) -> Reply {
        self.send(words);
        self.answer()
    }

    /// Whether nothing was answered yet, looked at for a moment.
    pub fn is_silent(&mut self) -> bool {
        let stream = self.stream.get_mut();
        stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let mut one = [0];
        let silent = self.stream.buffer().is_empty()
            && matches!(
                self.stream.get_ref().peek(&mut one),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock
            );
        let stream = self.stream.get_mut();
        stream.set_read_timeout(Some(ANSWERS_WITHIN)).unwrap();
        silent
    }

    /// A field of `INFO`.
    pub fn info(&mut self, key: &str) -> String {
        let info = self.ask(&["INFO", "everything"]);
        let mut lines = info.text().lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(name, _)| *name == key);
        found.map_or_else(String::new, |(_, value)| value.to_owned())
    }

    pub fn offset(&mut self) -> u64 {
        self.info("master_repl_offset").parse().unwrap()
    }
}
