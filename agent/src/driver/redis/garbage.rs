//! What an instance may say of itself, and send as its stream: read as far as it makes sense, whatever it is.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;
use tenure_core::{Endpoint, ServiceName};
use tenure_garble::{frugally, garbled, garbled_text};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::history::compare;
use super::info::{Persistence, Process, Replication, keys};
use super::line::Dial;
use super::settings::Settings;
use super::stream::{Counter, database_at_end};
use super::tail::{Wanted, read};
use crate::driver::InstanceAt;

const PRIMARY: &str = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
    slave0:ip=10.0.0.2,port=6379,state=online,offset=1400,lag=0\r\n\
    slave1:ip=10.0.0.3,port=6379,state=online,offset=1386,lag=1\r\n\
    master_failover_state:no-failover\r\nmaster_replid:8c1d1b0d6f7e2f4b\r\n\
    master_replid2:0000000000000000\r\nmaster_repl_offset:1400\r\nsecond_repl_offset:-1\r\n\
    repl_backlog_active:1\r\nrepl_backlog_first_byte_offset:1\r\n";
const REPLICA: &str = "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n\
    master_link_status:up\r\nmaster_sync_in_progress:0\r\nslave_repl_offset:1400\r\n\
    slave_read_only:1\r\nmaster_replid:8c1d1b0d6f7e2f4b\r\nmaster_replid2:77aa\r\n\
    master_repl_offset:1400\r\nsecond_repl_offset:801\r\nrepl_backlog_active:0\r\n";
const REST: &str = "redis_version:7.2.4\r\nrun_id:9f8e7d6c5b4a39281706f5e4d3c2b1a0\r\n\
    process_id:4242\r\nconfig_file:/etc/redis.conf\r\nloading:0\r\nrdb_last_bgsave_status:ok\r\n\
    db0:keys=12,expires=0\r\ndb9:keys=18446744073709551615,expires=1\r\n";

fn said() -> BoxedStrategy<String> {
    prop::sample::select(vec![PRIMARY, REPLICA, REST])
        .prop_map(str::to_owned)
        .boxed()
}

fn stream() -> BoxedStrategy<Vec<u8>> {
    let word = prop_oneof![
        Just("SET".to_owned()),
        Just("select".to_owned()),
        Just("PING".to_owned()),
        Just("own:x".to_owned()),
        "\\PC{0,70}",
        "[0-9]{1,20}",
    ];
    let command = prop::collection::vec(word, 0..5).prop_map(|words| {
        let each = words.iter().map(|it| format!("${}\r\n{it}\r\n", it.len()));
        format!("*{}\r\n{}", words.len(), each.collect::<String>())
    });
    let commands = prop::collection::vec(command, 0..6);
    commands.prop_map(|all| all.concat().into_bytes()).boxed()
}

fn dial(port: u16) -> Dial {
    let at = InstanceAt {
        service: ServiceName::new("redis-server").expect("it is well-formed"),
        endpoint: Endpoint::new(&format!("127.0.0.1:{port}")).expect("it is well-formed"),
        folder: "nowhere".into(),
    };
    Dial::new(&Settings::parse(&at, toml::Table::new()).expect("it is well-formed"))
}

proptest! {
    #[test]
    fn what_an_instance_says_is_read_as_far_as_it_makes_sense(
        text in garbled_text(said()),
        other in garbled_text(said()),
    ) {
        frugally(text.len(), || {
            drop((Process::read(&text), Persistence::read(&text), keys(&text)));
            assert!(Process::number(&text) > 0);
        });
        let read = frugally(text.len(), || Replication::read(&text));
        if let Some(read) = &read {
            drop((read.position(true), read.position(false)));
        }
        if let (Some(one), Some(other)) = (read, Replication::read(&other)) {
            let (there, back) = (compare(&one.track, &other.track), compare(&other.track, &one.track));
            prop_assert_eq!(there.map(|it| it.fork), back.map(|it| it.fork));
        }
    }

    #[test]
    fn a_stream_counts_alike_however_it_is_cut(
        bytes in garbled(stream()),
        cuts in prop::collection::vec(1..30_usize, 1..20),
    ) {
        let mut whole = Counter::new("own:");
        frugally(bytes.len(), || whole.feed(&bytes));
        let mut pieces = Counter::new("own:");
        let mut rest = &bytes[..];
        for cut in cuts {
            let (piece, left) = rest.split_at(cut.min(rest.len()));
            pieces.feed(piece);
            rest = left;
        }
        pieces.feed(rest);
        prop_assert_eq!(pieces.counted(), whole.counted());
        frugally(bytes.len(), || database_at_end(&bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 8,
        ..ProptestConfig::default()
    })]

    /// An instance that answers `PSYNC` with anything: a file is left only when as much came as was asked for.
    #[test]
    fn a_tail_is_whole_or_is_not_there(
        answer in prop_oneof![Just("+CONTINUE\r\n"), Just("+FULLRESYNC a 1\r\n$40\r\n"), Just("")],
        bytes in garbled(stream()),
        (fork, to) in (0..60_u64, 0..200_u64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it is well-formed");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("it is well-formed");
            let port = listener.local_addr().expect("it is well-formed").port();
            let sent = [answer.as_bytes(), &bytes].concat();
            let answering = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.expect("it is well-formed");
                let mut asked = [0; 512];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(&sent).await;
            });
            let folder = tempfile::tempdir().expect("it is well-formed");
            let wanted = Wanted {
                history: "a".to_owned(),
                fork: Some(fork),
                to: fork + to,
                backlog_from: Some(1),
                stem: Some(folder.path().join("tail")),
            };
            let read = read(dial(port), wanted, Arc::new(AtomicU64::new(0))).await;
            answering.await.expect("it is well-formed");
            let left: Vec<_> = std::fs::read_dir(folder.path()).expect("it is well-formed").flatten().collect();
            let whole = |path: &std::path::Path| path.extension().is_none_or(|end| end != "part");
            let saved = left.iter().filter(|file| whole(&file.path())).count();
            match read {
                Ok(tail) => assert_eq!(saved, usize::from(tail.path.is_some())),
                Err(refused) => {
                    assert_eq!(saved, 0, "{refused}");
                    assert!(refused.to_string().len() > 10, "{refused}");
                }
            }
        });
    }
}
