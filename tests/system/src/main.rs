//! thin
mod kernel;
mod network;
use std::time::Duration;
use tenure_server::{Config, Server};
use tenure_tests::cluster::Calls;
use tenure_core::{ServerId, Command};

fn main() {
    assert!(tenure_proto::net::simulate(Box::new(network::Simulated)));
    if std::env::var("LOG").is_ok() {
        tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).init();
    }
    for _ in 0..2 {
        let real = std::time::Instant::now();
        let t = std::thread::spawn(|| { kernel::begin(7); run(7) });
        t.join().unwrap();
        println!("real {:?}", real.elapsed());
    }
}

fn run(seed: u64) {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(3600))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(0))
        .max_message_latency(Duration::from_millis(3))
        .tcp_capacity(65536)
        .build();
    let servers: String = (1..=3).map(|i| format!("[[servers]]\nid = {i}\nraft = \"s{i}:7401\"\napi = \"s{i}:7400\"\n")).collect();
    for i in 1..=3 {
        let data = dir.path().join(format!("s{i}"));
        let text = format!("cluster = \"sim\"\nserver = {i}\ndata_dir = {data:?}\n[raft]\nlisten = \"0.0.0.0:7401\"\n[api]\nlisten = \"0.0.0.0:7400\"\n{servers}");
        sim.host(format!("s{i}"), move || {
            let text = text.clone();
            async move {
                let config = Config::parse("sim.toml".as_ref(), &text)?;
                let running = Server::start(config).await?;
                running.wait().await?;
                Ok(())
            }
        });
    }
    sim.client("c1", async move {
        let calls: Vec<Calls> = (1..=3).map(|i| Calls::new(ServerId(i), &format!("s{i}:7400"))).collect();
        for round in 0..2000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let mut done = false;
            for c in &calls {
                match c.execute(&Command::OpenClient, None).await {
                    Ok(d) => { println!("{:?} round {round} server {:?} done at {}", kernel::elapsed(), c.server, d.revision); done = true; break }
                    Err(e) => if std::env::var("LOG").is_ok() { println!("{e}") },
                }
            }
            if done { break }
        }
        Ok(())
    });
    loop {
        let end = sim.step().unwrap();
        kernel::set_elapsed(sim.elapsed());
        if end { break }
    }
    println!("sim {:?} trace {:?}", sim.elapsed(), network::trace());
}
