//! Cuts, seen by datagrams.

use std::net::UdpSocket;

use super::*;

#[test]
fn a_process_is_led_into_its_namespace() {
    let program = Path::new("redis-server");
    let args = vec!["--port".to_owned(), "1".to_owned()];
    let here = Site {
        ip: Ipv4Addr::LOCALHOST,
        holder: None,
    };
    assert_eq!(
        here.command(program, args.clone()),
        ("redis-server".into(), args.clone())
    );
    let there = Site {
        ip: Ipv4Addr::new(10, 77, 0, 1),
        holder: Some(42),
    };
    let (entering, entered) = there.command(program, args);
    assert_eq!(entering, "nsenter");
    assert_eq!(
        entered.join(" "),
        "--net=/proc/42/ns/net -- redis-server --port 1"
    );
}

/// A socket at a site.
fn socket_at(site: &Site) -> UdpSocket {
    let site = site.clone();
    let opened = std::thread::spawn(move || {
        site.enter().expect("entered");
        UdpSocket::bind((site.ip, 0)).expect("bound")
    });
    opened.join().expect("opened")
}

/// Whether what one sends arrives at the other: seen by what is sent after it from elsewhere.
fn arrives(from: &UdpSocket, to: &UdpSocket, other: &UdpSocket) -> bool {
    let target = to.local_addr().expect("bound");
    from.send_to(b"?", target).expect("sent");
    other.send_to(b"!", target).expect("sent");
    to.set_read_timeout(Some(Duration::from_secs(10)))
        .expect("set");
    let mut seen = false;
    loop {
        let mut word = [0];
        to.recv_from(&mut word).expect("the other is heard");
        if &word == b"!" {
            return seen;
        }
        seen = true;
    }
}

#[test]
fn what_is_silenced_one_way_is_heard_the_other_way() {
    let dir = tempfile::tempdir().expect("a folder");
    if let Err(why) = permitted().and_then(|_| enter_new(dir.path()).map_err(|it| it.to_string())) {
        println!("not tried, for there are no network namespaces here: {why}");
        return;
    }
    let network = Network::namespaces(3, None, dir.path()).expect("three sites");
    let sockets: Vec<UdpSocket> = network.sites.iter().map(socket_at).collect();
    let [a, b, c] = [0, 1, 2].map(|at| &sockets[at]);
    assert!(arrives(a, b, c));
    network
        .silence(&[Place::Site(0)], &[Place::Site(1)])
        .expect("silenced");
    assert!(!arrives(a, b, c));
    assert!(arrives(b, a, c));
    assert!(arrives(a, c, b));
    network
        .let_hear(&[Place::Site(0)], &[Place::Site(1)])
        .expect("healed");
    assert!(arrives(a, b, c));
    network.cut(0).expect("cut");
    assert!(!arrives(a, b, c));
    network.heal(0).expect("healed");
    assert!(arrives(a, b, c));
}
