//! The connection on which actions are sent, and what becomes of those that nobody waited for.
//!
//! A statement that was sent and not answered may lie in the socket of an instance that is frozen, or wait
//! for a lock there, and be obeyed after something else was told. So before anything is said on the next
//! connection the earlier one is ended, and seen to be gone.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::line::{Answers, Dial, Line, Trouble};

/// More than can be under way at a time: each is ended by the next one that is answered.
const ABANDONED_MAX: usize = 32;
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// There is no such thread.
const NO_THREAD: u16 = 1094;

#[derive(Debug, Default)]
pub(super) struct Acting {
    line: Option<Line>,
    /// The connections on which something may still be obeyed, by run and number.
    abandoned: Vec<(String, u32)>,
}

impl Acting {
    /// Connects, so that the next action need not.
    pub(super) async fn warm_up(&mut self, dial: &Dial) {
        if self.line.is_none() {
            self.line = dial.line().await.ok();
        }
    }

    /// The connection to use: the warm one, or a fresh one.
    pub(super) async fn line(&mut self, dial: &Dial) -> Result<&Line, Trouble> {
        let line = match self.line.take() {
            Some(line) => line,
            None => dial.line().await?,
        };
        Ok(self.line.insert(line))
    }

    /// Which run of the server answered last.
    pub(super) fn run(&self) -> Option<String> {
        self.line.as_ref().map(|line| line.run.clone())
    }

    /// Asks on the warm connection, or on a fresh one when there is none or it turns out to be closed.
    /// What is asked must bear being asked twice. Whoever drops the future has abandoned the question.
    pub(super) async fn ask(
        &mut self,
        dial: &Dial,
        text: &str,
        within: Duration,
    ) -> Result<Answers, Trouble> {
        if let Some(line) = self.line.take() {
            match self.ask_on(line, text, within).await {
                Err(Trouble::Refused | Trouble::Unreachable(_) | Trouble::Denied(_)) => {}
                done => return done,
            }
        }
        let line = dial.line().await?;
        self.ask_on(line, text, within).await
    }

    /// Asks on the connection on which the latest question was answered, and on no other: it is the same
    /// process that answers.
    pub(super) async fn ask_the_same(
        &mut self,
        text: &str,
        within: Duration,
    ) -> Result<Answers, Trouble> {
        match self.line.take() {
            Some(line) => self.ask_on(line, text, within).await,
            None => Err(Trouble::Unreachable(
                "the connection has ended meanwhile".to_owned(),
            )),
        }
    }

    async fn ask_on(
        &mut self,
        mut line: Line,
        text: &str,
        within: Duration,
    ) -> Result<Answers, Trouble> {
        let until = Instant::now() + within;
        self.end_abandoned(&mut line, until).await?;
        if self.abandoned.len() == ABANDONED_MAX {
            self.abandoned.remove(0);
        }
        self.abandoned.push((line.run.clone(), line.id()));
        let left = until.saturating_duration_since(Instant::now());
        let answered = line.ask(text, left).await;
        if matches!(answered, Ok(_) | Err(Trouble::Said { .. })) {
            self.abandoned.clear();
            self.line = Some(line);
        }
        answered
    }

    /// Ends what was abandoned, and waits until it is gone.
    async fn end_abandoned(&mut self, line: &mut Line, until: Instant) -> Result<(), Trouble> {
        let run = line.run.clone();
        self.abandoned.retain(|(of, _)| *of == run);
        if self.abandoned.is_empty() {
            return Ok(());
        }
        let left = || until.saturating_duration_since(Instant::now());
        for (_, id) in &self.abandoned {
            match line.ask(&format!("KILL CONNECTION {id}"), left()).await {
                Ok(_)
                | Err(Trouble::Said {
                    code: NO_THREAD, ..
                }) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        let ids: Vec<String> = self
            .abandoned
            .iter()
            .map(|(_, id)| id.to_string())
            .collect();
        let there = format!(
            "SELECT COUNT(*) AS count FROM information_schema.PROCESSLIST WHERE ID IN ({})",
            ids.join(",")
        );
        loop {
            let answers = line.ask(&there, left()).await?;
            let count = answers
                .first()
                .and_then(|rows| rows.first()?.number("count"));
            if count == Some(0) {
                self.abandoned.clear();
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
