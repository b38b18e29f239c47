//! Configurations as people may write them: taken, or refused with the file and what is wrong.

use std::path::Path;

use proptest::prelude::*;
use tenure_garble::garbled_text;
use tenure_server::Config;

const RIGHT: &str = r#"
cluster = "site-1"
server = 1
data_dir = "/nonexistent/tenure"

[raft]
listen = "10.0.0.1:7401"

[api]
listen = "10.0.0.1:7400"

[[servers]]
id = 1
raft = "10.0.0.1:7401"
api = "10.0.0.1:7400"

[[servers]]
id = 2
raft = "10.0.0.2:7401"
api = "10.0.0.2:7400"

[[servers]]
id = 3
raft = "10.0.0.3:7401"
api = "10.0.0.3:7400"
"#;

#[test]
fn what_is_garbled_was_right() {
    let taken = Config::parse(Path::new("server.toml"), RIGHT);
    assert_eq!(
        taken.map(|it| it.cluster().to_owned()).ok().as_deref(),
        Some("site-1")
    );
}

proptest! {
    #[test]
    fn garbage_for_a_configuration_is_taken_or_refused_by_name(text in garbled_text(Just(RIGHT.to_owned()).boxed())) {
        if let Err(refused) = Config::parse(Path::new("server.toml"), &text) {
            let said = refused.to_string();
            prop_assert!(said.starts_with("server.toml: "), "{}", said);
            prop_assert!(said.len() > 17, "{}", said);
        }
    }
}
