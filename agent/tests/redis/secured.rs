//! Instances that want a password, a user with no more rights than needed, or certificates.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tenure_agent::driver::{Driver, InstanceAt, parse};
use tenure_core::agent::{Action, Feat, Observed};
use tenure_core::{Endpoint, Health, Millis, Presence, Rejoin, ServiceName};

use crate::server::{Server, free_port};
use crate::setup::{FENCE, Group, PLAIN, driver, following, lead, position, promote, see_linked};

const SECRET: &str = "a secret";

#[tokio::test]
async fn a_password_is_wanted_and_given_also_for_following() {
    let servers: Vec<Server> = (0..2)
        .map(|_| Server::secured(&["--save", ""], SECRET))
        .collect();
    for (settings, said) in [
        (PLAIN.to_owned(), "NOAUTH"),
        (
            format!("{PLAIN}\npassword = 'wrong'"),
            "authentication failed",
        ),
    ] {
        let seen = driver(&servers[0], &settings).observe().await;
        assert_eq!(
            (seen.presence, seen.health),
            (Presence::Running, Health::Failing)
        );
        assert!(seen.note.as_str().contains(said), "{seen:?}");
    }
    let file = servers[0].path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let settings = format!(
        "{PLAIN}\npassword_file = {:?}\nreplication_password = {SECRET:?}",
        file.display().to_string()
    );
    let group = Group::of(servers, &settings).await;
    group.write("a", "1");
    assert!(group.servers[1].client().ask(&["GET", "a"]).is("1"));
}

#[tokio::test]
async fn no_more_rights_are_needed_than_are_written_down() {
    let rights = "+info +role +ping +exists +config|get +config|set +replicaof +client|pause \
                  +client|unpause +client|list +client|kill +script|kill +function|kill +psync +set \
                  +acl|users +acl|setuser +acl|deluser";
    let words: Vec<&str> = rights.split(' ').collect();
    let servers: Vec<Server> = (0..2).map(|_| Server::start()).collect();
    for server in &servers {
        let mut command = vec![
            "ACL",
            "SETUSER",
            "tenure",
            "on",
            ">secret",
            "~tenure:probe:*",
        ];
        command.extend(&words);
        assert!(server.client().ask(&command).is("OK"));
    }
    let slow = PLAIN.replace("probe_every = 20", "probe_every = 60000");
    let settings = format!("{slow}\nusername = 'tenure'\npassword = 'secret'");
    let Group {
        servers,
        mut drivers,
    } = Group::of(servers, &settings).await;
    assert_eq!(drivers[0].observe().await.health, Health::Healthy);
    position(drivers[0].act(Action::Measure).await);
    let members = Action::Permit {
        members: std::collections::BTreeMap::new(),
    };
    // The only replica is no member.
    let _detached = drivers[0].act(members).await;
    position(drivers[1].act(Action::Detach).await);
    position(drivers[0].act(Action::Quiesce { lasting: Millis(1) }).await);
    assert_eq!(drivers[0].act(Action::Resume).await, Ok(Feat::Done));
    assert!(servers[0].client().ask(&["SET", "only", "here"]).is("OK"));
    position(drivers[0].act(FENCE).await);
    lead(&mut *drivers[1], 2, &servers).await;
    let feat = drivers[0].act(following(2, &servers[1])).await;
    let Ok(Feat::Follows(Some((Rejoin::Ahead | Rejoin::Diverged, note)))) = feat else {
        panic!("{feat:?}");
    };
    assert!(note.as_str().contains("1 changes"), "{note}");
    see_linked(&mut *drivers[0]).await;
}

/// A certificate of `issuer` for 127.0.0.1, and its key.
fn write_certificate(folder: &Path, issuer: &CertifiedIssuer<'_, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, issuer)
        .unwrap();
    std::fs::write(folder.join("cert"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("ca"), issuer.pem()).unwrap();
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Or else the issuer and what it issues would have one name, and be taken for one.
    params
        .distinguished_name
        .push(DnType::CommonName, "authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with a port for TLS beside its own, and the driver that uses it alone.
fn secured(issuer: &CertifiedIssuer<'_, KeyPair>) -> (Server, Endpoint) {
    let mut server = Server::stopped(&["--save", ""]);
    write_certificate(server.path(), issuer);
    let port = free_port().to_string();
    let tls = [
        "--tls-port",
        &port,
        "--tls-replication",
        "yes",
        "--tls-cert-file",
        "cert",
    ];
    server.add(&tls);
    server.add(&[
        "--tls-key-file",
        "key",
        "--tls-ca-cert-file",
        "ca",
        "--tls-auth-clients",
        "yes",
    ]);
    server.launch();
    let endpoint = Endpoint::new(&format!("127.0.0.1:{port}")).unwrap();
    (server, endpoint)
}

fn driver_of(server: &Server, endpoint: &Endpoint, tls: &str) -> Box<dyn Driver> {
    let instance = InstanceAt {
        service: ServiceName::new("redis-server").unwrap(),
        endpoint: endpoint.clone(),
        folder: server.path().join("agent"),
    };
    let slow = PLAIN.replace("probe_every = 20", "probe_every = 60000");
    parse(
        "redis",
        instance,
        format!("{slow}\n[tls]\n{tls}").parse().unwrap(),
    )
    .unwrap()
}

fn files(folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    format!(
        "ca_file = {:?}\ncert_file = {:?}\nkey_file = {:?}",
        path("ca"),
        path("cert"),
        path("key")
    )
}

#[tokio::test]
async fn everything_goes_over_tls_the_tail_too() {
    let issuer = authority();
    let (old, old_at) = secured(&issuer);
    let (new, new_at) = secured(&issuer);
    let mut first = driver_of(&old, &old_at, &files(old.path()));
    let mut second = driver_of(&new, &new_at, &files(new.path()));
    let permit = |member: &Endpoint| Action::Permit {
        members: [(tenure_core::NodeId(9), member.clone())].into(),
    };
    promote(&mut *first, 1).await;
    position(first.act(permit(&new_at)).await);
    let follow = |epoch, primary: &Endpoint| Action::Follow {
        epoch: tenure_core::Epoch(epoch),
        primary: primary.clone(),
    };
    assert!(matches!(
        second.act(follow(1, &old_at)).await,
        Ok(Feat::Follows(_))
    ));
    see_linked(&mut *second).await;
    let mut client = old.client();
    assert!(client.ask(&["SET", "a", "1"]).is("OK"));
    assert_eq!(client.ask(&["WAIT", "1", "20000"]).number(), 1);
    position(second.act(Action::Detach).await);
    assert!(client.ask(&["SET", "only", "here"]).is("OK"));
    position(first.act(FENCE).await);
    promote(&mut *second, 2).await;
    position(second.act(permit(&old_at)).await);
    let feat = first.act(follow(2, &new_at)).await;
    let Ok(Feat::Follows(Some((_, note)))) = feat else {
        panic!("{feat:?}");
    };
    assert!(note.as_str().contains("1 changes"), "{note}");
    let seen = see_linked(&mut *first).await;
    assert_eq!(seen.role, Observed::Following { linked: true });
    assert_eq!(
        second.act(Action::Probe { primary: new_at }).await,
        Ok(Feat::Sees(true))
    );
}

#[tokio::test]
async fn whoever_shows_the_certificate_of_another_is_not_spoken_with() {
    let (server, at) = secured(&authority());
    let stranger = tempfile::tempdir().unwrap();
    write_certificate(stranger.path(), &authority());
    let mut driver = driver_of(&server, &at, &files(stranger.path()));
    let seen = driver.observe().await;
    assert_eq!(
        (seen.role, seen.health),
        (Observed::Nothing, Health::Failing)
    );
    assert!(seen.note.as_str().contains("TLS"), "{seen:?}");
    let nameless = format!("{}\nserver_name = 'redis.example'", files(server.path()));
    let seen = driver_of(&server, &at, &nameless).observe().await;
    assert!(seen.note.as_str().contains("redis.example"), "{seen:?}");
}
