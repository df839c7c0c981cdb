//! What a command costs in each store: the state of its aggregate, and one event of 1 KB appended to it. An application on
//! postgres-es has no other way, for its store takes events only with the state that it loaded.

use std::fmt::Write as _;
use std::sync::Arc;

use cqrs_es::EventStore;
use cqrs_es::persist::PersistedEventStore;
use postgres_es::PostgresEventRepository;
use sqlx::Executor;
use sqlx::postgres::PgPoolOptions;
use xagent_domain::tool::Tool;
use xagent_domain::{Decider, Tenant};
use xagent_ledger::{CqrsStore, Fact, Folded, Ledger};

use crate::append::ES_EVENTS;
use crate::databases::Databases;
use crate::figures::{Figures, measure};
use crate::peers::{TURN, append, event};

const WRITERS: [usize; 4] = [1, 8, 64, 256];
/// As in `append`: one more goes before, and every other one goes backwards.
const TURNS: usize = 4;
/// Events of a stream, which is left then for a new one: the fewest that the other parts know, and those of the sample run.
/// A store that reads the whole stream for each command is the slower the longer it is.
const STREAMS: [u64; 2] = [10, 50];
const HEADINGS: &str = "| writers | events of a stream | ledger, commands/s | p50 ms | p99 ms | ledger as the store of cqrs-es, commands/s | p50 ms \
                        | p99 ms | postgres-es, commands/s | p50 ms | p99 ms | ledger / postgres-es | as its store |\n\
                        |---|---|---|---|---|---|---|---|---|---|---|---|---|\n";

/// A store.
enum Contestant {
    Ledger(Ledger),
    Port(Arc<CqrsStore<Tool>>),
    Stock(Arc<PersistedEventStore<PostgresEventRepository, Folded<Tool>>>),
}

/// Writers with streams of so many events each.
#[derive(Clone)]
struct Turn {
    name: String,
    length: u64,
}

impl Turn {
    fn stream(&self, writer: usize, number: u64) -> String {
        format!("{}-{writer}-{}", self.name, number / self.length)
    }
}

impl Contestant {
    async fn take(&self, writers: usize, turn: Turn) -> Figures {
        match self {
            Self::Ledger(ledger) => {
                let ledger = ledger.clone();
                measure(writers, TURN, move |writer, number| by_ledger(ledger.clone(), turn.clone(), writer, number))
                    .await
            }
            Self::Port(store) => by_store(store.clone(), writers, turn).await,
            Self::Stock(store) => by_store(store.clone(), writers, turn).await,
        }
    }
}

/// As the command side goes about it, with an idempotency key.
async fn by_ledger(ledger: Ledger, turn: Turn, writer: usize, number: u64) -> u64 {
    let tenant = Tenant::default_tenant();
    let stream = turn.stream(writer, number);
    let loaded = ledger.load_warm::<Tool>(&tenant, &stream).await.unwrap();
    let key = format!("{}-{writer}-{number}-{}", turn.name, "k".repeat(20));
    let append = append(stream, loaded.sequence, &key, event(1024));
    let appended = ledger.append::<Tool>(append).await.unwrap();
    let mut state = loaded.state;
    appended.events.iter().for_each(|event| state.evolve(event.event()));
    ledger.keep(&tenant, state, &appended.receipt);
    1
}

/// As cqrs-es goes about it.
async fn by_store<S: EventStore<Folded<Tool>> + 'static>(store: Arc<S>, writers: usize, turn: Turn) -> Figures {
    measure(writers, TURN, move |writer, number| {
        let (store, stream) = (store.clone(), turn.stream(writer, number));
        async move {
            let context = store.load_aggregate(&stream).await.unwrap();
            let metadata = [("actor", "bench".to_owned()), ("command_id", "c".repeat(36))];
            let metadata = metadata.map(|(name, value)| (name.to_owned(), value)).into();
            store.commit(vec![Fact(event(1024))], context, metadata).await.unwrap();
            1
        }
    })
    .await
}

/// The table of all contestants.
pub async fn table(databases: &Databases) -> String {
    let mut table = HEADINGS.to_owned();
    for (writers, length) in WRITERS.into_iter().flat_map(|writers| STREAMS.map(|length| (writers, length))) {
        let url = databases.copy("commands").await;
        let figures = turns(&contestants(&url).await, writers, length).await;
        let _ = write!(table, "| {writers} | {length} |");
        for one in &figures {
            let (rate, p50, p99) = (one.rate(), one.percentile(50), one.percentile(99));
            let _ = write!(table, " {rate:.0} | {p50:.2} | {p99:.2} |");
        }
        let [ledger, port, stock] = figures.map(|one| one.rate());
        let _ = writeln!(table, " {:.1} | {:.1} |", ledger / stock, port / stock);
    }
    table
}

async fn contestants(url: &str) -> [Contestant; 3] {
    let pool = PgPoolOptions::new().max_connections(64).connect(url).await.unwrap();
    pool.execute(ES_EVENTS).await.unwrap();
    let repository = PostgresEventRepository::new(pool).with_tables("es_events", "es_snapshots");
    [
        Contestant::Ledger(crate::ledger(url)),
        Contestant::Port(Arc::new(CqrsStore::new(crate::ledger(url), Tenant::default_tenant()))),
        Contestant::Stock(Arc::new(PersistedEventStore::new_event_store(repository))),
    ]
}

async fn turns(contestants: &[Contestant; 3], writers: usize, length: u64) -> [Figures; 3] {
    let mut figures = [(); 3].map(|()| Figures::default());
    for turn in 0..=TURNS {
        if turn == 1 {
            figures = [(); 3].map(|()| Figures::default());
        }
        for at in if turn % 2 == 0 { [0, 1, 2] } else { [2, 1, 0] } {
            let turn = Turn { name: format!("{at}-{writers}-{turn}"), length };
            figures[at].add(contestants[at].take(writers, turn).await);
        }
    }
    figures
}
