//! Switchovers that come to nothing: the old primary goes on, and says why.

use std::time::Duration;

use tenure_client::Error;
use tenure_core::Note;
use tenure_core::controller::HoldCode;

use super::looks::node;
use super::site::{Site, service};

impl Site {
    /// Why a switchover to a node was refused, or taken back.
    async fn switchover_refused(&self, to: u64) -> (HoldCode, String) {
        let admin = self.client.admin();
        let service = service();
        let moved = admin.switchover(&service, Some(node(to)), Note::default());
        let error: Error = moved.await.expect_err("refused");
        let text = error.to_string();
        let held = error.held().unwrap_or_else(|| panic!("{text}"));
        (held.code.expect("a known code"), text)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_candidate_stalls_is_taken_back_and_one_that_is_behind_is_refused() {
    let mut site = Site::start().await;
    let mut writer = site.writer();
    writer.acknowledged(300).await;
    let (primary, epoch) = site.primary().await;
    let candidate = primary % 3 + 1;
    let name = format!("db-{candidate}");
    writer.forget();
    // Its agent has not seen it yet, and reports what it saw last.
    site.freeze_store(candidate, true);
    let (code, why) = site.switchover_refused(candidate).await;
    println!("{why}");
    assert_eq!(code, HoldCode::Aborted, "{why}");
    assert!(why.contains(&format!("{name} did not catch up")), "{why}");
    assert!(why.contains(&format!("db-{primary} goes on")), "{why}");
    writer.acknowledged(200).await;
    println!("longest gap {:?}", writer.longest_gap());
    assert_eq!(site.primary().await, (primary, epoch));

    // It does not follow, and after its grace it does not count any more.
    let (code, why) = site.switchover_refused(candidate).await;
    println!("{why}");
    assert_eq!(code, HoldCode::NotThatOne, "{why}");
    assert!(why.contains(&name), "{why}");
    let other = 6 - primary - candidate;
    site.in_sync(&[primary, other]).await;
    let (code, why) = site.switchover_refused(candidate).await;
    println!("{why}");
    assert_eq!(code, HoldCode::NotThatOne, "{why}");
    writer.acknowledged(200).await;
    assert_eq!(site.primary().await, (primary, epoch));

    site.freeze_store(candidate, false);
    site.whole().await;
    let admin = site.client.admin();
    let to = Some(node(candidate));
    let moved = admin.switchover(&service(), to, Note::default()).await;
    assert_eq!(moved.expect("moved").node.0, candidate);
    writer.acknowledged(200).await;
    writer.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}
