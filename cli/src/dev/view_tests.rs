use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn view() -> View {
    let endpoints: Vec<Endpoint> = ["h:1", "h:2", "h:3"]
        .iter()
        .map(|text| Endpoint::new(text).unwrap())
        .collect();
    let mut view = View::new(&endpoints, Kind::Redis);
    for server in 1..=3 {
        let pid = u32::try_from(server * 100).unwrap();
        view.happened(
            Event::Started {
                who: Who::Server(server),
                pid,
                again: false,
            },
            ms(0),
        );
    }
    view
}

fn seen(leader: u64, term: u64, silent: &[u64]) -> Seen {
    let mut seen = Seen::default();
    for id in (1..=3).filter(|id| !silent.contains(id)) {
        let leads = id == leader;
        let role = if leads { "leader" } else { "follower" }.to_owned();
        seen.said.insert(
            id,
            Some(Said {
                role,
                leads,
                term,
                applied: 9,
            }),
        );
    }
    seen
}

fn died(server: u64) -> Event {
    Event::Died {
        who: Who::Server(server),
        pid: 100,
        how: "killed".to_owned(),
        restart_after: Some(ms(5_000)),
    }
}

#[test]
fn a_lost_leader_is_told_once_writes_go_on_and_were_looked_for() {
    let mut view = view();
    assert_eq!(view.look(&seen(1, 3, &[]), ms(100)), []);
    assert_eq!((view.leader, view.leader_pid()), (Some(1), Some(100)));

    view.happened(died(1), ms(1_000));
    let mut now = seen(2, 4, &[1]);
    now.written.last = Some(ms(990));
    assert_eq!(
        view.look(&now, ms(1_300)),
        [],
        "no write was acknowledged yet"
    );
    now.written.gaps.push(Gap {
        from: ms(990),
        to: ms(1_310),
        found: None,
    });
    now.written.last = Some(ms(1_310));
    assert_eq!(
        view.look(&now, ms(1_400)),
        [],
        "they were not looked for yet"
    );
    now.written.gaps[0].found = Some(20);
    let leads = Event::Leads {
        server: 2,
        pid: Some(200),
        term: 4,
        lost: Some(1),
        gap: Some(ms(320)),
        found: Some(20),
    };
    assert_eq!(view.look(&now, ms(1_500)), [leads]);
    assert_eq!(view.look(&now, ms(1_600)), [], "it is told once");
}

#[test]
fn a_leader_that_handed_over_is_not_lost() {
    let mut view = view();
    view.look(&seen(1, 3, &[]), ms(100));
    let mut now = seen(3, 4, &[]);
    assert_eq!(view.look(&now, ms(500)), []);
    now.written.last = Some(ms(1_100));
    let events = view.look(&now, ms(1_200));
    let leads = Event::Leads {
        server: 3,
        pid: Some(300),
        term: 4,
        lost: None,
        gap: None,
        found: None,
    };
    assert_eq!(events, [leads]);
}

#[test]
fn a_silent_leader_is_lost_too() {
    let mut view = view();
    view.look(&seen(1, 3, &[]), ms(100));
    let mut now = seen(2, 4, &[1]);
    now.written.gaps.push(Gap {
        from: ms(900),
        to: ms(1_200),
        found: Some(5),
    });
    let events = view.look(&now, ms(1_250));
    assert!(
        matches!(
            events[..],
            [Event::Leads {
                server: 2,
                lost: Some(1),
                ..
            }]
        ),
        "{events:?}"
    );
}

#[test]
fn trouble_of_the_writer_is_told_once() {
    let mut view = view();
    let mut now = seen(1, 3, &[]);
    now.written.trouble = Some("no quorum".to_owned());
    let trouble = Event::Trouble {
        what: "the writer: no quorum".to_owned(),
    };
    assert_eq!(view.look(&now, ms(100)), [trouble]);
    assert_eq!(view.look(&now, ms(200)), []);
}
