use super::*;
use futures::FutureExt;
use tenure_core::Held;

fn order(item: &str, version: u64) -> CopyOrder {
    CopyOrder {
        kind: OrderKind::Verify,
        item: ItemName::new(item).unwrap(),
        version,
        checksum: None,
        size: 0,
        from: None,
    }
}

fn next(book: &Arc<OrderBook>) -> Option<Order> {
    OrderBook::next(book).now_or_never()
}

fn told(book: &OrderBook) -> Vec<(String, OrderProgress)> {
    let sign = book.news().expect("there is news");
    let row = |it: OrderReport| (it.item.as_str().to_owned(), it.progress);
    sign.orders.into_iter().map(row).collect()
}

const HELD: Held = Held {
    version: 1,
    checksum: None,
    size: 3,
};

#[test]
fn an_order_is_handed_out_once_and_told_until_it_is_wanted_no_more() {
    let book = Arc::new(OrderBook::new(7));
    book.take(vec![order("a", 1), order("b", 1)]);
    let first = next(&book).unwrap();
    assert_eq!(first.what(), &order("a", 1));
    book.take(vec![order("a", 1), order("b", 1)]);
    let second = next(&book).unwrap();
    assert_eq!(second.what(), &order("b", 1));
    assert!(next(&book).is_none());
    first.held(HELD);
    second.moved(5);
    let expected = [
        ("a".to_owned(), OrderProgress::Held(HELD)),
        ("b".to_owned(), OrderProgress::Moved(5)),
    ];
    assert_eq!(told(&book), expected);
    assert!(book.news().is_none());
    book.take(vec![order("b", 1)]);
    assert_eq!(told(&book), expected[1..]);
    assert!(second.is_wanted() && second.given_up().now_or_never().is_none());
    book.take(vec![]);
    assert!(!second.is_wanted());
    assert!(second.given_up().now_or_never().is_some());
    second.missing();
    assert_eq!(told(&book), []);
}

#[test]
fn an_order_that_failed_is_tried_again_when_it_is_ordered_otherwise_or_anew() {
    let book = Arc::new(OrderBook::new(7));
    book.take(vec![order("a", 1)]);
    drop(next(&book).unwrap());
    assert!(matches!(told(&book)[0].1, OrderProgress::Failed(_)));
    book.take(vec![order("a", 1)]);
    assert!(next(&book).is_none(), "it is the same order");
    let other = CopyOrder {
        size: 9,
        ..order("a", 1)
    };
    book.take(vec![other.clone()]);
    next(&book).unwrap().failed("disk full");
    book.take(vec![]);
    book.take(vec![other]);
    let again = next(&book).unwrap();
    again.held(HELD);
    assert_eq!(told(&book), [("a".to_owned(), OrderProgress::Held(HELD))]);
}

#[test]
fn what_an_earlier_attempt_says_is_not_taken_for_a_later_one() {
    let book = Arc::new(OrderBook::new(7));
    book.take(vec![order("a", 1)]);
    let early = next(&book).unwrap();
    book.take(vec![]);
    book.take(vec![order("a", 1)]);
    early.held(HELD);
    assert_eq!(told(&book), [("a".to_owned(), OrderProgress::Waiting)]);
    next(&book).unwrap().missing();
    assert_eq!(told(&book), [("a".to_owned(), OrderProgress::Missing)]);
}

#[test]
fn an_order_that_was_taken_back_before_anybody_saw_it_is_never_handed_out() {
    let book = Arc::new(OrderBook::new(7));
    for version in 1..1_000 {
        book.take(vec![order("a", version)]);
    }
    assert_eq!(book.lock().waiting.len(), 1);
    assert_eq!(next(&book).unwrap().what().version, 999);
    assert!(next(&book).is_none());
}
