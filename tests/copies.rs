//! The example store on a real cluster: writers and readers go on while nodes are lost, return, drain, join and go, and a
//! leader dies in the middle of each. Afterwards every item is at three fresh copies, and each of them holds what was
//! acknowledged last.

#[path = "copies/operators.rs"]
mod operators;
#[path = "copies/site.rs"]
mod site;
#[path = "copies/traffic.rs"]
mod traffic;
#[path = "copies/verdict.rs"]
mod verdict;

use site::Site;
use traffic::Traffic;

const ITEMS: &str = "TENURE_COPIES_ITEMS";
const ITEMS_IN_GATE: usize = 150;

/// Reads and writes that go on after each event.
const MORE: u64 = 20;

const FIVE: [&str; 5] = ["a", "a", "b", "b", "c"];

/// How many items there are.
fn items() -> usize {
    let Ok(text) = std::env::var(ITEMS) else {
        return ITEMS_IN_GATE;
    };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.unwrap_or_else(|| panic!("{ITEMS} = {text:?} is no number of items"))
}

async fn set_up(zones: &[&str]) -> (Site, Traffic) {
    let site = Site::start(zones).await;
    let traffic = Traffic::start(site.endpoints(), items()).await;
    traffic.goes_on(MORE).await;
    (site, traffic)
}

/// Waits until everything is in order, and looks at all of it.
async fn judge(site: Site, traffic: Traffic) {
    let acknowledged = traffic.stop().await;
    site.whole().await;
    verdict::all_is_there(&site, &acknowledged).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_lost_for_good_is_replaced() {
    let (mut site, traffic) = set_up(&FIVE).await;
    site.kill_store(4);
    traffic.speak_with(site.endpoints());
    site.lose_leader().await;
    site.whole().await;
    traffic.goes_on(MORE).await;
    judge(site, traffic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_returns_with_old_data_is_brought_up() {
    let (mut site, traffic) = set_up(&FIVE).await;
    site.kill_store(0);
    traffic.speak_with(site.endpoints());
    traffic.goes_on(MORE).await;
    site.start_store(0);
    site.lose_leader().await;
    site.joined(5).await;
    traffic.speak_with(site.endpoints());
    traffic.goes_on(MORE).await;
    judge(site, traffic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_is_lost_costs_no_reader_anything() {
    let (mut site, traffic) = set_up(&FIVE).await;
    site.kill_store(2);
    site.kill_store(3);
    traffic.speak_with(site.endpoints());
    site.lose_leader().await;
    traffic.goes_on(MORE).await;
    judge(site, traffic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_returns_without_its_data_is_given_all_of_it_again() {
    let (mut site, traffic) = set_up(&FIVE).await;
    site.kill_store(1);
    site.wipe_store(1);
    traffic.speak_with(site.endpoints());
    site.start_store(1);
    site.joined(5).await;
    traffic.speak_with(site.endpoints());
    traffic.goes_on(MORE).await;
    judge(site, traffic).await;
}
