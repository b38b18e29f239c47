//! Somebody's session at one server, which stays open and may be in the way of others.

use std::net::SocketAddr;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tenure_tests::mariadb::config::Login;
use tenure_tests::mariadb::link;
use tokio::sync::Mutex;

const BOUND: Duration = Duration::from_secs(30);

/// Open until it is dropped.
pub struct Session {
    conn: Mutex<Conn>,
}

impl Session {
    pub async fn open(address: SocketAddr, login: Login) -> Session {
        let conn = link::connect(address, login).await.expect("connects");
        Session {
            conn: Mutex::new(conn),
        }
    }

    async fn run(&self, statement: &str) -> mysql_async::Result<()> {
        let mut conn = self.conn.lock().await;
        link::within(BOUND, conn.query_drop(statement)).await
    }

    pub async fn tell(&self, statement: &str) {
        let told = self.run(statement).await;
        told.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// Why it is refused, or that the session was ended.
    pub async fn refused(&self, statement: &str) -> String {
        let told = self.run(statement).await;
        told.expect_err("it fails").to_string()
    }
}
