//! The configuration as it stands in the file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) cluster: String,
    pub(super) servers: Vec<String>,
    pub(super) node: String,
    pub(super) zone: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) weight: Option<u32>,
    pub(super) state_dir: PathBuf,
    pub(super) listen: Option<String>,
    pub(super) pledge: Option<Pledge>,
    #[serde(default)]
    pub(super) services: Vec<Service>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pledge {
    pub(super) listen: String,
    pub(super) advertise: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) driver: String,
    pub(super) endpoint: String,
    pub(super) preference: Option<u32>,
    #[serde(default = "hand_over")]
    pub(super) on_stop: String,
    #[serde(default)]
    pub(super) settings: toml::Table,
}

fn hand_over() -> String {
    "hand-over".to_owned()
}
