//! Reads what a program answers: `key=value` lines, each of which must be understood.

use std::collections::BTreeMap;

use tenure_core::agent::{Observation, Observed};
use tenure_core::copies::Checksum;
use tenure_core::{Attributes, Health, Held, Millis, Note, Position, Presence, Rejoin};

use super::super::{DriverError, Room, note};

/// A word of the answer, and what it stands for.
type Words<T, const N: usize> = [(&'static str, T); N];

const ATTRIBUTE: &str = "attribute.";

/// What was answered to one verb.
#[derive(Debug)]
pub(super) struct Answer {
    verb: &'static str,
    fields: BTreeMap<String, String>,
}

/// What each verb may answer.
fn known(verb: &str) -> &'static [&'static str] {
    match verb {
        "observe" => &[
            "presence",
            "health",
            "role",
            "linked",
            "history",
            "offset",
            "stalled_ms",
            "run",
            "pid",
            "note",
        ],
        "follow" => &["rejoin", "tail"],
        "fence" | "detach" | "quiesce" | "permit" | "measure" => &["history", "offset"],
        "probe" => &["sees"],
        "fetch" | "drop" | "verify" => &["missing", "version", "checksum", "size"],
        "room" => &["folder", "data", "free", "total", "load"],
        _ => &[],
    }
}

impl Answer {
    /// Takes an answer apart.
    pub(super) fn read(verb: &'static str, text: &str) -> Result<Self, DriverError> {
        let mut answer = Self {
            verb,
            fields: BTreeMap::new(),
        };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let Some((key, value)) = line.split_once('=') else {
                return Err(answer.unreadable(format!("{line:?} is not key=value")));
            };
            let (key, value) = (key.trim(), value.trim());
            let attribute = verb == "observe" && key.starts_with(ATTRIBUTE);
            if !attribute && !known(verb).contains(&key) {
                let known = known(verb).join(", ");
                return Err(answer.unreadable(format!("{key:?} is not one of: {known}")));
            }
            if answer
                .fields
                .insert(key.to_owned(), value.to_owned())
                .is_some()
            {
                return Err(answer.unreadable(format!("{key:?} stands there twice")));
            }
        }
        Ok(answer)
    }

    fn unreadable(&self, why: String) -> DriverError {
        DriverError::Unreadable {
            what: format!("the verb {}", self.verb),
            why,
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.fields.get(key).map(String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, DriverError> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        let number = text
            .parse()
            .map_err(|_| self.unreadable(format!("{key}={text} is not a number in range")))?;
        Ok(Some(number))
    }

    /// What a word stands for; None when it is not there.
    fn word<T: Copy, const N: usize>(
        &self,
        key: &str,
        words: Words<T, N>,
    ) -> Result<Option<T>, DriverError> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| Some(*value)).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.unreadable(format!("{key}={text} is not one of: {}", words.join(", ")))
        })
    }

    fn needed<T>(&self, key: &str, value: Option<T>) -> Result<T, DriverError> {
        value.ok_or_else(|| self.unreadable(format!("{key} is missing")))
    }

    pub(super) fn position(&self) -> Result<Option<Position>, DriverError> {
        match (self.get("history"), self.number("offset")?) {
            (None, None) => Ok(None),
            (Some(history), Some(offset)) => Ok(Some(Position {
                history: Note::new(history)
                    .map_err(|error| self.unreadable(format!("history: {error}")))?,
                offset,
            })),
            (Some(_), None) => Err(self.unreadable("history is there without offset".to_owned())),
            (None, Some(_)) => Err(self.unreadable("offset is there without history".to_owned())),
        }
    }

    pub(super) fn rejoin(&self) -> Result<Option<(Rejoin, Note)>, DriverError> {
        let words = [
            Rejoin::Identical,
            Rejoin::Behind,
            Rejoin::Ahead,
            Rejoin::Diverged,
        ];
        let [identical, behind, ahead, diverged] = words;
        let rejoin = self.word(
            "rejoin",
            [
                ("identical", identical),
                ("behind", behind),
                ("ahead", ahead),
                ("diverged", diverged),
            ],
        )?;
        let tail = note(self.get("tail").unwrap_or_default());
        Ok(rejoin.map(|rejoin| (rejoin, tail)))
    }

    pub(super) fn sees(&self) -> Result<bool, DriverError> {
        let sees = self.word("sees", [("yes", true), ("no", false)])?;
        self.needed("sees", sees)
    }

    /// What there is of an item. What is not said is as it was ordered.
    pub(super) fn held(&self, version: u64, size: u64) -> Result<Option<Held>, DriverError> {
        let missing = self.word("missing", [("yes", true), ("no", false)])?;
        if missing == Some(true) {
            return Ok(None);
        }
        let checksum = match self.get("checksum") {
            None | Some("") => None,
            Some(text) => Some(self.checksum(text)?),
        };
        Ok(Some(Held {
            version: self.number("version")?.unwrap_or(version),
            checksum,
            size: self.number("size")?.unwrap_or(size),
        }))
    }

    fn checksum(&self, text: &str) -> Result<Checksum, DriverError> {
        let wrong = || {
            self.unreadable(format!(
                "checksum={text} is not 1 to 32 bytes in hexadecimal"
            ))
        };
        if !text.is_ascii() || !text.len().is_multiple_of(2) {
            return Err(wrong());
        }
        let digits = (0..text.len()).step_by(2);
        let bytes = digits.map(|at| u8::from_str_radix(&text[at..at + 2], 16));
        let bytes: Vec<u8> = bytes.collect::<Result<_, _>>().map_err(|_| wrong())?;
        Checksum::new(&bytes).map_err(|_| wrong())
    }

    /// How much room there is, as far as it is said.
    pub(super) fn room(&self) -> Result<Room, DriverError> {
        let bytes = match (self.number("free")?, self.number("total")?) {
            (Some(free), Some(total)) => Some((free, total)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(self.unreadable("free is there without total".to_owned()));
            }
            (None, Some(_)) => {
                return Err(self.unreadable("total is there without free".to_owned()));
            }
        };
        Ok(Room {
            folder: self.get("data").map_or(0, run_number),
            bytes,
            load: self.number("load")?.unwrap_or(0),
        })
    }

    /// The folder whose disk holds the copies.
    pub(super) fn folder(&self) -> Option<&str> {
        self.get("folder")
    }

    /// What is seen, and the process whose exit is to be watched for.
    pub(super) fn observation(&self) -> Result<(Observation, Option<i32>), DriverError> {
        let presence = self.word(
            "presence",
            [
                ("running", Presence::Running),
                ("exited", Presence::Exited),
                ("unknown", Presence::Unknown),
            ],
        )?;
        let presence = presence.unwrap_or(Presence::Running);
        let health = self.word(
            "health",
            [
                ("healthy", Health::Healthy),
                ("starting", Health::Starting),
                ("degraded", Health::Degraded),
                ("failing", Health::Failing),
            ],
        )?;
        let usual = match presence {
            Presence::Running => Health::Healthy,
            Presence::Exited | Presence::Unknown => Health::Failing,
        };
        let seen = Observation {
            presence,
            run: self.get("run").map_or(0, run_number),
            health: health.unwrap_or(usual),
            role: self.role(presence)?,
            position: self.position()?,
            stalled: Millis(self.number("stalled_ms")?.unwrap_or(0)),
            note: note(self.get("note").unwrap_or_default()),
            attributes: self.attributes()?,
        };
        Ok((seen, self.number("pid")?))
    }

    fn role(&self, presence: Presence) -> Result<Observed, DriverError> {
        let linked = self.word("linked", [("yes", true), ("no", false)])?;
        let linked = linked.unwrap_or(false);
        let role = self.word(
            "role",
            [
                ("writable", Observed::Writable),
                ("fenced", Observed::Fenced),
                ("following", Observed::Following { linked }),
                ("peer", Observed::Peer),
            ],
        )?;
        match presence {
            Presence::Running => self.needed("role", role),
            Presence::Exited | Presence::Unknown => Ok(role.unwrap_or(Observed::Nothing)),
        }
    }

    fn attributes(&self) -> Result<Attributes, DriverError> {
        let pairs = self.fields.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix(ATTRIBUTE)?;
            Some((name.to_owned(), value.clone()))
        });
        Attributes::new(pairs.collect())
            .map_err(|error| self.unreadable(format!("attributes: {error}")))
    }
}

/// Any text as a number other than 0, the same for the same text (FNV-1a, 64 bits).
fn run_number(text: &str) -> u64 {
    let begin = 0xcbf2_9ce4_8422_2325_u64;
    let hash = text.bytes().fold(begin, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_said() {
        let table = [
            ("observe", "", "role is missing"),
            ("observe", "role", "\"role\" is not key=value"),
            (
                "observe",
                "role=king",
                "role=king is not one of: writable, fenced, following, peer",
            ),
            (
                "observe",
                "role=peer\nrole=peer",
                "\"role\" stands there twice",
            ),
            (
                "observe",
                "role=peer\nage=1",
                "\"age\" is not one of: presence, health",
            ),
            (
                "observe",
                "role=peer\nstalled_ms=-1",
                "stalled_ms=-1 is not a number in range",
            ),
            ("measure", "offset=1", "offset is there without history"),
            ("measure", "history=a", "history is there without offset"),
            ("probe", "", "sees is missing"),
            ("probe", "sees=maybe", "sees=maybe is not one of: yes, no"),
            (
                "follow",
                "rejoin=lost",
                "rejoin=lost is not one of: identical, behind",
            ),
            ("promote", "done=yes", "\"done\" is not one of: "),
        ];
        for (verb, text, sentence) in table {
            let answer = Answer::read(verb, text);
            let refused = answer.and_then(|answer| match verb {
                "observe" => answer.observation().map(|_| ()),
                "probe" => answer.sees().map(|_| ()),
                "follow" => answer.rejoin().map(|_| ()),
                _ => answer.position().map(|_| ()),
            });
            let said = refused.expect_err(text).to_string();
            assert!(said.contains(sentence), "{verb} {text:?}: {said}");
        }
    }

    #[test]
    fn an_observation_is_read_whole() {
        let text = "role=following\nlinked=yes\nhistory=h\noffset=7\nrun=abc\npid=42\nnote=a=b\n\
                    attribute.load=30\nhealth=degraded\nstalled_ms=5\n";
        let (seen, pid) = Answer::read("observe", text)
            .unwrap()
            .observation()
            .unwrap();
        assert_eq!(pid, Some(42));
        assert_eq!(seen.role, Observed::Following { linked: true });
        assert_eq!((seen.health, seen.stalled), (Health::Degraded, Millis(5)));
        assert_eq!(seen.position.unwrap().offset, 7);
        assert_eq!(seen.note.as_str(), "a=b");
        assert_eq!(seen.attributes.get("load"), Some("30"));
        assert_eq!(seen.run, run_number("abc"));
        assert_ne!(seen.run, run_number("abd"));
    }
}
