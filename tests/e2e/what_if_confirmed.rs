//! The bundle that decided, asked again: where the candidate says something else, and about every decision if that is wanted.

use serde_json::{Value, json};
use xagent_policies::Bundle;
use xagent_tests::{HARMLESS, History};

use crate::what_if::{asks, changed, folder_of, reseal};
use crate::world::Bare;

fn asked_again(said: &Value) -> u64 {
    let engines = said["engine_changes"]["by_engine"].as_object().unwrap();
    engines.values().map(|reached| reached["asked_again"].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_record_that_the_candidate_agrees_with_is_found_once_all_are_confirmed() {
    let bare = Bare::new().await;
    let (stock, lax) = (Bundle::stock().unwrap(), changed(|config| config["secret_patterns"] = json!([])));
    History::under(&bare.ledger, &stock, 0).await.run(1, &[HARMLESS, HARMLESS]).await;
    let run = History::under(&bare.ledger, &lax, 0).await.run(2, &[asks("low", Some(".env"), None)]).await;
    // Somebody says that the stock law let the secret be read, and seals that.
    let said_by = |bundle: &Bundle| format!("\"bundle\":\"{}\"", bundle.digest());
    reseal(&bare, &run, &said_by(&lax), &said_by(&stock)).await;
    let folder = folder_of(&lax, &bare.file("candidate"));

    let (code, said) = bare.xagent(&["what-if", &folder, "--fail-on", "any"]).await;
    assert_eq!((code, &said["changes"], &said["decided"]), (Some(0), &json!(0), &json!(5)), "{said:#}");
    assert_eq!((asked_again(&said), &said["engine_changes"]["unexplained"]), (0, &json!(0)));

    let (code, said) = bare.xagent(&["what-if", &folder, "--fail-on", "any", "--confirm"]).await;
    let engines = &said["engine_changes"];
    assert_eq!((code, asked_again(&said)), (Some(1), 5), "{said:#}");
    assert_eq!((&engines["changed"], &engines["unexplained"]), (&json!(1), &json!(1)), "{said:#}");
    assert_eq!(said["classes"], json!({"deny-to-allow": {"decisions": 1, "first": 1}}), "{said:#}");

    // Where the candidate disagrees with it, it is found without.
    let (code, said) = bare.xagent(&["what-if", "stock", "--fail-on", "engine"]).await;
    assert_eq!((code, &said["engine_changes"]["unexplained"]), (Some(1), &json!(1)), "{said:#}");
    let other = bare.xagent(&["replay", &run]).await;
    assert_eq!(other.0, Some(1), "{:#}", other.1);
}
