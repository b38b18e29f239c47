//! The wall clock, for people to read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tenure_core::Timestamp;

const DAY_MS: u64 = 86_400_000;

/// Time since 1970-01-01 UTC, as this machine has it; nothing when its clock stands before that.
pub fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// A time as `2025-03-04T05:06:07Z`.
pub fn utc(at: Timestamp) -> String {
    let (year, month, day) = date(at.0 / DAY_MS);
    let seconds = at.0 % DAY_MS / 1_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A time that is written as [`utc`] writes it; the seconds may be left out.
///
/// # Errors
/// A sentence, for any other text and for dates that no calendar has.
pub fn parse_utc(text: &str) -> Result<Timestamp, String> {
    let wrong = || "a time in UTC is needed, as in 2025-03-04T05:06:07Z".to_owned();
    let (day, time) = text
        .strip_suffix('Z')
        .and_then(|text| text.split_once('T'))
        .ok_or_else(wrong)?;
    let with_seconds = match time.len() {
        5 => format!("{time}:00"),
        _ => time.to_owned(),
    };
    let numbers = |text: &str, mark| -> Option<Vec<u64>> {
        let parts = text.split(mark).map(|part| part.parse().ok());
        parts.collect()
    };
    let day_parts = numbers(day, '-').ok_or_else(wrong)?;
    let time_parts = numbers(&with_seconds, ':').ok_or_else(wrong)?;
    let (&[year, month, day_of_month], &[hour, minute, second]) =
        (day_parts.as_slice(), time_parts.as_slice())
    else {
        return Err(wrong());
    };
    if !(1970..=9_999).contains(&year) || !(1..=12).contains(&month) || day_of_month > 31 {
        return Err(wrong());
    }
    let seconds = hour.min(24) * 3_600 + minute.min(60) * 60 + second.min(60);
    let at = Timestamp(days(year, month, day_of_month) * DAY_MS + seconds * 1_000);
    // What the calendar or the clock does not have comes out as another time.
    if utc(at) == format!("{day}T{with_seconds}Z") {
        Ok(at)
    } else {
        Err(wrong())
    }
}

/// Days since 1970-01-01 of a date from that year on: the inverse of [`date`].
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, march_month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    (365 * year + leap_days + (153 * march_month + 2) / 5 + day).saturating_sub(719_469)
}

/// Year, month and day of a day since 1970-01-01, by the Gregorian calendar. The years are counted
/// from a first of March, so that a leap day is the last day of its year.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA_DAYS: u64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_767_225_599_000, "2025-12-31T23:59:59Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ];
        for (ms, text) in table {
            assert_eq!(utc(Timestamp(ms)), text);
            let seconds = ms / 1_000 * 1_000;
            assert_eq!(parse_utc(text), Ok(Timestamp(seconds)));
        }
    }

    #[test]
    fn times_are_read_strictly() {
        let day = Timestamp(951_782_400_000);
        assert_eq!(parse_utc("2000-02-29T00:00Z"), Ok(day));
        let wrong = [
            "",
            "2000-02-29",
            "2000-02-29T00:00:00",
            "2000-02-30T00:00:00Z",
            "2001-02-29T00:00:00Z",
            "2000-13-01T00:00:00Z",
            "2000-00-01T00:00:00Z",
            "2000-01-00T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-00T00:00:00Z",
            "2000-02-29T24:00:00Z",
            "2000-02-29T23:60:00Z",
            "2000-02-29T99999999999999:00:00Z",
            "2000-2-9T00:00:00Z",
            "+2000-02-29T00:00:00Z",
            "99999-02-28T00:00:00Z",
        ];
        for text in wrong {
            let why = parse_utc(text).unwrap_err();
            assert!(why.contains("2025-03-04T05:06:07Z"), "{text}: {why}");
        }
    }
}
