//! Medians and quantiles over rounds, and tables for people.

use std::fmt::Write as _;

/// The middle of the values, the mean of the two middle ones when their number is even; `None` without values.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(*upper);
    }
    Some(f64::midpoint(sorted[middle - 1], *upper))
}

/// The least value that the share `quantile` (0 to 1) of the values does not exceed; `None` without values.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank is between 0 and a number of samples, far below 2^52"
)]
pub fn quantile(values: &[f64], quantile: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (quantile.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The least and the greatest value; `None` without values.
#[must_use]
pub fn range(values: &[f64]) -> Option<(f64, f64)> {
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    let greatest = values.iter().copied().max_by(f64::total_cmp)?;
    Some((least, greatest))
}

/// A number with as many digits as a person can use: thousands separated above 1,000, three digits below.
#[must_use]
pub fn readable(value: f64) -> String {
    let size = value.abs();
    if size >= 999.5 {
        return thousands(value);
    }
    let decimals = match size {
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 => 2,
        _small => 3,
    };
    format!("{value:.decimals$}")
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut out = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Columns wide enough for their cells: the first to the left, the others to the right.
#[must_use]
pub fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        std::iter::once(head)
            .chain(rows.iter().map(Vec::as_slice))
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    for row in std::iter::once(head).chain(rows.iter().map(Vec::as_slice)) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let written = if column == 0 {
                write!(line, "{cell:<width$}")
            } else {
                write!(line, "  {cell:>width$}")
            };
            written.expect("writing to a string cannot fail");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(range(&[4.0, 1.0, 9.0]), Some((1.0, 9.0)));
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=30).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.95), Some(29.0));
        assert_eq!(quantile(&values, 1.0), Some(30.0));
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&[7.0], 0.95), Some(7.0));
        assert_eq!(quantile(&[], 0.95), None);
    }

    #[test]
    fn numbers_for_people() {
        let seen: Vec<String> = [
            0.1234,
            1.234,
            12.34,
            123.4,
            1234.0,
            1_234_567.0,
            999.7,
            -1500.0,
        ]
        .into_iter()
        .map(readable)
        .collect();
        let wanted = [
            "0.123",
            "1.23",
            "12.3",
            "123",
            "1,234",
            "1,234,567",
            "1,000",
            "-1,500",
        ];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn columns_line_up() {
        let head = ["what".to_owned(), "etcd".to_owned()];
        let rows = vec![
            vec!["writes".to_owned(), "1,200".to_owned()],
            vec!["r".to_owned(), "9".to_owned()],
        ];
        assert_eq!(
            table(&head, &rows),
            "what     etcd\nwrites  1,200\nr           9\n"
        );
    }
}
