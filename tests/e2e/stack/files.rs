//! The files of `deploy/` as the tools they are for take them.

use std::collections::BTreeSet;

use serde_json::Value;
use xagent_tests::{StackTools, folder, installed, root, succeeded};

use super::panels::{self, Server};
use crate::world::binary;

fn texts(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn prometheus_takes_its_configuration_and_the_rules() {
    let Some(_) = StackTools::find("promtool") else { return };
    let promtool = || std::process::Command::new(installed("promtool").unwrap());
    let (from, folder) = (root().join("deploy/prometheus"), folder("promtool-"));
    for file in ["prometheus.yml", "alerts.yml"] {
        let text = std::fs::read_to_string(from.join(file)).unwrap();
        let here = format!("{}/", folder.path().display());
        std::fs::write(folder.path().join(file), text.replace("/etc/prometheus/", &here)).unwrap();
    }
    succeeded(promtool().args(["check", "config"]).arg(folder.path().join("prometheus.yml")));
    succeeded(promtool().args(["check", "rules"]).arg(from.join("alerts.yml")));
    succeeded(promtool().args(["test", "rules", "alerts.test.yml"]).current_dir(&from));
}

#[test]
fn every_alert_is_tested_to_fire_and_to_be_silent_and_says_what_to_do() {
    let Some(tools) = StackTools::find("alerts") else { return };
    let groups = tools.yaml("deploy/prometheus/alerts.yml").remove(0);
    let rules: Vec<_> =
        groups["groups"].as_array().unwrap().iter().flat_map(|g| g["rules"].as_array().unwrap()).collect();
    let tests = tools.yaml("deploy/prometheus/alerts.test.yml").remove(0);
    let tried: Vec<_> =
        tests["tests"].as_array().unwrap().iter().flat_map(|t| t["alert_rule_test"].as_array().unwrap()).collect();
    assert!(rules.len() >= 10);
    for rule in rules {
        let name = &rule["alert"];
        let of_it: Vec<_> = tried.iter().filter(|test| test["alertname"] == *name).collect();
        let is_silent = |test: &&&&Value| test["exp_alerts"].as_array().unwrap().is_empty();
        let silent = of_it.iter().filter(is_silent).count();
        assert!(silent > 0 && silent < of_it.len(), "{name}");
        assert!(rule["annotations"]["summary"].is_string() && rule["annotations"]["action"].is_string(), "{name}");
    }
}

#[test]
fn dashboards_fit_grafanas_schema_and_are_those_of_their_source() {
    let Some(tools) = StackTools::find("dashboards") else { return };
    succeeded(std::process::Command::new("python3").arg(root().join("deploy/grafana/dashboards.py")).arg("--check"));
    let dashboards = panels::dashboards();
    let files: Vec<_> = dashboards.iter().map(|(file, _)| file).collect();
    assert_eq!(files.len(), 4);
    succeeded(tools.built("dashboards").args(files));
    let folder = folder("dashboards-");
    let wrong = folder.path().join("wrong.json");
    let mut dashboard = dashboards[0].1.clone();
    dashboard["panels"][0]["options"]["grafMode"] = "none".into();
    std::fs::write(&wrong, dashboard.to_string()).unwrap();
    let refused = tools.built("dashboards").arg(&wrong).output().unwrap();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("grafMode"));
}

#[test]
fn dashboards_ask_only_the_datasources_that_are_provisioned() {
    let Some(tools) = StackTools::find("datasources") else { return };
    let provisioned = tools.yaml("deploy/grafana/provisioning/datasources/datasources.yaml").remove(0);
    let named = |value: &Value| (value["type"].clone().to_string(), value["uid"].clone().to_string());
    let known: BTreeSet<_> = provisioned["datasources"].as_array().unwrap().iter().map(named).collect();
    let mut asked = BTreeSet::new();
    for (_, dashboard) in panels::dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            let targets = panel["targets"].as_array().unwrap();
            asked.extend(targets.iter().map(|target| named(&target["datasource"])));
        }
    }
    assert_eq!(asked, known, "and each of them is asked");
}

#[test]
fn every_query_of_loki_is_logql() {
    let Some(tools) = StackTools::find("LogQL") else { return };
    let queries: Vec<_> =
        panels::queries().into_iter().filter(|query| query.server == Server::Loki).map(|q| q.text).collect();
    assert!(queries.len() >= 8);
    assert_eq!(tools.logql(&queries), serde_json::json!([]));
    assert_ne!(tools.logql(&["sum by (level) (rate({job=\"xagent\"}))".to_owned()]), serde_json::json!([]));
}

#[test]
fn loki_keeps_seven_days_and_really_deletes() {
    let Some(tools) = StackTools::find("Loki") else { return };
    let loki = tools.yaml("deploy/loki/loki.yaml").remove(0);
    let (limits, compactor) = (&loki["limits_config"], &loki["compactor"]);
    assert_eq!(limits["retention_period"], "168h");
    assert_eq!(
        (&compactor["retention_enabled"], &compactor["delete_request_store"]),
        (&true.into(), &"filesystem".into())
    );
    assert_eq!(limits["allow_structured_metadata"], true);
    let schema = loki["schema_config"]["configs"].as_array().unwrap().last().unwrap();
    assert_eq!((&schema["schema"], &schema["store"]), (&"v13".into(), &"tsdb".into()));
    if let Some(program) = xagent_tests::loki("Loki's configuration") {
        let file = root().join("deploy/loki/loki.yaml");
        let mut verify = std::process::Command::new(program);
        succeeded(verify.arg("-verify-config").arg(format!("-config.file={}", file.display())));
    }
}

#[test]
fn the_dockerfile_is_clean_and_what_it_makes_is_not_root() {
    let Some(tools) = StackTools::find("hadolint") else { return };
    let file = root().join("deploy/Dockerfile");
    succeeded(tools.packaged("hadolint").arg("--failure-threshold").arg("info").arg(&file));
    let text = std::fs::read_to_string(&file).unwrap();
    let user = text.lines().rfind(|line| line.starts_with("USER ")).unwrap();
    assert_eq!(user, "USER 10001:10001");
}

#[test]
fn servers_are_configured_by_settings_that_they_have() {
    let Some(tools) = StackTools::find("settings") else { return };
    let help = succeeded(std::process::Command::new(binary()).args(["serve", "--help"]));
    // Those of the standard, and of URLs in files, which the help names once.
    let known =
        |name: &str| help.contains(&format!("env: {name}")) || name.starts_with("OTEL_") || name.ends_with("_URL_FILE");
    let compose = succeeded(tools.built("compose").arg(root().join("deploy/compose.yaml")));
    let compose: Value = serde_json::from_str(&compose).unwrap();
    let mut used = BTreeSet::new();
    for service in ["api", "websocket", "worker", "projector"] {
        used.extend(compose["services"][service]["environment"].as_object().unwrap().keys().cloned());
    }
    for file in ["20-api.yaml", "30-worker.yaml", "40-projector.yaml"] {
        let deployment = tools.yaml(&format!("deploy/kubernetes/{file}")).remove(0);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        used.extend(container["env"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()));
    }
    let unknown: Vec<_> = used.iter().filter(|name| !known(name)).collect();
    assert!(used.len() > 15 && unknown.is_empty(), "{unknown:?}");
    assert!(texts(&serde_json::json!(used)).contains("XAGENT_ROLES"));
}
