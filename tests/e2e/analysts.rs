//! What an analyst asks, in SQL and on the command line: the documents' own statements and commands, on a sample whose answers
//! are known.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::{Executor, PgPool};
use xagent_projections::{
    ApprovalRow, Column, DecisionRow, GoalRow, Kind, Listed, RunRow, SwitchRow, ToolCallRow, UsageRow,
};

use crate::sample::{Sample, propose};
use crate::tables::caught_up;
use crate::world::World;

const ANALYSTS: &str = include_str!("../../docs/analysts.md");
const README: &str = include_str!("../../README.md");

/// The blocks of a document in this language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

/// A login that may see the tenant `default`.
async fn analyst(world: &World) -> (PgPool, String) {
    let superuser = world.superuser().await;
    let login = format!("ann_{}", std::process::id());
    let made = ANALYSTS.split("```").nth(1).unwrap().trim().replace("ann", &login).replace("...", "secret");
    superuser.execute(made.as_str()).await.unwrap();
    let (scheme, rest) = world.database_url.split_once("://").unwrap();
    let (_, server) = rest.rsplit_once('@').unwrap();
    (PgPool::connect(&format!("{scheme}://{login}:secret@{server}")).await.unwrap(), login)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_five_questions_are_answered_by_the_statements_of_the_document() {
    let world = World::new().await;
    let sample = Sample::recorded(&world).await;
    let lawyer = world.everything("lawyer");
    crate::law::enact(&lawyer, |body| body["data"]["config"]["tool_roles"] = json!({"note": ["operator"]})).await;
    let denied = propose(&world.everything("alice"), &sample.refused, "note", json!({"path": "docs/plan.md"})).await;
    assert_eq!(denied["status"], "denied");
    caught_up(&world).await;
    let (analyst, login) = analyst(&world).await;
    let statements = blocks(ANALYSTS, "sql");
    assert_eq!(statements.len(), 5);
    let mut answers = Vec::new();
    for statement in statements {
        let sql = format!(
            "SELECT coalesce(json_agg(row_to_json(answer)), '[]')::text FROM ({}) AS answer",
            statement.trim().trim_end_matches(';')
        );
        let text: String = sqlx::query_scalar(&sql).fetch_one(&analyst).await.unwrap();
        answers.push(serde_json::from_str::<Vec<Value>>(&text).unwrap());
    }
    let column = |answer: usize, name: &str| answers[answer].iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(column(0, "rule"), ["xagent.tools.paths_ok", "xagent.tools.tool_role_ok"]);
    assert_eq!(column(0, "denials"), [1, 1]);
    assert_eq!(column(1, "run"), [json!(sample.reviewer)]);
    assert_eq!((column(1, "agent"), column(1, "status")), (vec![json!("reviewer")], vec![json!("succeeded")]));
    assert_eq!(column(2, "answered_by"), ["bob", "carol"]);
    assert_eq!((column(2, "granted"), column(2, "refused")), (vec![json!(1), json!(0)], vec![json!(0), json!(1)]));
    assert!(column(2, "median_seconds").iter().all(|seconds| seconds.as_f64().unwrap() > 0.0));
    assert_eq!(column(3, "agent"), ["payer", "reviewer"]);
    assert_eq!(column(3, "money").iter().map(|m| m.as_f64().unwrap()).collect::<Vec<_>>(), [12.5, 0.0]);
    assert_eq!((column(3, "runs"), column(3, "tool_calls")), (vec![json!(2), json!(1)], vec![json!(3), json!(2)]));
    assert_eq!(column(4, "tool"), ["note", "pay"]);
    assert_eq!((column(4, "before"), column(4, "denied_before")), (vec![json!(2), json!(3)], vec![json!(1), json!(0)]));
    assert_eq!((column(4, "since"), column(4, "denied_since")), (vec![json!(1), json!(0)], vec![json!(1), json!(0)]));
    analyst.close().await;
    let superuser = world.superuser().await;
    superuser.execute(format!("DROP OWNED BY {login}; DROP ROLE {login}").as_str()).await.unwrap();
}

/// A table as the document shows it: each column with its type and meaning.
fn documented(name: &str) -> Vec<String> {
    let (_, rest) = ANALYSTS.split_once(&format!("### `views.{name}`")).unwrap();
    let rows = rest.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    rows.take_while(|line| line.starts_with('|')).map(|line| line.replace("**", "")).collect()
}

fn described(columns: &[Column], nullable: &BTreeMap<String, bool>) -> Vec<String> {
    let described = |column: &Column| {
        let kind = match column.kind {
            Kind::Text => "text",
            Kind::Integer => "bigint",
            Kind::Time => "timestamptz",
            Kind::Flag => "boolean",
            Kind::Texts => "text[]",
            Kind::Json => "json",
        };
        let null = if nullable[column.name] { " or null" } else { "" };
        format!("| `{}` | `{kind}`{null} | {} |", column.name, column.about)
    };
    columns.iter().map(described).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_and_the_database_have_the_columns_of_the_rows() {
    let world = World::new().await;
    let superuser = world.superuser().await;
    for (name, columns) in [
        (RunRow::NAME, RunRow::COLUMNS),
        (GoalRow::NAME, GoalRow::COLUMNS),
        (DecisionRow::NAME, DecisionRow::COLUMNS),
        (ToolCallRow::NAME, ToolCallRow::COLUMNS),
        (ApprovalRow::NAME, ApprovalRow::COLUMNS),
        (UsageRow::NAME, UsageRow::COLUMNS),
        (SwitchRow::NAME, SwitchRow::COLUMNS),
    ] {
        let sql = "SELECT column_name::text, is_nullable = 'YES' FROM information_schema.columns \
                   WHERE table_schema = 'views' AND table_name = $1 ORDER BY ordinal_position";
        let found: Vec<(String, bool)> = sqlx::query_as(sql).bind(name).fetch_all(&superuser).await.unwrap();
        let names: Vec<_> = found.iter().map(|(column, _)| column.as_str()).collect();
        assert_eq!(names, columns.iter().map(|column| column.name).collect::<Vec<_>>(), "{name}");
        assert_eq!(documented(name), described(columns, &found.into_iter().collect()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_commands_lead_from_the_help_to_last_hours_denials_as_csv() {
    let world = World::new().await;
    let sample = Sample::recorded(&world).await;
    caught_up(&world).await;
    let commands = README.split("```\n").map(str::trim).find(|block| block.starts_with("xagent --help")).unwrap();
    let commands: Vec<_> = commands.lines().map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>()).collect();
    let [help, decisions, denials] = &commands[..] else { panic!("{commands:?}") };
    let run = async |arguments: &Vec<&str>| {
        let output = world.command(arguments).current_dir(&world.workspace).output().await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(help).await.contains("decisions"), "the first command leads to the second");
    let said = run(decisions).await;
    assert!(
        denials.iter().filter(|flag| flag.starts_with("--")).all(|flag| said.contains(*flag)),
        "and that to the third"
    );
    assert_eq!(run(denials).await, "");
    let mut reader = csv::Reader::from_path(world.workspace.join("denials.csv")).unwrap();
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    let [denial] = &rows[..] else { panic!("{rows:#?}") };
    assert_eq!(
        (denial["run"].as_str(), denial["codes"].as_str()),
        (sample.reviewer.as_str(), "path_outside_workspace")
    );
    assert_eq!((denial["verdict"].as_str(), denial["tool"].as_str()), ("deny", "note"));

    let table = run(&vec!["tool-calls", "--status", "denied", "--since", "1h"]).await;
    assert!(table.starts_with("call ") && table.contains("path_outside_workspace"), "{table}");
    let page: Value = serde_json::from_str(&run(&vec!["--json", "runs", "--agent", "payer"]).await).unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let wrong = world.xagent(&["runs", "--status", "gone"]).await;
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("`gone` is none of"));
}
