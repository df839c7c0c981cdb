//! Asking the query tables: pages and whole answers, in order, true up to one position.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use xagent_domain::Tenant;
use xagent_ledger::Ledger;

use super::connect::{READ, signed, unsigned, within};
use super::load::read;
use super::row::{Row, Test};
use super::{Tables, TablesError};

const OPERATION: &str = "ask the query tables";
/// How long a whole answer may take on its way out.
const EXPORT: Duration = Duration::from_secs(600);
/// Rows under way to a reader.
const UNDER_WAY: usize = 64;
/// How often a reader that waits looks.
const LOOK: Duration = Duration::from_millis(15);

/// In which order rows come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The youngest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
}

/// The values of a parameter; of several, one has to fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Texts.
    Texts(Vec<String>),
    /// A moment.
    Moment(DateTime<Utc>),
}

/// What is asked of a table.
#[derive(Clone, Debug)]
pub struct Question {
    /// Whose rows.
    pub tenant: Tenant,
    /// What they have to fit, all of it.
    pub tests: Vec<(Test, Wanted)>,
    /// Their order.
    pub order: Order,
    /// The position behind which to go on, in that order.
    pub after: Option<u64>,
    /// Rows at most.
    pub limit: Option<u32>,
}

/// Rows that are true up to a position.
pub struct Answer<R> {
    /// Every event up to here is in them.
    pub position: u64,
    /// The rows.
    pub rows: Vec<R>,
}

/// A whole answer on its way.
pub struct Rows<R> {
    /// Every event up to here is in it.
    pub position: u64,
    /// The rows; an error ends them.
    pub rows: mpsc::Receiver<Result<R, TablesError>>,
}

impl Tables {
    /// Rows, at once: give it a limit.
    pub async fn ask<R: Row>(&self, question: &Question) -> Result<Answer<R>, TablesError> {
        let work = async {
            let mut transaction = self.reader.begin().await?;
            let before = enter(&mut transaction, &question.tenant, None).await?;
            let found = select::<R>(question).build().fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok((before, found))
        };
        let (before, found) = within(READ + Duration::from_secs(1), OPERATION, work).await?;
        let position = found.first().map_or(Ok(before), |row| unsigned(row, "at"));
        let position = position.map_err(|error| TablesError::database(OPERATION, &error))?;
        Ok(Answer { position, rows: found.iter().map(decoded).collect::<Result<_, _>>()? })
    }

    /// Rows as they come, in bounded memory, from one statement and so from one state of the tables.
    pub async fn stream<R: Row>(&self, question: Question) -> Result<Rows<R>, TablesError> {
        let place = Arc::clone(&self.exports).try_acquire_owned().map_err(|_| TablesError::Unavailable {
            operation: OPERATION,
            detail: "as many exports are under way as may be; try again".to_owned(),
        })?;
        let (sender, mut rows) = mpsc::channel(UNDER_WAY);
        let (tell, told) = oneshot::channel();
        let tables = self.clone();
        tokio::spawn(async move {
            let _place = place;
            let sent = tokio::time::timeout(EXPORT, tables.send::<R>(&question, tell, &sender)).await;
            let failed = match sent {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => TablesError::Unavailable { operation: OPERATION, detail: "no answer in time".to_owned() },
            };
            // A reader that has gone does not mind.
            let _gone = sender.send(Err(failed)).await;
        });
        if let Ok(position) = told.await {
            return Ok(Rows { position, rows });
        }
        let broken = || TablesError::Failed { operation: OPERATION, detail: "the answer broke off".to_owned() };
        Err(rows.recv().await.and_then(Result::err).unwrap_or_else(broken))
    }

    async fn send<R: Row>(
        &self,
        question: &Question,
        tell: oneshot::Sender<u64>,
        sender: &mpsc::Sender<Result<R, TablesError>>,
    ) -> Result<(), TablesError> {
        let database = |error: sqlx::Error| TablesError::database(OPERATION, &error);
        let mut transaction = self.reader.begin().await.map_err(database)?;
        let before = enter(&mut transaction, &question.tenant, Some(EXPORT)).await.map_err(database)?;
        let mut query = select::<R>(question);
        let mut found = query.build().fetch(&mut *transaction);
        let mut next = found.try_next().await.map_err(database)?;
        let position = next.as_ref().map_or(Ok(before), |row| unsigned(row, "at")).map_err(database)?;
        if tell.send(position).is_err() {
            return Ok(());
        }
        while let Some(row) = next {
            if sender.send(decoded(&row)).await.is_err() {
                return Ok(());
            }
            next = found.try_next().await.map_err(database)?;
        }
        Ok(())
    }

    /// Waits until every event up to `wanted` is in the tables, at most for `patience`.
    pub async fn reach(&self, ledger: &Ledger, wanted: u64, patience: Duration) -> Result<(), TablesError> {
        let deadline = Instant::now() + patience;
        let mut position = self.position().await?;
        if position >= wanted {
            return Ok(());
        }
        let head = ledger.head().await?.position;
        if head < wanted {
            return Err(TablesError::Ahead { wanted, head });
        }
        while position < wanted {
            if Instant::now() >= deadline {
                return Err(TablesError::Behind { position, wanted });
            }
            tokio::time::sleep(LOOK).await;
            position = self.position().await?;
        }
        Ok(())
    }
}

fn decoded<R: Row>(row: &PgRow) -> Result<R, TablesError> {
    let text: &str = row.try_get("one").map_err(|error| TablesError::database(OPERATION, &error))?;
    read(text)
}

/// Says whose rows the transaction may see, and where the tables are.
async fn enter(
    transaction: &mut PgConnection,
    tenant: &Tenant,
    patience: Option<Duration>,
) -> Result<u64, sqlx::Error> {
    let sql = "SELECT set_config('xagent.tenant', $1, true), position FROM views.position";
    let row = sqlx::query(sql).bind(tenant.as_str()).fetch_one(&mut *transaction).await?;
    if let Some(patience) = patience {
        let sql = format!("SET LOCAL statement_timeout = {}", patience.as_millis());
        sqlx::query(&sql).execute(transaction).await?;
    }
    unsigned(&row, "position")
}

/// One statement, so that rows and position are of one state. The order is that of the inner query.
fn select<R: Row>(question: &Question) -> QueryBuilder<'static, Postgres> {
    let sql = format!(
        "SELECT (SELECT position FROM views.position) AS at, to_json(one)::text AS one FROM (SELECT * FROM views.{} \
         WHERE tenant = ",
        R::NAME
    );
    let mut query = QueryBuilder::new(sql);
    query.push_bind(question.tenant.to_string());
    for (test, values) in &question.tests {
        match (test, values) {
            (Test::Is(column), Wanted::Texts(texts)) => {
                query.push(format!(" AND {column} = ANY (")).push_bind(texts.clone()).push(")");
            }
            (Test::Holds(column), Wanted::Texts(texts)) => {
                query.push(format!(" AND {column} && ")).push_bind(texts.clone()).push("::text[]");
            }
            (Test::Mentions(columns), Wanted::Texts(texts)) => mention(&mut query, columns, texts),
            (Test::Since(column), Wanted::Moment(moment)) => {
                query.push(format!(" AND {column} >= ")).push_bind(*moment);
            }
            (Test::Until(column), Wanted::Moment(moment)) => {
                query.push(format!(" AND {column} < ")).push_bind(*moment);
            }
            // A moment is not held against texts, nor a text against moments.
            (Test::Is(_) | Test::Holds(_) | Test::Mentions(_), Wanted::Moment(_))
            | (Test::Since(_) | Test::Until(_), Wanted::Texts(_)) => {
                query.push(" AND false");
            }
        }
    }
    let (beyond, order) = match question.order {
        Order::Newest => ("<", "DESC"),
        Order::Oldest => (">", "ASC"),
    };
    if let Some(after) = question.after {
        query.push(format!(" AND position {beyond} ")).push_bind(signed(after));
    }
    query.push(format!(" ORDER BY position {order}"));
    if let Some(limit) = question.limit {
        query.push(" LIMIT ").push_bind(i64::from(limit));
    }
    query.push(") AS one");
    query
}

/// One of the columns contains one of the texts, whatever its case.
fn mention(query: &mut QueryBuilder<'_, Postgres>, columns: &[&str], texts: &[String]) {
    let pattern = |text: &String| format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
    query.push(" AND (false");
    for text in texts {
        for column in columns {
            query.push(format!(" OR {column} ILIKE ")).push_bind(pattern(text));
        }
    }
    query.push(")");
}
