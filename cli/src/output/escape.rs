//! Control characters, made visible: a name or note from the cluster must not move the cursor or
//! change the terminal.

/// The text with every control character as an escape, such as `\u{1b}` or `\n`.
pub fn escape(text: &str) -> String {
    escape_but(text, |_| false)
}

/// The same, with the ends of lines kept: for messages of several lines.
pub fn lines(text: &str) -> String {
    escape_but(text, |c| c == '\n')
}

/// Finished JSON with what the encoder leaves as it is (0x7f to 0x9f) escaped too.
pub fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Characters that turn the direction of what follows can make one name look like another.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape_but(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() && !keep(c)) || is_deceptive(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_not_sent() {
        let table = [
            ("db-1", "db-1"),
            ("größe 東京", "größe 東京"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\tb\r\nc", "a\\tb\\r\\nc"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ];
        for (text, shown) in table {
            assert_eq!(escape(text), shown);
        }
        assert_eq!(lines("a\nb\u{7}"), "a\nb\\u{7}");
    }

    #[test]
    fn json_stays_json() {
        let text = serde_json::to_string("a\u{1b}\u{9b}\u{7f}b").unwrap();
        let escaped = json(&text);
        assert!(!escaped.chars().any(char::is_control), "{escaped}");
        let back: String = serde_json::from_str(&escaped).unwrap();
        assert_eq!(back, "a\u{1b}\u{9b}\u{7f}b");
    }
}
