//! Real `mariadbd` processes under agents and servers of this build: what befalls a primary and its replicas, what is
//! decided about it and why, and that nothing that was committed is lost. Each fault comes once or twice, or as often as
//! `TENURE_MYSQL_ROUNDS` says, from equal footing each time; a line that begins with `TALLY` says what came of it.

#[path = "mysql/adopt.rs"]
mod adopt;
#[path = "mysql/elsewhere.rs"]
mod elsewhere;
#[path = "mysql/full.rs"]
mod full;
#[path = "mysql/kills.rs"]
mod kills;
#[path = "mysql/load.rs"]
mod load;
#[path = "mysql/looks.rs"]
mod looks;
#[path = "mysql/purged.rs"]
mod purged;
#[path = "mysql/replicas.rs"]
mod replicas;
#[path = "mysql/returns.rs"]
mod returns;
#[path = "mysql/sessions.rs"]
mod sessions;
#[path = "mysql/setup.rs"]
mod setup;
#[path = "mysql/site.rs"]
mod site;
#[path = "mysql/stuck.rs"]
mod stuck;
#[path = "mysql/switching.rs"]
mod switching;
#[path = "mysql/tally.rs"]
mod tally;
#[path = "mysql/terms.rs"]
mod terms;
#[path = "mysql/weakened.rs"]
mod weakened;
