//! Repeated commands.

use serde_json::json;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_command_gets_the_first_receipt_and_changes_nothing() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let body = json!({"agent": "a", "goal": "g"});
    let first = alice.post_with_key("/v1/runs", &body, "key-1").await.expect(201);
    let head = world.head().await;
    let again = alice.post_with_key("/v1/runs", &body, "key-1").await.expect(201);
    assert_eq!(first, again);
    assert_eq!(world.head().await, head);

    let run = first["run"].as_str().unwrap();
    let call = json!({"tool": "list_files", "arguments": {}});
    let path = format!("/v1/runs/{run}/tool-calls");
    let first = alice.post_with_key(&path, &call, "key-2").await.expect(201);
    let again = alice.post_with_key(&path, &call, "key-2").await.expect(201);
    assert_eq!(first["call"], again["call"]);
    assert_eq!(first["receipt"], again["receipt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_command() {
    let world = World::new().await;
    let alice = world.everything("alice");
    alice.post_with_key("/v1/runs", &json!({"agent": "a", "goal": "g"}), "key").await.expect(201);
    let head = world.head().await;
    let other = alice.post_with_key("/v1/runs", &json!({"agent": "a", "goal": "h"}), "key").await;
    assert_eq!(other.problem(422, "key-reused")["field"], "Idempotency-Key");
    let bob = world.everything("bob").post_with_key("/v1/runs", &json!({"agent": "a", "goal": "g"}), "key").await;
    bob.problem(422, "key-reused");
    assert_eq!(world.head().await, head);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_commands_at_once_are_carried_out_once() {
    let world = World::new().await;
    let alice = world.everything("alice");
    let body = json!({"agent": "a", "goal": "g"});
    let posts = (0..16).map(|_| alice.post_with_key("/v1/runs", &body, "key"));
    let answers = futures::future::join_all(posts).await;
    let receipt = alice.post_with_key("/v1/runs", &body, "key").await.expect(201);
    let (in_flight, done): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 409);
    assert!(!done.is_empty());
    done.into_iter().for_each(|answer| assert_eq!(answer.expect(201), receipt));
    in_flight.into_iter().for_each(|answer| assert_eq!(answer.problem(409, "in-flight")["field"], "Idempotency-Key"));
    assert_eq!(alice.get("/v1/runs").await.expect(200)["items"].as_array().unwrap().len(), 1);
}
