use super::*;

const WITHIN: Duration = Duration::from_secs(60);

/// An instance on a port of its own.
async fn instance() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let shared: Shared = Arc::new(watch::Sender::new(State::default()));
    tokio::spawn(follow(shared.clone(), endpoint.clone()));
    tokio::spawn(serve(listener, shared));
    endpoint
}

async fn said(line: &mut Line, command: &str) -> String {
    match line.ask(command, WITHIN).await.unwrap() {
        Answer::Done(text) | Answer::Value(Some(text)) => text,
        Answer::Number(number) => number.to_string(),
        Answer::Refused(why) => format!("refused: {why}"),
        Answer::Value(None) => "nothing".to_owned(),
    }
}

/// Asks for the state until it begins so.
async fn becomes(line: &mut Line, wanted: &str) {
    let until = Instant::now() + WITHIN;
    loop {
        let told = said(line, "STATE").await;
        if told.starts_with(wanted) {
            return;
        }
        assert!(Instant::now() < until, "not {wanted}, but {told}");
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_replica_acknowledges_takes_over_and_the_old_primary_follows() {
    let (first, second) = (instance().await, instance().await);
    let mut one = Line::connect(&first).await.unwrap();
    let mut two = Line::connect(&second).await.unwrap();
    let mut client = Line::connect(&first).await.unwrap();
    assert!(said(&mut client, "SET k 1").await.contains("READONLY"));

    said(&mut one, "PROMOTE 1 1").await;
    assert!(said(&mut client, "SET k 1").await.contains("NOREPLICAS"));
    said(&mut two, &format!("FOLLOW {first}")).await;
    becomes(&mut two, "linked").await;
    assert_eq!(said(&mut client, "SET k 1").await, "OK");
    assert_eq!(said(&mut client, "WAIT 1 60000").await, "1");

    // Writes are held back, and told that nothing was done when the role moves.
    said(&mut one, "HOLD 60000").await;
    client.send(&["SET k 2"]).await.unwrap();
    assert!(said(&mut one, "FENCE orderly").await.starts_with("fenced"));
    let refused = client.answer(WITHIN).await.unwrap();
    assert!(matches!(refused, Answer::Refused(why) if why.contains("READONLY")));

    said(&mut two, "DETACH").await;
    said(&mut two, "PROMOTE 2 0").await;
    let told = said(&mut one, &format!("FOLLOW {second}")).await;
    assert!(told.ends_with(" identical"), "{told}");
    let mut client = Line::connect(&second).await.unwrap();
    assert_eq!(said(&mut client, "GET k").await, "1");
    assert_eq!(said(&mut client, "SET k 3").await, "OK");
    assert_eq!(said(&mut client, "WAIT 1 60000").await, "1");
    assert_eq!(said(&mut one, "GET k").await, "3");
}

#[tokio::test]
async fn who_waits_when_the_primary_is_fenced_is_not_told_that_it_is_kept() {
    let first = instance().await;
    let mut one = Line::connect(&first).await.unwrap();
    said(&mut one, "PROMOTE 1 0").await;
    let mut client = Line::connect(&first).await.unwrap();
    assert_eq!(said(&mut client, "SET k 1").await, "OK");
    client.send(&["WAIT 1 60000"]).await.unwrap();
    assert!(said(&mut one, "FENCE at-once").await.starts_with("fenced"));
    let refused = client.answer(WITHIN).await.unwrap();
    assert!(matches!(refused, Answer::Refused(why) if why.contains("FENCED")));
}
