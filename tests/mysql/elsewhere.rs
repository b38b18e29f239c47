//! Data that are copied from a primary on another machine: by what an operator's program brings from there, or by a
//! program of his that does all of it.

use std::path::Path;

use tenure_tests::failover::moment::Moment;
use tenure_tests::mariadb::config::AGENT;

use super::site::{Plan, Site, eventually, rounds};
use super::tally::Tally;

/// The primary, whose process the agents do not find on this machine, and one whose data are copied.
const PRIMARY: u64 = 1;
const LATE: u64 = 2;

impl Site {
    /// A set whose primary is on another machine, as far as anybody can see.
    async fn with_primary_elsewhere() -> Site {
        let mut site = Site::unattended(Plan::default()).await;
        let pid = site.stores[&PRIMARY].files.folder.join("pid");
        std::fs::remove_file(pid).expect("it has written one");
        for node in super::site::ALL {
            site.start_agent(node).await;
        }
        site.serving().await;
        site
    }

    /// A program that lies beside the servers' folders, as the arguments that run it.
    fn program(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, format!("set -eu\n{text}")).expect("written");
        format!("[\"sh\", {:?}]", path.display().to_string())
    }

    /// What makes a backup of the primary there where it runs. It refuses to if it is asked for another.
    fn backup_there(&self) -> String {
        let store = &self.stores[&PRIMARY];
        let (ip, port) = (store.address.ip(), store.address.port());
        let (name, password) = (AGENT.name, AGENT.password);
        let config = store.files.config();
        format!(
            "[ \"$TENURE_PRIMARY\" = {ip}:{port} ]\n\
             backup() {{ mariadb-backup --defaults-file={} --backup --protocol=tcp --host={ip} --port={port} \
             --user={name} --password=\"{password}\" \"$@\"; }}\n",
            config.display()
        )
    }

    /// Waits for a replica that lacks what the primary has purged.
    async fn comes_too_late(&mut self) {
        let others = super::site::ALL.into_iter().filter(|node| *node != LATE);
        let others: Vec<u64> = others.collect();
        self.kill(LATE);
        self.in_sync(&others).await;
        self.purge(PRIMARY).await;
        self.start_store(LATE);
    }

    /// The agent of the late one is started anew with more settings.
    async fn told_how(&mut self, settings: String) {
        self.plan.agent = settings;
        self.drop_agent(LATE);
        self.start_agent(LATE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_are_copied_from_another_machine_by_what_an_operator_has_named() {
    let mut site = Site::with_primary_elsewhere().await;
    let mut tally = Tally::of("data are copied from another machine");
    let load = site.load().await;
    load.acknowledged(300).await;
    let backup = site.backup_there();
    let stream = site.program("backup", &format!("{backup}backup --stream=xbstream\n"));
    for _ in 0..rounds(1) {
        site.told_how(String::new()).await;
        site.whole().await;
        let data = site.data_of(LATE);
        site.comes_too_late().await;
        load.acknowledged(100).await;
        let said = eventually("it is said what is missing", || async {
            let said = site.remark(LATE).await;
            said.contains("set `backup` to a program").then_some(said)
        })
        .await;
        println!("{said}");
        assert_eq!(site.data_of(LATE), data, "nothing is touched");

        let returns = Moment::now();
        site.told_how(format!("backup = {stream}\n")).await;
        site.whole().await;
        tally.since("back in sync", returns);
        tally.decided("copied by what `backup` brings");
        assert_ne!(site.data_of(LATE), data, "its data are a copy");
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_of_the_operators_copies_data_by_itself() {
    let mut site = Site::with_primary_elsewhere().await;
    let mut tally = Tally::of("a program of the operator's copies data");
    let load = site.load().await;
    load.acknowledged(300).await;
    let own = site.stores[&LATE].files.folder.clone();
    let copying = copying(&own);
    let copies = site.program("reclone", &format!("{}{copying}", site.backup_there()));
    site.told_how(format!("reclone = {copies}\n")).await;
    for _ in 0..rounds(1) {
        site.whole().await;
        let data = site.data_of(LATE);
        site.comes_too_late().await;
        let returns = Moment::now();
        load.acknowledged(100).await;
        site.until("it is said", || async {
            let said = site.remark(LATE).await;
            said.contains("copying all data of").then_some(())
        })
        .await;
        site.whole().await;
        tally.since("back in sync", returns);
        tally.decided("copied by `reclone`");
        assert_ne!(site.data_of(LATE), data, "its data are a copy");
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}

/// Copies, stops the server in this folder, and puts the copy in the place of its data.
fn copying(own: &Path) -> String {
    format!(
        "copy=\"$TENURE_DATADIR.copy\"\nrm -rf \"$copy\"\nbackup --target-dir=\"$copy\"\n\
         mariadb-backup --prepare --target-dir=\"$copy\"\npid=$(cat {pid})\nkill \"$pid\"\n\
         while [ -e {pid} ]; do sleep 0.02; done\n\
         rm -rf \"$TENURE_DATADIR\"\nmv \"$copy\" \"$TENURE_DATADIR\"\n",
        pid = own.join("pid").display()
    )
}
