//! Processes and the database are killed while four processes append.

use rand::Rng;
use xagent_stack::Stack;

use crate::database::Database;
use crate::reckoning::Scene;

const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_that_was_acknowledged_and_its_successor_doubles_nothing() {
    let database = Database::start().await;
    let mut scene = Scene::begin(database.url(), database.url()).await;
    for round in 0..ROUNDS {
        let moment = rand::rng().random_range(0..40);
        scene.appenders.go_on_together(moment).await;
        scene.appenders.replace(round % 4).await;
        scene.appenders.go_on(3).await;
    }
    scene.reckon().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgres_loses_nothing_that_was_acknowledged_and_appending_goes_on_by_itself() {
    let database = Database::start().await;
    let mut scene = Scene::begin(database.url(), database.url()).await;
    for _ in 0..ROUNDS {
        let moment = rand::rng().random_range(0..40);
        scene.appenders.go_on_together(moment).await;
        database.act(Stack::kill).await;
        database.act(Stack::start_again).await;
        scene.appenders.go_on(3).await;
    }
    scene.reckon().await;
}
