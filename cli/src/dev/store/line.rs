//! A connection over which commands go as lines, and answers come as Redis gives them: what the real
//! `redis-server` and the built-in service both understand. There is no need for more here.

use std::{io, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// How long connecting may take: it is the same machine.
const CONNECT_WITHIN: Duration = Duration::from_millis(250);
/// How long an answer may be, in bytes.
pub const ANSWER_MAX: u64 = 64 * 1024;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Done; what it says.
    Done(String),
    /// Refused, and why.
    Refused(String),
    /// A number.
    Number(i64),
    /// A value; None when there is none.
    Value(Option<String>),
}

/// The connection.
#[derive(Debug)]
pub struct Line {
    stream: BufReader<TcpStream>,
}

impl Line {
    /// Connects, within a short time.
    ///
    /// # Errors
    /// What the system says; a retry is safe.
    pub async fn connect(endpoint: &str) -> io::Result<Self> {
        let connecting = timeout(CONNECT_WITHIN, TcpStream::connect(endpoint));
        let stream = connecting.await.map_err(late)??;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends commands, a line each.
    ///
    /// # Errors
    /// What the system says: it is not known whether they arrived.
    pub async fn send(&mut self, commands: &[&str]) -> io::Result<()> {
        let mut text = commands.join("\r\n");
        text.push_str("\r\n");
        self.stream.write_all(text.as_bytes()).await
    }

    /// Waits for the next answer, for at most so long.
    ///
    /// # Errors
    /// What the system says, or that the answer makes no sense.
    pub async fn answer(&mut self, within: Duration) -> io::Result<Answer> {
        timeout(within, self.read()).await.map_err(late)?
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// As for [`Line::send`] and [`Line::answer`].
    pub async fn ask(&mut self, command: &str, within: Duration) -> io::Result<Answer> {
        self.send(&[command]).await?;
        self.answer(within).await
    }

    async fn read(&mut self) -> io::Result<Answer> {
        let line = self.line().await?;
        let Some((kind, text)) = line.split_at_checked(1) else {
            return Err(senseless(&line));
        };
        let number = || text.parse::<i64>().map_err(|_| senseless(&line));
        match kind {
            "+" => Ok(Answer::Done(text.to_owned())),
            "-" => Ok(Answer::Refused(text.to_owned())),
            ":" => number().map(Answer::Number),
            "$" => match u64::try_from(number()?) {
                Ok(length) if length <= ANSWER_MAX => self.value(length).await,
                Ok(_) => Err(senseless(&line)),
                // A negative length says that there is none.
                Err(_) => Ok(Answer::Value(None)),
            },
            _ => Err(senseless(&line)),
        }
    }

    async fn value(&mut self, length: u64) -> io::Result<Answer> {
        let mut bytes = Vec::new();
        let mut whole = (&mut self.stream).take(length.saturating_add(2));
        whole.read_to_end(&mut bytes).await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match text.strip_suffix("\r\n") {
            Some(value) => Ok(Answer::Value(Some(value.to_owned()))),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// What the system says, or that it is too long.
    pub async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        let mut bounded = (&mut self.stream).take(ANSWER_MAX);
        bounded.read_line(&mut line).await?;
        match line.strip_suffix('\n') {
            Some(text) => Ok(text.trim_end_matches('\r').to_owned()),
            None if line.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Err(senseless(&line)),
        }
    }
}

impl From<TcpStream> for Line {
    fn from(stream: TcpStream) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }
}

fn late(_: tokio::time::error::Elapsed) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

fn senseless(line: &str) -> io::Error {
    let shown: String = line.chars().take(60).collect();
    io::Error::new(io::ErrorKind::InvalidData, format!("no answer: {shown:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_are_told_apart() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let mut line = Line::connect(&endpoint).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        let said = b"+OK\r\n-NOREPLICAS not enough\r\n:2\r\n$3\r\na\nb\r\n$-1\r\n?\r\n";
        other.write_all(said).await.unwrap();
        drop(other);
        let wanted = [
            Answer::Done("OK".to_owned()),
            Answer::Refused("NOREPLICAS not enough".to_owned()),
            Answer::Number(2),
            Answer::Value(Some("a\nb".to_owned())),
            Answer::Value(None),
        ];
        let within = Duration::from_secs(60);
        for answer in wanted {
            assert_eq!(line.answer(within).await.unwrap(), answer);
        }
        let senseless = line.answer(within).await.unwrap_err();
        assert_eq!(senseless.kind(), io::ErrorKind::InvalidData);
        let ended = line.answer(within).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }
}
