//! A real Prometheus over servers of ours, with the alert rules that are shipped.

use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;
use tokio::process::{Child, Command};
use xagent_tests::{installed, root, until};

pub struct Prometheus {
    url: String,
    _process: Child,
}

/// A free port of the loopback.
pub fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Prometheus {
    /// Scrapes these addresses every second.
    pub async fn start(folder: &Path, scraped: &[String]) -> Self {
        let rules = root().join("deploy/prometheus/alerts.yml");
        let configuration = serde_json::json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules],
            "scrape_configs": [{"job_name": "xagent", "static_configs": [{"targets": scraped}]}],
        });
        // JSON is YAML.
        std::fs::write(folder.join("prometheus.yml"), configuration.to_string()).unwrap();
        let address = format!("127.0.0.1:{}", free());
        let mut command = Command::new(installed("prometheus").unwrap());
        command.arg(format!("--config.file={}", folder.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
        command.arg(format!("--web.listen-address={address}")).arg("--log.level=error");
        let process = command.kill_on_drop(true).spawn().unwrap();
        let prometheus = Self { url: format!("http://{address}"), _process: process };
        until("Prometheus is ready", async || {
            let ready = reqwest::get(format!("{}/-/ready", prometheus.url)).await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
        prometheus
    }

    /// The series that answer a query now.
    pub async fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let answer = self.get("query", &[("query", query)]).await;
        match answer["status"].as_str() {
            Some("success") => Ok(answer["data"]["result"].as_array().unwrap().clone()),
            _ => Err(answer.to_string()),
        }
    }

    /// The number that answers it, where there is one.
    pub async fn number(&self, query: &str) -> Option<f64> {
        self.query(query).await.unwrap().first()?["value"][1].as_str()?.parse().ok()
    }

    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url), query).unwrap();
        client.get(url).send().await.unwrap().json().await.unwrap()
    }
}
