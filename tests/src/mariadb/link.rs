//! Connections to `mariadbd`, each attempt bounded.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, Error, OptsBuilder, Result};

use super::config::Login;

/// How long a connection may take.
pub const CONNECT_BOUND: Duration = Duration::from_millis(500);
const ANSWER_BOUND: Duration = Duration::from_secs(10);

/// A connection, logged in.
///
/// # Errors
/// It is not reached within [`CONNECT_BOUND`], or refuses. A retry is safe.
pub async fn connect(address: SocketAddr, login: Login) -> Result<Conn> {
    // What is named here is not asked for: one round trip fewer.
    let opts = OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(Some(login.name))
        .pass(Some(login.password))
        .prefer_socket(Some(false))
        .max_allowed_packet(Some(16 << 20))
        .wait_timeout(Some(28_800));
    within(CONNECT_BOUND, Conn::new(opts)).await
}

/// All rows of a query, on a connection of its own.
///
/// # Errors
/// It is not reached, does not answer within ten seconds, or refuses. Whether a retry is safe depends on the query.
pub async fn ask<T>(address: SocketAddr, login: Login, query: &str) -> Result<Vec<T>>
where
    T: FromRow + Send + 'static,
{
    let mut connection = connect(address, login).await?;
    let rows = within(ANSWER_BOUND, connection.query(query)).await?;
    let _gone_already = within(CONNECT_BOUND, connection.disconnect()).await;
    Ok(rows)
}

/// Several statements whose rows nobody wants, one after the other on a connection of their own.
///
/// # Errors
/// As of [`ask`], at the first that fails.
pub async fn tell(address: SocketAddr, login: Login, statements: &[&str]) -> Result<()> {
    let mut connection = connect(address, login).await?;
    for statement in statements {
        within(ANSWER_BOUND, connection.query_drop(*statement)).await?;
    }
    let _gone_already = within(CONNECT_BOUND, connection.disconnect()).await;
    Ok(())
}

/// What comes of `doing`, unless it takes longer.
///
/// # Errors
/// Its own, or that of the time.
pub async fn within<T>(bound: Duration, doing: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(bound, doing).await {
        Ok(done) => done,
        Err(elapsed) => Err(Error::from(io::Error::from(elapsed))),
    }
}

/// The value of a variable or a state, by its statement (`SHOW GLOBAL STATUS LIKE ..`); empty when there is none.
///
/// # Errors
/// As of [`ask`]. A retry is safe.
pub async fn shown(address: SocketAddr, login: Login, query: &str) -> Result<String> {
    let rows: Vec<(String, String)> = ask(address, login, query).await?;
    let first = rows.into_iter().next();
    Ok(first.map(|(_name, value)| value).unwrap_or_default())
}

/// Those of these writes of a writer that are not there.
///
/// # Errors
/// As of [`ask`]. A retry is safe.
pub async fn missing(
    address: SocketAddr,
    login: Login,
    writer: &str,
    numbers: &[u64],
) -> Result<BTreeSet<u64>> {
    let query = format!("SELECT number FROM app.writes WHERE writer = '{writer}'");
    let there: Vec<u64> = ask(address, login, &query).await?;
    let there: BTreeSet<u64> = there.into_iter().collect();
    let lost = numbers.iter().filter(|number| !there.contains(number));
    Ok(lost.copied().collect())
}
