//! Moments in the order of positions: found without looking at all of it, so that what is not asked for is not read.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::types::chrono::{DateTime, Utc};
use xagent_domain::Recorded;
use xagent_policies::Bundle;
use xagent_tests::History;

use crate::world::Bare;

async fn all(bare: &Bare) -> Vec<Recorded> {
    bare.ledger.range(0, 10_000).await.unwrap()
}

fn rfc3339(us: i64) -> String {
    DateTime::<Utc>::from_timestamp_micros(us).unwrap().to_rfc3339()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_is_found_between_the_events_before_it_and_those_of_it() {
    let bare = Bare::in_ranges(256).await;
    bare.fill(0..300).await;
    let events = all(&bare).await;
    assert!(events.is_sorted_by_key(|event| event.recorded_at_us), "recorded times never go back");
    let times: BTreeSet<i64> = events.iter().map(|event| event.recorded_at_us).collect();
    assert!(times.len() > 10, "{} moments tell little", times.len());
    let moments: BTreeSet<i64> = times.iter().flat_map(|us| [us - 1, *us, us + 1]).collect();
    let head = events.len() as u64;
    for (moment, to) in moments.iter().flat_map(|moment| [(moment, head), (moment, head / 2), (moment, 0)]) {
        let before = events.iter().take_while(|event| event.recorded_at_us < *moment).count() as u64;
        assert_eq!(bare.ledger.last_before(*moment, to).await.unwrap(), before.min(to), "{moment} up to {to}");
    }
    bare.detach("first").await;
    bare.detach("second").await;
    for moment in &moments {
        let before = events.iter().take_while(|event| event.recorded_at_us < *moment).count() as u64;
        assert_eq!(
            bare.ledger.last_before(*moment, head).await.unwrap(),
            before.max(512),
            "archived is before {moment}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_between_two_moments_is_all_that_is_read() {
    let bare = Bare::in_ranges(256).await;
    bare.fill(0..150).await;
    let history = History::under(&bare.ledger, &Bundle::stock().unwrap(), 0).await;
    let mut ends = vec![];
    for number in 1..=3 {
        history.fill(number * 1000, 100).await;
        ends.push(bare.ledger.head().await.unwrap());
    }
    let [first, second, _] = &ends[..] else { panic!("{ends:?}") };
    let (since, until) = (rfc3339(first.recorded_at_us + 1), rfc3339(second.recorded_at_us + 1));
    let asked = ["what-if", "stock", "--since", &since, "--until", &until];
    let expected = [json!(first.position), json!(second.position), json!(105), json!(105)];
    let told = |said: &serde_json::Value| ["after", "to", "read", "decided"].map(|name| said[name].clone());
    let (code, said) = bare.xagent(&asked).await;
    assert_eq!((code, told(&said)), (Some(0), expected.clone()), "{said:#}");

    let (code, said) = bare.xagent(&["what-if", "stock", "--since", "1s", "--until", "2w"]).await;
    assert_eq!((code, &said["decided"]), (Some(0), &json!(0)), "nothing is between: {said:#}");

    // What is archived is needed only where it may be of that time.
    bare.detach("first").await;
    let (code, said) = bare.xagent(&asked).await;
    assert_eq!((code, told(&said)), (Some(0), expected), "{said:#}");
    let early = rfc3339(first_here(&bare).await);
    let (code, said) = bare.xagent(&["what-if", "stock", "--since", &early]).await;
    let error = said["error"].as_str().unwrap_or_default();
    assert!(code == Some(2) && error.contains("first"), "{said:#}");
}

/// The time of the first event that is not archived.
async fn first_here(bare: &Bare) -> i64 {
    let first: DateTime<Utc> =
        sqlx::query_scalar("SELECT min(recorded_at) FROM events").fetch_one(&bare.superuser).await.unwrap();
    first.timestamp_micros()
}
