use super::*;
use tenure_core::{LossPolicy, Policy};

#[test]
fn the_example_has_eleven_nodes_in_four_tiers() {
    let topology = parse("example", EXAMPLE).unwrap();
    let tier = |prefix: &str| {
        topology
            .nodes
            .keys()
            .filter(|name| name.as_str().starts_with(prefix))
            .count()
    };
    assert_eq!(topology.nodes.len(), 11);
    assert_eq!(
        [
            tier("front-"),
            tier("db-"),
            tier("storage-"),
            tier("search-")
        ],
        [2, 3, 3, 3]
    );
    assert_eq!(topology.services.len(), 9);
    for (name, service) in &topology.services {
        for node in service.instances.keys() {
            assert!(topology.nodes.contains_key(node), "{name} on {node}");
        }
        let is_primary = service.policy.kind() == Kind::Primary;
        assert_eq!(service.first_primary.is_some(), is_primary, "{name}");
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let text = "[nodes.a]\n[services.s]\nkind = \"primary\"\nreplicas = 0\n[services.s.instances]\na = \"h:1\"\n";
    let topology = parse("t.toml", text).unwrap();
    let node = topology.nodes.values().next().unwrap();
    assert_eq!((node.weight, &node.zone), (100, &None));
    let service = topology.services.values().next().unwrap();
    assert_eq!(service.instances.values().next().unwrap().preference, 100);
    let Policy::Primary(policy) = service.policy else {
        panic!("{:?}", service.policy);
    };
    assert_eq!(
        (policy.loss, policy.replicas, policy.write_acks),
        (LossPolicy::Never, 0, 0)
    );
}

#[test]
fn a_bounded_loss_has_its_bound() {
    let text = "[services.s]\nkind = \"primary\"\nloss = \"bounded\"\nloss_bound = 7\n";
    let topology = parse("t.toml", text).unwrap();
    let Policy::Primary(policy) = topology.services.values().next().unwrap().policy else {
        panic!("it is of kind primary");
    };
    assert_eq!(policy.loss, LossPolicy::Bounded(7));
}

/// Each text is refused with its sentence.
fn refused(table: &[(&str, &str)]) {
    for (text, sentence) in table {
        let error = parse("t.toml", text).expect_err(text);
        assert_eq!(error.to_string(), *sentence, "{text}");
    }
}

#[test]
fn errors_about_nodes_name_file_key_value_and_what_would_be_right() {
    refused(&[
        (
            "servers = 1",
            "t.toml: servers: is no key that is known here; known are nodes, services",
        ),
        ("nodes = 1", "t.toml: nodes = 1: a table is needed"),
        (
            "[nodes.Db]",
            "t.toml: nodes.Db: 'D' at byte 0 has no place in a name: use a-z, 0-9 and '-'",
        ),
        (
            "[nodes.a]\nzone = 3",
            "t.toml: nodes.a.zone = 3: a text in quotes is needed",
        ),
        (
            "[nodes.a]\nzone = \"a b\"",
            "t.toml: nodes.a.zone = \"a b\": ' ' at byte 1 has no place in a name: use a-z, 0-9 and '-'",
        ),
        (
            "[nodes.a]\nweight = -1",
            "t.toml: nodes.a.weight = -1: must be a whole number from 0 to 100000",
        ),
        (
            "[nodes.a]\nweight = 1.5",
            "t.toml: nodes.a.weight = 1.5: must be a whole number from 0 to 100000",
        ),
        (
            "[nodes.a]\nlabels = { x = 1 }",
            "t.toml: nodes.a.labels.x = 1: a text is needed",
        ),
        (
            "[nodes.a]\nlabels = { x = \"\\u001b[2J\" }",
            "t.toml: nodes.a.labels = {…}: a control character stands at byte 0",
        ),
    ]);
}

#[test]
fn errors_about_policies_name_what_would_be_right() {
    refused(&[
        (
            "[services.s]",
            "t.toml: services.s.kind: is missing; \"primary\", \"peers\" or \"copies\" is needed",
        ),
        (
            "[services.s]\nkind = \"primry\"",
            "t.toml: services.s.kind = \"primry\": must be \"primary\", \"peers\" or \"copies\"",
        ),
        (
            "[services.s]\nkind = \"peers\"\nreplicas = 2",
            "t.toml: services.s.replicas: is a key of services of kind primary, and this one is of kind peers, which has healthy_min",
        ),
        (
            "[services.s]\nkind = \"peers\"\nhealthy = 2",
            "t.toml: services.s.healthy: is no key that is known here; known are kind, instances, first_primary, healthy_min",
        ),
        (
            "[services.s]\nkind = \"primary\"\nloss = \"some\"",
            "t.toml: services.s.loss = \"some\": must be \"never\", \"bounded\" or \"available\"",
        ),
        (
            "[services.s]\nkind = \"primary\"\nloss_bound = 3",
            "t.toml: services.s.loss_bound = 3: only goes with loss = \"bounded\"",
        ),
        (
            "[services.s]\nkind = \"primary\"\nreplicas = 2\nwrite_acks = 3",
            "t.toml: services.s.write_acks = 3: write_acks (3) must be at most replicas (2)",
        ),
        (
            "[services.s]\nkind = \"copies\"\ncopies = 1",
            "t.toml: services.s.write_min: write_min (2) must be at most copies (1)",
        ),
        (
            "[services.s]\nkind = \"copies\"\nspread_zones = \"yes\"",
            "t.toml: services.s.spread_zones = \"yes\": must be true or false",
        ),
    ]);
}

#[test]
fn errors_about_instances_name_what_would_be_right() {
    refused(&[
        (
            "[services.s]\nkind = \"peers\"\nfirst_primary = \"a\"",
            "t.toml: services.s.first_primary = \"a\": a service of kind peers has no primary; leave the key out",
        ),
        (
            "[services.s]\nkind = \"primary\"\nfirst_primary = \"b\"\ninstances = { a = \"h:1\" }",
            "t.toml: services.s.first_primary = \"b\": must be one of its instances: a",
        ),
        (
            "[services.s]\nkind = \"peers\"\ninstances = { a = \"h\" }",
            "t.toml: services.s.instances.a = \"h\": must be HOST:PORT with a port from 1 to 65535 (IPv6 in brackets)",
        ),
        (
            "[services.s]\nkind = \"peers\"\ninstances = { a = 80 }",
            "t.toml: services.s.instances.a = 80: must be \"HOST:PORT\" or { endpoint = \"HOST:PORT\", preference = 100 }",
        ),
        (
            "[services.s]\nkind = \"peers\"\ninstances = { a = { preference = 1 } }",
            "t.toml: services.s.instances.a.endpoint: is missing; a text \"HOST:PORT\" is needed",
        ),
        (
            "[services.\"a\\u001bb\"]\nkind = \"peers\"",
            "t.toml: services.\"a\\u{1b}b\": '\\u{1b}' at byte 1 has no place in a name: use a-z, 0-9 and '-'",
        ),
    ]);
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let error = parse("t.toml", "[nodes.a]\nzone = \n")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("t.toml: this is not TOML: TOML parse error at line 2"),
        "{error}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    let error = read(&path).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}: ", path.display())),
        "{error}"
    );
}
