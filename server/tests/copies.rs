//! Items and their copies over the API of three servers in one process.
#![allow(missing_docs)]

mod support;

use support::Cluster;
use support::site::{SERVICE, copies, copies_at, locate, place, policy, reports, site, sum, wrote};
use tenure_proto::refusal::refusal;
use tenure_proto::v1::{self, item_refusal::Code, refusal::Reason};
use tonic::Status;

fn reason(status: &Status) -> Reason {
    refusal(status).expect("a typed refusal").reason()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_placed_and_written_is_located_at_every_server() {
    let cluster = Cluster::formed(3).await;
    let _members = site(&cluster, 5, policy(3, 0)).await;
    let mut leader = copies(&cluster).await;
    let placed = leader.place(place(&["a", "b", "c"])).await.expect("placed");
    let placed = placed.into_inner();
    assert_eq!(placed.items.len(), 3);
    for item in &placed.items {
        assert_eq!((item.version, item.fresh.len()), (0, 0));
        assert_eq!(item.writable.len(), 3, "{item:?}");
    }
    assert!(placed.holders.iter().all(|it| !it.endpoint.is_empty()));
    let [a, b] = [&placed.items[0].writable, &placed.items[1].writable];
    let written = vec![wrote("a", 0, a), wrote("b", 0, &b[..2])];
    let told = leader.report(reports(written)).await.expect("reported");
    let told = told.into_inner().items;
    let numbers: Vec<_> = told.iter().map(|it| (it.usable, it.missing)).collect();
    assert_eq!(numbers, [(3, 0), (2, 1)]);
    for server in 1..=3 {
        let mut there = copies_at(&cluster, server).await;
        let located = there.locate(locate(&["a", "b", "c", "d"])).await;
        let located = located.expect("located").into_inner();
        assert_eq!(located.items[0].version, 1);
        assert_eq!(located.items[0].checksum, sum("a", 1));
        assert_eq!(located.items[0].fresh.len(), 3);
        let mut fresh = located.items[1].fresh.clone();
        fresh.sort_unstable();
        assert_eq!(fresh, b[..2]);
        assert_eq!(located.items[2].fresh, [0; 0]);
        let unknown = located.items[3].refusal.clone().expect("no such item");
        assert_eq!(unknown.code(), Code::NoSuchItem);
        let status = v1::CopiesStatusRequest {
            service: SERVICE.into(),
            consistency: None,
        };
        let status = there.status(status).await.expect("numbers").into_inner();
        assert_eq!((status.items, status.unwritten), (3, 1));
        assert_eq!(status.under_replicated, 1);
        assert_eq!(status.stores.len(), 5);
    }
    let list = v1::ListItemsRequest {
        service: SERVICE.into(),
        under_replicated: true,
        ..v1::ListItemsRequest::default()
    };
    let lacking = leader.list(list).await.expect("listed").into_inner();
    assert_eq!(lacking.items.len(), 1);
    assert_eq!(
        (lacking.items[0].name.as_str(), lacking.items[0].counted),
        ("b", 2)
    );
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_right_is_refused_item_by_item_and_requests_are_bounded() {
    let cluster = Cluster::formed(3).await;
    let _members = site(&cluster, 4, policy(3, 0)).await;
    let mut leader = copies(&cluster).await;
    let placed = leader.place(place(&["a", "", "b"])).await.expect("placed");
    let placed = placed.into_inner().items;
    let named = placed[1].refusal.clone().expect("no name");
    assert_eq!(named.code(), Code::BadName);
    let on = placed[0].writable.clone();
    let elsewhere = (1..=4).find(|node| !on.contains(node)).expect("one more");
    let long = v1::ReportedItem {
        checksum: vec![1; 33].into(),
        ..wrote("a", 0, &on)
    };
    let table = [
        (wrote("nobody", 0, &on), Code::NoSuchItem),
        (wrote("a", 0, &[99, on[0]]), Code::NoSuchNode),
        (wrote("a", 0, &[elsewhere, on[0]]), Code::NotACopy),
        (wrote("a", 0, &on[..1]), Code::TooFewCopies),
        (wrote("a", 4, &on), Code::Changed),
        (long, Code::ChecksumLength),
    ];
    let (items, expected): (Vec<_>, Vec<_>) = table.into_iter().unzip();
    let told = leader.report(reports(items)).await.expect("answers");
    let codes = told.into_inner().items.into_iter().map(|it| {
        let refusal = it.refusal.expect("refused");
        assert!(!refusal.detail.is_empty());
        refusal.code()
    });
    assert_eq!(codes.collect::<Vec<_>>(), expected);
    let wrote_a = leader.report(reports(vec![wrote("a", 0, &on)])).await;
    assert!(
        wrote_a.expect("written").into_inner().items[0]
            .refusal
            .is_none()
    );
    let other = v1::ReportedItem {
        checksum: sum("other", 1).into(),
        ..wrote("a", 0, &on)
    };
    let again = vec![wrote("a", 0, &on), other];
    let told = leader.report(reports(again)).await.expect("answers");
    let told = told.into_inner().items;
    assert!(
        told[0].refusal.is_none(),
        "the same report again is harmless"
    );
    let differs = told[1].refusal.clone().expect("other data");
    assert_eq!(differs.code(), Code::ChecksumDiffers);
    let names: Vec<String> = (0..5_000).map(|n| format!("i{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = leader.place(place(&names)).await.expect_err("too many");
    assert_eq!(reason(&many), Reason::Invalid);
    assert!(many.message().contains("at most 4096"), "{many}");
    let many = leader.locate(locate(&names)).await.expect_err("too many");
    assert_eq!(reason(&many), Reason::Invalid);
    let strange = v1::LocateRequest {
        service: "nobody".into(),
        ..locate(&["a"])
    };
    let strange = leader.locate(strange).await.expect_err("no such service");
    assert_eq!(reason(&strange), Reason::NotFound);
    cluster.stop_all().await;
}
