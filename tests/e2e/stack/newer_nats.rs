//! A NATS of today, beside the one of the system's package that all other tests run over.

use futures::StreamExt;
use tokio::process::{Child, Command};
use xagent_projections::{CHECKPOINTS, STREAM};
use xagent_tests::{StackTools, folder};

use super::prometheus::free;
use crate::world::{World, until};

/// It ends with the test.
async fn started(tools: &StackTools, folder: &std::path::Path) -> (Child, String) {
    let (port, token) = (free(), "a-token-of-this-test");
    let configuration = format!(
        "listen: \"127.0.0.1:{port}\"\nmax_payload: 8MB\nauthorization {{ token: \"{token}\" }}\njetstream {{ store_dir: \"{}\" }}\n",
        folder.join("nats").display()
    );
    std::fs::write(folder.join("nats.conf"), configuration).unwrap();
    let mut command = Command::from(tools.packaged("nats-server"));
    command.arg("-c").arg(folder.join("nats.conf")).arg("-l").arg(folder.join("nats.log"));
    let child = command.kill_on_drop(true).spawn().unwrap();
    until("NATS listens", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    (child, format!("nats://{token}@127.0.0.1:{port}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_current_nats_gets_every_event_in_order_and_the_checkpoints() {
    let Some(tools) = StackTools::find("a current NATS") else { return };
    let folder = folder("nats-");
    let (_nats, url) = started(&tools, folder.path()).await;
    let world = World::over_nats(&url).await;
    let alice = world.everything("alice");
    for _ in 0..20 {
        alice.start_client_run().await;
    }
    let head = world.head().await;
    let jetstream = world.jetstream().await;
    let events = jetstream.get_stream(STREAM).await.unwrap();
    until("every event is there", async || {
        let mut events = events.clone();
        (events.info().await.unwrap().state.messages >= head).then_some(())
    })
    .await;
    let consumer =
        events.create_consumer(async_nats::jetstream::consumer::pull::OrderedConfig::default()).await.unwrap();
    let messages: Vec<_> = consumer.messages().await.unwrap().take(usize::try_from(head).unwrap()).collect().await;
    let positions: Vec<u64> = messages
        .iter()
        .map(|message| {
            message.as_ref().unwrap().headers.as_ref().unwrap().get("Nats-Msg-Id").unwrap().as_str().parse().unwrap()
        })
        .collect();
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());
    until("a checkpoint covers them", async || {
        let checkpoints = jetstream.get_stream(CHECKPOINTS).await.ok()?;
        (checkpoints.get_info().await.ok()?.state.messages > 0).then_some(())
    })
    .await;
}
