//! How long something is to stand, as arguments: for a length of time, or until a moment.

use crate::{args, clock, exit::Failure};
use clap::Args;
use std::time::Duration;
use tenure_core::Timestamp;

/// An end; none when neither is given.
#[derive(Debug, Args)]
pub struct UntilArgs {
    /// How long it stands; without end when left out
    #[arg(long = "for", value_name = "TIME", value_parser = args::duration, conflicts_with = "until")]
    length: Option<Duration>,
    /// Until when it stands, in UTC, such as 2025-03-04T05:06:07Z
    #[arg(long, value_name = "TIME", value_parser = clock::parse_utc)]
    until: Option<Timestamp>,
}

impl UntilArgs {
    /// The end, by the wall clock; None when there is none.
    ///
    /// # Errors
    /// When it has passed already.
    pub fn end(&self, now: Duration) -> Result<Option<Timestamp>, Failure> {
        let ms = |since_1970: Duration| u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        if let Some(length) = self.length {
            return Ok(Some(Timestamp(ms(now.saturating_add(length)))));
        }
        let now = Timestamp(ms(now));
        match self.until {
            Some(until) if until <= now => Err(Failure::invalid(format!(
                "--until {} has passed: it is {}",
                clock::utc(until),
                clock::utc(now)
            ))),
            until => Ok(until),
        }
    }
}

/// An end for the end of a sentence.
pub fn wording(until: Option<Timestamp>) -> String {
    until.map_or_else(
        || "until it is taken away".to_owned(),
        |until| format!("until {}", clock::utc(until)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        until: UntilArgs,
    }

    fn end(flags: &str) -> Result<Option<Timestamp>, String> {
        let line = Line::parse_from(std::iter::once("x").chain(flags.split_whitespace()));
        let now = Duration::from_millis(951_782_400_500);
        line.until.end(now).map_err(|failure| failure.sentence)
    }

    #[test]
    fn an_end_is_a_length_or_a_moment() {
        assert_eq!(end(""), Ok(None));
        assert_eq!(end("--for 2s"), Ok(Some(Timestamp(951_782_402_500))));
        let moment = end("--until 2000-02-29T00:00:01Z");
        assert_eq!(moment, Ok(Some(Timestamp(951_782_401_000))));
        let sentence = "--until 2000-02-29T00:00:00Z has passed: it is 2000-02-29T00:00:00Z";
        assert_eq!(end("--until 2000-02-29T00:00Z"), Err(sentence.to_owned()));
        assert_eq!(wording(None), "until it is taken away");
    }
}
