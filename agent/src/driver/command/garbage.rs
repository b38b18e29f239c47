//! What a program may print: understood, or refused with the line that is not.

use proptest::prelude::*;
use tenure_garble::{frugally, garbled_text};

use super::answer::Answer;

const VERBS: [&str; 10] = [
    "observe", "promote", "follow", "fence", "detach", "quiesce", "resume", "permit", "measure",
    "probe",
];

const ANSWERS: [&str; 4] = [
    "role=following\nlinked=yes\nhistory=h\noffset=7\nrun=abc\npid=42\nnote=a=b\n\
     attribute.load=30\nhealth=degraded\nstalled_ms=5\n",
    "presence=exited\n",
    "rejoin=diverged\ntail=/var/lib/x\n",
    "sees=yes",
];

proptest! {
    #[test]
    fn an_answer_is_understood_or_refused(
        verb in prop::sample::select(VERBS.to_vec()),
        text in garbled_text(prop::sample::select(ANSWERS.to_vec()).prop_map(str::to_owned).boxed()),
    ) {
        let answer = frugally(text.len(), || Answer::read(verb, &text));
        let read = answer.and_then(|answer| {
            let read = match verb {
                "observe" => answer.observation().map(drop),
                "follow" => answer.rejoin().map(drop),
                "probe" => answer.sees().map(drop),
                _ => Ok(()),
            };
            read.and_then(|()| answer.position().map(drop))
        });
        if let Err(refused) = read {
            let said = refused.to_string();
            prop_assert!(said.contains(verb), "{}", said);
        }
    }
}
