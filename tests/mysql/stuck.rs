//! A primary that answers a ping while all its threads are stuck.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use tenure_core::Cause;
use tenure_tests::failover::moment::Moment;
use tenure_tests::mariadb::config::{KEEPER, OPERATOR, WRITER};
use tenure_tests::mariadb::link;

use super::sessions::Session;
use super::site::{Plan, Site, eventually, rounds};
use super::tally::Tally;

/// Commits stand still at the last step of a backup that nobody ends: whoever asks is answered all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_whose_commits_all_stand_still_is_moved_although_it_answers() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("all commits stand still, and a ping is answered");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(1) {
        let (primary, epoch) = site.primary().await;
        let backup = Session::open(site.address(primary), KEEPER).await;
        let before = Moment::now();
        for stage in ["START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"] {
            backup.tell(&format!("BACKUP STAGE {stage}")).await;
        }
        let answers: Vec<u64> = link::ask(site.address(primary), WRITER, "SELECT 1")
            .await
            .expect("it answers");
        assert_eq!(answers, [1]);
        let said = site
            .until("it is seen to be stuck", || async {
                let said = site.remark(primary).await;
                said.contains("a commit is not answered").then_some(said)
            })
            .await;
        println!("{said}");
        let (_, next) = site.serves_after(epoch).await;
        load.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        tally.moved(&receipt);
        tally.gap(&load, before);
        println!("{:?}", receipt.account.evidence);
        assert_eq!(receipt.account.cause, Cause::Stuck);
        assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
        site.whole().await;
        println!("it returned: {}", site.returned(next).await);
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}

/// A disk on a file of its own, which can be made to stand still.
struct Frozen {
    at: PathBuf,
    /// Lets it go on once its input is closed, also by the end of the test.
    guard: Mutex<Option<Child>>,
}

fn ran(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

impl Frozen {
    /// None, with the reason printed, where that is not permitted.
    #[expect(
        clippy::print_stdout,
        reason = "a check that was left out has to be seen"
    )]
    fn mount(folder: &Path) -> Option<Frozen> {
        let (image, at) = (folder.join("image"), folder.join("disk"));
        std::fs::create_dir(&at).expect("a folder");
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(512 << 20).expect("room");
        let (image, place) = (image.display().to_string(), at.display().to_string());
        let mounted = ran("mkfs.ext4", &["-q", "-F", &image])
            .and_then(|()| ran("mount", &["-o", "loop", &image, &place]));
        match mounted {
            Ok(()) => Some(Frozen {
                at,
                guard: Mutex::new(None),
            }),
            Err(why) => {
                println!("SKIPPED: no file system of its own can be mounted here: {why}");
                None
            }
        }
    }

    fn freeze(&self) {
        let mut guard = Command::new("sh");
        guard.args(["-c", "cat > /dev/null; exec fsfreeze -u \"$0\""]);
        let guard = guard.arg(&self.at).stdin(Stdio::piped()).spawn();
        *self.guard.lock().expect("held by nobody") = Some(guard.expect("sh can be run"));
        ran("fsfreeze", &["-f", &self.at.display().to_string()]).expect("it stands still");
    }

    /// A no-op where it does not stand still.
    fn thaw(&self) {
        let guard = self.guard.lock().expect("held by nobody").take();
        if let Some(mut guard) = guard {
            drop(guard.stdin.take());
            let ended = guard.wait().expect("the guard ends");
            assert!(ended.success() || std::thread::panicking(), "it goes on");
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // Whoever waits for it could not even be killed.
        self.thaw();
        let unmounted = ran("umount", &["--lazy", &self.at.display().to_string()]);
        assert!(
            unmounted.is_ok() || std::thread::panicking(),
            "{unmounted:?}"
        );
    }
}

/// All that writes waits for the disk, and cannot even be ended: nobody may take over before its lease is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_whose_disk_stands_still_is_replaced_and_follows_when_it_goes_on() {
    let place = tempfile::tempdir().expect("a folder");
    let Some(disk) = Frozen::mount(place.path()) else {
        return;
    };
    let mut site = Site::of(Plan {
        first: Some(disk.at.join("mariadbd")),
        ..Plan::default()
    })
    .await;
    let mut tally = Tally::of("the primary's disk stands still");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(1) {
        let (primary, epoch) = site.primary().await;
        assert_eq!(primary, 1, "the one with the disk of its own");
        let before = Moment::now();
        disk.freeze();
        let (_, next) = site.serves_after(epoch).await;
        let answers = link::ask::<u64>(site.address(primary), OPERATOR, "SELECT 1").await;
        println!(
            "a ping meanwhile: {answers:?}; {}",
            site.remark(primary).await
        );
        load.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        tally.moved(&receipt);
        tally.gap(&load, before);
        println!("{:?}", receipt.account.evidence);
        assert_eq!(receipt.account.cause, Cause::Stuck);
        assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
        let returns = Moment::now();
        disk.thaw();
        site.whole().await;
        tally.since("back in sync", returns);
        println!("it returned: {}", site.returned(next).await);
        // It may take some time to catch up, on a disk on a file.
        eventually("it is primary once more", || async {
            site.switchover(Some(primary)).await.ok()
        })
        .await;
        site.whole().await;
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
    drop(disk);
}
