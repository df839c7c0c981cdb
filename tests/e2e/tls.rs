//! TLS: a certificate from files, read again when they change.

use std::path::Path;
use std::time::Duration;

use xagent_tests::{PATIENCE, until};

use crate::world::issuer::openssl;
use crate::world::{Api, World};

/// Writes a certificate for 127.0.0.1, signed by itself, and its key.
fn certificate(folder: &Path, name: &str) -> [String; 2] {
    let [certificate, key] = ["crt", "key"].map(|end| folder.join(format!("{name}.{end}")).display().to_string());
    let config = folder.join("certificate.cnf");
    let text = "[req]\ndistinguished_name=name\nprompt=no\nx509_extensions=more\n[name]\nCN=xagent test\n\
                [more]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";
    std::fs::write(&config, text).unwrap();
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let files = ["-config", config.to_str().unwrap(), "-keyout", &key, "-out", &certificate];
    openssl(&[&new[..], &files].concat());
    [certificate, key]
}

/// Whoever trusts this certificate and no other.
fn trusting(certificate: &str) -> reqwest::Client {
    let pem = std::fs::read(certificate).unwrap();
    let certificate = reqwest::Certificate::from_pem(&pem).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([certificate]).timeout(Duration::from_secs(20)).no_proxy();
    client.pool_max_idle_per_host(0).build().unwrap()
}

async fn is_served(client: &reqwest::Client, url: &str) -> bool {
    client.get(format!("{url}/livez")).send().await.is_ok_and(|response| response.status() == 200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_speaks_tls_alone_and_takes_a_new_one_without_a_restart() {
    let world = World::new().await;
    let folder = world.workspace.parent().unwrap().to_owned();
    let ([first, first_key], [second, second_key]) = (certificate(&folder, "first"), certificate(&folder, "second"));
    let [served, served_key] = ["crt", "key"].map(|end| folder.join(format!("served.{end}")));
    let serve = |certificate: &str, key: &str| {
        std::fs::copy(key, &served_key).unwrap();
        std::fs::copy(certificate, &served).unwrap();
    };
    serve(&first, &first_key);
    let mut command = world.command(&["--json", "serve", "--listen", "127.0.0.1:0"]);
    command.arg("--tls-cert").arg(&served).arg("--tls-key").arg(&served_key);
    let (mut server, url) = world.started(command).await;
    assert!(url.starts_with("https://"), "{url}");
    let (old, new) = (trusting(&first), trusting(&second));
    until("it is served", async || is_served(&old, &url).await.then_some(())).await;
    assert!(!is_served(&new, &url).await, "who trusts another certificate does not trust this one");
    let clear = Api::with_token(&url.replace("https://", "http://"), "").get("/livez").await;
    assert_eq!(clear.status, 0, "nothing is said in the clear");

    let pid = server.id().unwrap().to_string();
    let hang_up = || assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    // A key that does not fit changes nothing.
    std::fs::copy(&second_key, &served_key).unwrap();
    hang_up();
    assert!(is_served(&old, &url).await);
    serve(&second, &second_key);
    hang_up();
    until("the new certificate is served", async || is_served(&new, &url).await.then_some(())).await;
    assert!(!is_served(&old, &url).await);
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(tokio::time::timeout(PATIENCE, server.wait()).await.unwrap().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_said_at_the_start() {
    let world = World::new().await;
    let folder = world.workspace.parent().unwrap().to_owned();
    let ([first, _], [_, other_key]) = (certificate(&folder, "first"), certificate(&folder, "second"));
    let mut serve = world.command(&["serve", "--listen", "127.0.0.1:0", "--tls-cert", &first, "--tls-key", &other_key]);
    let output = serve.output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("TLS: the certificate cannot be used"));
}
