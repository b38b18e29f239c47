//! Budgets for what should not be there but is: they may only shrink.

use std::collections::BTreeMap;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Lines of a Rust file, counted when they are more than allowed.
    Lines,
    /// Calls of `unwrap()` outside tests.
    Unwrap,
}

impl Measure {
    fn word(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Unwrap => "unwrap",
        }
    }
}

/// A count of something in a file.
pub type Counts = BTreeMap<(Measure, String), usize>;

/// Reads the budgets: one `MEASURE COUNT PATH` per line, `#` starts a comment.
///
/// # Errors
/// The line that cannot be read.
pub fn parse(text: &str) -> Result<Counts, String> {
    let mut counts = Counts::new();
    let lines = text.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, count) = parse_line(line)
            .ok_or_else(|| format!("budget `{line}`: expected `lines|unwrap COUNT PATH`"))?;
        if counts.insert(key, count).is_some() {
            return Err(format!("budget `{line}` is there twice"));
        }
    }
    Ok(counts)
}

fn parse_line(line: &str) -> Option<((Measure, String), usize)> {
    let mut words = line.splitn(3, ' ');
    let measure = match words.next()? {
        "lines" => Measure::Lines,
        "unwrap" => Measure::Unwrap,
        _ => return None,
    };
    let count = words.next()?.parse().ok()?;
    Some(((measure, words.next()?.to_owned()), count))
}

/// Compares what was counted with the budgets: more is refused, and so is less, until the
/// budget is lowered to it.
pub fn compare(counted: &Counts, budgets: &Counts) -> Vec<String> {
    let grown = counted.iter().filter_map(|((measure, path), count)| {
        let budget = budgets.get(&(*measure, path.clone())).copied().unwrap_or(0);
        (*count > budget).then(|| {
            let word = measure.word();
            format!("{path}: {count} {word}, allowed {budget}")
        })
    });
    let shrunk = budgets.iter().filter_map(|((measure, path), budget)| {
        let count = counted.get(&(*measure, path.clone())).copied().unwrap_or(0);
        let word = measure.word();
        (count < *budget).then(|| {
            if count == 0 {
                format!("{path}: the budget `{word} {budget}` is no longer needed, remove it")
            } else {
                format!("{path}: {count} {word}, lower the budget of {budget} to it")
            }
        })
    });
    grown.chain(shrunk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Counts {
        parse(text).expect("a budget that can be read")
    }

    #[test]
    fn more_than_the_budget_is_refused() {
        let complaints = compare(&counts("unwrap 3 a.rs"), &counts("unwrap 2 a.rs"));
        assert_eq!(complaints, ["a.rs: 3 unwrap, allowed 2"]);
    }

    #[test]
    fn without_a_budget_nothing_is_allowed() {
        let complaints = compare(&counts("lines 401 a.rs"), &Counts::new());
        assert_eq!(complaints, ["a.rs: 401 lines, allowed 0"]);
    }

    #[test]
    fn less_than_the_budget_tightens_it() {
        let complaints = compare(&counts("unwrap 1 a.rs"), &counts("unwrap 2 a.rs"));
        assert_eq!(complaints, ["a.rs: 1 unwrap, lower the budget of 2 to it"]);
        let complaints = compare(&Counts::new(), &counts("unwrap 2 a.rs"));
        assert_eq!(
            complaints,
            ["a.rs: the budget `unwrap 2` is no longer needed, remove it"]
        );
    }

    #[test]
    fn exactly_the_budget_passes() {
        let same = counts("# note\nunwrap 2 a.rs\nlines 500 b c.rs\n");
        assert!(compare(&same, &same).is_empty());
    }

    #[test]
    fn nonsense_is_refused_with_the_line() {
        let error = parse("unwraps 2 a.rs").expect_err("an unknown measure");
        assert!(error.contains("unwraps 2 a.rs"), "{error}");
        assert!(parse("lines 1 a\nlines 2 a").is_err());
    }
}
