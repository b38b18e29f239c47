//! How one node of the store is set up.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tenure_client::core::{Endpoint, NodeName, ServiceName, Zone};

/// The configuration of one node, as read from a TOML file.
#[derive(Debug, Clone)]
pub struct Config {
    /// The cluster's name.
    pub cluster: String,
    /// Where servers of the cluster are reached.
    pub servers: Vec<Endpoint>,
    /// The node's name.
    pub node: NodeName,
    /// Its failure domain.
    pub zone: Option<Zone>,
    /// Its share of the copies.
    pub weight: Option<u32>,
    /// The service, which an operator has added with `tenure service add NAME --kind copies`.
    pub service: ServiceName,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where others reach it, when that is not the address above.
    pub advertise: Option<Endpoint>,
    /// A folder for this node alone.
    pub data_dir: PathBuf,
}

/// Why a configuration cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {why}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// It is no TOML, or not of this shape.
    #[error("{path}: {why}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the place.
        why: String,
    },
    /// A value cannot be right.
    #[error("{path}: {key} = {value:?}: {why}", path = path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What would be right.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    cluster: String,
    servers: Vec<String>,
    node: String,
    zone: Option<String>,
    weight: Option<u32>,
    service: String,
    listen: String,
    advertise: Option<String>,
    data_dir: PathBuf,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the key and the value.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|why| ConfigError::Unreadable {
            path: path.to_path_buf(),
            why: why.to_string(),
        })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the key and the value.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let text: Text = toml::from_str(text).map_err(|why| ConfigError::Malformed {
            path: path.to_path_buf(),
            why: why.to_string(),
        })?;
        let keys = Keys { path };
        if text.servers.is_empty() {
            let why = "name at least one server, HOST:PORT";
            return Err(keys.wrong("servers", "[]", why));
        }
        let servers = text.servers.iter();
        let servers = servers.map(|it| keys.read("servers", it, Endpoint::new(it)));
        Ok(Self {
            servers: servers.collect::<Result<_, _>>()?,
            node: keys.read("node", &text.node, NodeName::new(&text.node))?,
            zone: keys.optional("zone", text.zone, Zone::new)?,
            service: keys.read("service", &text.service, ServiceName::new(&text.service))?,
            listen: keys.read("listen", &text.listen, text.listen.parse::<SocketAddr>())?,
            advertise: keys.optional("advertise", text.advertise, Endpoint::new)?,
            cluster: text.cluster,
            weight: text.weight,
            data_dir: text.data_dir,
        })
    }
}

struct Keys<'a> {
    path: &'a Path,
}

impl Keys<'_> {
    fn wrong(&self, key: &'static str, value: &str, why: impl ToString) -> ConfigError {
        ConfigError::Value {
            path: self.path.to_path_buf(),
            key,
            value: value.to_owned(),
            why: why.to_string(),
        }
    }

    fn read<T, E: ToString>(
        &self,
        key: &'static str,
        value: &str,
        read: Result<T, E>,
    ) -> Result<T, ConfigError> {
        read.map_err(|why| self.wrong(key, value, why))
    }

    fn optional<T, E: ToString>(
        &self,
        key: &'static str,
        value: Option<String>,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = value else {
            return Ok(None);
        };
        self.read(key, &value, read(&value)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
cluster = "site-1"
servers = ["10.0.0.1:7400"]
node = "storage-1"
zone = "a"
service = "blobs"
listen = "127.0.0.1:0"
data_dir = "/var/lib/blobstore"
"#;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("store.toml"), text)
    }

    #[test]
    fn the_example_is_right() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).with_extension("toml");
        let config = Config::load(&path).unwrap();
        assert_eq!(
            (config.node.as_str(), config.weight),
            ("storage-1", Some(100))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(parse(WHOLE).unwrap().node.as_str(), "storage-1");
        let table = [
            ("storage-1", "Storage 1", "store.toml: node = \"Storage 1\""),
            ("127.0.0.1:0", "here", "listen = \"here\""),
            ("10.0.0.1:7400", "", "servers = \"\""),
            ("zone =", "zome =", "zome"),
        ];
        for (there, instead, told) in table {
            let error = parse(&WHOLE.replace(there, instead)).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
