//! The connection is cut at each moment of an append while four processes append.

use rand::Rng;

use crate::database::Database;
use crate::proxy::{Cut, Proxy};
use crate::reckoning::Scene;
use crate::wire::Call;

const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_between_commit_and_answer_neither_loses_nor_doubles_a_command() {
    let database = Database::start().await;
    let proxy = Proxy::start(database.url()).await;
    let mut scene = Scene::begin(database.url(), proxy.url()).await;
    let others = [
        (Cut::Request, Call::Write),
        (Cut::HalfRequest, Call::Write),
        (Cut::Work, Call::Write),
        (Cut::Answer, Call::Ask),
        (Cut::Work, Call::Ask),
    ];
    for other in others.into_iter().cycle().take(ROUNDS) {
        for (cut, call) in [(Cut::Answer, Call::Write), other] {
            let moment = rand::rng().random_range(0..20);
            scene.appenders.go_on_together(moment).await;
            let mut cutting = proxy.cut(cut, call);
            cutting.reached().await;
            let done = cutting.go().await;
            assert!(cut != Cut::Answer || done == Some(call == Call::Write), "{cut:?} {call:?}: {done:?}");
            scene.appenders.go_on(2).await;
        }
    }
    scene.reckon().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_with_the_lock_holds_nobody_up_for_long() {
    let database = Database::start().await;
    let proxy = Proxy::start(database.url()).await;
    let mut scene = Scene::begin(database.url(), proxy.url()).await;
    for _ in 0..2 {
        // The server does not learn that nobody is there any more.
        let mut cutting = proxy.cut(Cut::Late, Call::Write);
        cutting.reached().await;
        scene.appenders.go_on(2).await;
        assert_ne!(cutting.go().await, Some(true), "what was overtaken went in");
    }
    scene.reckon().await;
}
