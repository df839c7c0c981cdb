//! The Postgres that tests share: migrated once into a template, copied per test, so that roles and triggers are real.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;
use xagent_stack::{Need, Stack, StackOptions};

use xagent_tests::{blocking, folder, until};

struct Shared {
    url: String,
    // Ends with the process of the tests.
    _stack: Stack,
}

static SHARED: OnceCell<Shared> = OnceCell::const_new();
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The URL of a new, migrated database.
pub async fn database() -> String {
    let shared = SHARED.get_or_init(start).await;
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let copy = format!("CREATE DATABASE {name} TEMPLATE xagent");
    until("the template can be copied", async || {
        let mut owner = PgConnection::connect(&in_database(&shared.url, "postgres")).await.unwrap();
        match sqlx::query(&copy).execute(&mut owner).await {
            Ok(_) => Some(()),
            // The migration's session has not quite ended yet, or another test copies right now.
            Err(error) if error.as_database_error().is_some_and(|e| e.code().as_deref() == Some("55006")) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
    in_database(&shared.url, &name)
}

async fn start() -> Shared {
    let folder = folder("postgres-").keep();
    let elsewhere = || Need::None;
    let options = StackOptions { folder, postgres: Need::Private, nats: elsewhere(), redis: elsewhere() };
    let stack = blocking(move || Stack::start(options)).await;
    let url = stack.postgres_url().to_owned();
    xagent_ledger::migrate(&url).await.unwrap();
    Shared { url, _stack: stack }
}

fn in_database(url: &str, name: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}
