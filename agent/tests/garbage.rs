//! Configurations as people may write them: taken, or refused with the file and what is wrong.

use std::path::Path;

use proptest::prelude::*;
use tenure_agent::Config;
use tenure_garble::garbled_text;

const RIGHT: &str = r#"
cluster = "site-1"
servers = ["10.0.0.1:7400", "10.0.0.2:7400"]
node = "db-1"
zone = "rack-a"
labels = { disk = "nvme" }
weight = 100
state_dir = "/nonexistent/agent"
listen = "127.0.0.1:7420"

[pledge]
listen = "10.0.0.11:7421"

[[services]]
name = "redis-server"
driver = "redis"
endpoint = "10.0.0.11:6379"
preference = 100
on_stop = "hand-over"
[services.settings]
answer_within = 500
on_restart = "leave"

[[services]]
name = "web-server"
driver = "peer"
endpoint = "10.0.0.11:80"
[services.settings]
check = "http"
path = "/ready"

[[services]]
name = "mysql-server"
driver = "command"
endpoint = "10.0.0.11:3306"
[services.settings]
program = ["/bin/true"]
"#;

#[test]
fn what_is_garbled_was_right() {
    let taken = Config::parse(Path::new("agent.toml"), RIGHT);
    assert_eq!(taken.map(|it| it.services().count()), Ok(3));
}

proptest! {
    #[test]
    fn garbage_for_a_configuration_is_taken_or_refused_by_name(text in garbled_text(Just(RIGHT.to_owned()).boxed())) {
        if let Err(refused) = Config::parse(Path::new("agent.toml"), &text) {
            let said = refused.to_string();
            prop_assert!(said.starts_with("agent.toml: "), "{}", said);
            prop_assert!(said.len() > 16, "{}", said);
        }
    }
}
