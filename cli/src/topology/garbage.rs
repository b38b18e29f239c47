//! Topology files as people may write them: taken, or refused with the file and what is wrong.

use super::{EXAMPLE, parse};
use proptest::prelude::*;
use tenure_garble::{frugally, garbled_text};

proptest! {
    #[test]
    fn a_topology_is_taken_or_refused_by_name(text in garbled_text(Just(EXAMPLE.to_owned()).boxed())) {
        // Parsing TOML takes more than the decoders of the wire, and only what a person wrote.
        if let Err(refused) = frugally(64 * text.len(), || parse("topology.toml", &text)) {
            let said = refused.to_string();
            prop_assert!(said.contains("topology.toml"), "{}", said);
            prop_assert!(said.len() > 16, "{}", said);
        }
    }
}
