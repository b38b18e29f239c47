//! Commands on the cluster's settings.

use crate::fixture::*;
use std::sync::Arc;
use tenure_core::{Command, Key, Record, RejectCode, Revision, Settings};

use Expect::{Changes, Nothing, Rejects};

fn set(expected: u64, history_max: u32, clients_max: u32) -> Command {
    Command::SetSettings {
        expected: Revision(expected),
        history_max,
        clients_max,
    }
}

fn raise(from: u32, to: u32) -> Command {
    Command::RaiseFeatureLevel { from, to }
}

#[test]
fn setting() {
    let most = Settings::FEATURE_LEVEL_SUPPORTED;
    let level = "the feature level";
    table([
        ("least", set(0, 1, 16), Changes("settings")),
        ("most", set(0, 100_000, 1_000_000), Changes("settings")),
        ("as it is", set(0, 1_000, 10_000), Nothing),
        (
            "no history",
            set(0, 0, 16),
            Rejects(RejectCode::Invalid, "settings", None),
        ),
        (
            "too much history",
            set(0, 100_001, 16),
            Rejects(RejectCode::Invalid, "settings", None),
        ),
        (
            "too few clients",
            set(0, 1, 15),
            Rejects(RejectCode::Invalid, "settings", None),
        ),
        (
            "too many clients",
            set(0, 1, 1_000_001),
            Rejects(RejectCode::Invalid, "settings", None),
        ),
        (
            "stale",
            set(1, 1, 16),
            Rejects(RejectCode::Changed, "settings", Some((1, 0))),
        ),
        ("as high as it is", raise(1, 1), Nothing),
        (
            "decided on another level",
            raise(0, 1),
            Rejects(RejectCode::Changed, level, Some((0, 1))),
        ),
        (
            "lowered",
            raise(1, 0),
            Rejects(RejectCode::Invalid, level, Some((1, 0))),
        ),
        (
            "higher than anyone understands",
            raise(1, most + 1),
            Rejects(
                RejectCode::Invalid,
                level,
                Some((most.into(), (most + 1).into())),
            ),
        ),
    ]);
}

#[test]
fn a_smaller_history_is_cut_at_once() {
    let mut world = World::small();
    assert!(world.state.history().len() > 3);
    let applied = world.apply(set(0, 3, 16));
    assert_eq!(world.state.history().len(), 3);
    let newest = world.state.history().last_key_value().unwrap().1;
    assert_eq!(newest.what.as_str(), "settings were changed");
    assert_eq!(newest.actor.as_str(), "tester");
    let forgotten = |key: &&Key| matches!(key, Key::History(_)) && world.state.get(key).is_none();
    assert!(applied.hidden.iter().any(|key| forgotten(&key)));
}

#[test]
fn fewer_registrations_are_kept_at_once() {
    let mut world = World::small();
    let clients: Vec<_> = (0..20).map(|_| world.client()).collect();
    let applied = world.apply(set(0, 1_000, 16));
    let kept: Vec<_> = world.state.clients().keys().copied().collect();
    assert_eq!(
        kept,
        clients[4..],
        "the least recently active ones are gone"
    );
    for gone in &clients[..4] {
        assert!(applied.hidden.contains(&Key::Client(*gone)), "{gone}");
    }
}

/// No command needs more than level 1 yet, so the state is set to a level below.
#[test]
fn a_command_above_the_feature_level_is_rejected() {
    let mut world = World::empty();
    world.state.put(Record::Settings(Arc::new(Settings {
        feature_level: 0,
        ..Settings::default()
    })));
    for command in [add_node("a"), Command::Batch(vec![add_node("a")])] {
        let reject = world.must_reject(command);
        assert_eq!(
            (reject.code, reject.expected, reject.actual),
            (RejectCode::FeatureLevelTooLow, Some(1), Some(0))
        );
    }
}
