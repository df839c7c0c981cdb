//! What runs the containers: the compose file and the Kubernetes example.

use serde_json::Value;
use xagent_tests::{StackTools, folder, root, succeeded};

/// The compose file, as compose itself reads it: parsed, held against its specification, its references resolved.
fn composed(tools: &StackTools) -> Value {
    let mut compose = tools.built("compose");
    let text = succeeded(compose.arg(root().join("deploy/compose.yaml")));
    serde_json::from_str(&text).unwrap()
}

fn named<'a>(services: &'a Value, allowed: &'a [&str]) -> impl Iterator<Item = (&'a String, &'a Value)> {
    services.as_object().unwrap().iter().filter(|(name, _)| !allowed.contains(&name.as_str()))
}

#[test]
fn compose_takes_the_file_with_every_service_of_the_stack() {
    let Some(tools) = StackTools::find("compose") else { return };
    let services = &composed(&tools)["services"];
    for name in [
        "api",
        "websocket",
        "worker",
        "projector",
        "redis",
        "postgres",
        "nats",
        "opa",
        "prometheus",
        "grafana",
        "jaeger",
        "loki",
        "alloy",
    ] {
        assert!(services[name].is_object(), "{name}");
    }
    let folder = folder("compose-");
    let wrong = folder.path().join("compose.yaml");
    std::fs::write(&wrong, "services: {a: {image: b, depends_on: [c]}}").unwrap();
    assert!(!tools.built("compose").arg(&wrong).output().unwrap().status.success(), "it would take anything");
}

#[test]
fn every_container_is_pinned_bounded_and_has_no_more_rights_than_it_needs() {
    let Some(tools) = StackTools::find("compose") else { return };
    let composed = composed(&tools);
    let services = &composed["services"];
    for (name, service) in named(services, &[]) {
        let image = service["image"].as_str().unwrap();
        let (_, tag) = image.split_once(':').unwrap_or_else(|| panic!("{name}: {image} has no tag"));
        assert!(
            tag.starts_with(|first: char| first.is_ascii_digit() || first == 'v') && tag.contains('.'),
            "{name}: {image}"
        );
        assert!(service["mem_limit"].is_string() || service["mem_limit"].is_number(), "{name} has no limit");
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        let options = service["security_opt"].to_string();
        assert!(options.contains("no-new-privileges:true"), "{name}");
        assert_eq!(options.contains("seccomp=unconfined"), name == "worker", "{name}");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}");
        }
        let environment = service["environment"].to_string().to_lowercase();
        assert!(
            !environment.contains("password\":\"") && !environment.contains("secret\":\""),
            "{name}: {environment}"
        );
    }
    // Ours run as the user of their image; these read what belongs to root, or hand it over once, with one capability each.
    for (name, service) in named(services, &["api", "websocket", "worker", "projector", "migrate"]) {
        let root = service["user"].as_str().unwrap().starts_with("0:");
        assert_eq!(root, ["alloy", "promtail", "nats-volume"].contains(&name.as_str()), "{name}");
        assert_eq!(root, service["cap_add"].as_array().is_some_and(|added| added.len() == 1), "{name}");
    }
    for (name, service) in named(services, &["migrate", "access", "nats-volume", "promtail"]) {
        assert!(service["healthcheck"]["test"].is_array(), "{name} has no health check");
    }
    for (name, secret) in composed["secrets"].as_object().unwrap() {
        assert!(secret["file"].as_str().unwrap().contains("/deploy/secrets/"), "{name}");
    }
}

#[test]
fn the_secrets_that_are_made_are_those_that_are_mounted_and_nats_takes_them() {
    let Some(tools) = StackTools::find("secrets") else { return };
    let folder = folder("secrets-");
    for file in ["secrets.sh", "nats.conf"] {
        std::fs::copy(root().join("deploy").join(file), folder.path().join(file)).unwrap();
    }
    for _ in 0..2 {
        succeeded(std::process::Command::new("bash").arg(folder.path().join("secrets.sh")));
    }
    let made = folder.path().join("secrets");
    for name in composed(&tools)["secrets"].as_object().unwrap().keys() {
        assert!(std::fs::read_to_string(made.join(name)).is_ok_and(|text| text.trim().len() >= 32), "{name}");
    }
    std::fs::copy(made.join("nats.conf"), folder.path().join("authorization.conf")).unwrap();
    succeeded(tools.packaged("nats-server").arg("-t").arg("-c").arg(folder.path().join("nats.conf")));
}

#[test]
fn kubernetes_takes_the_example_and_its_roles_are_apart() {
    let Some(tools) = StackTools::find("Kubernetes") else { return };
    let entries = std::fs::read_dir(root().join("deploy/kubernetes")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    succeeded(tools.packaged("kubernetes-validate").args(["--strict", "--quiet"]).args(&files));
    let mut roles = Vec::new();
    for file in files {
        for document in tools.yaml(&file.display().to_string()) {
            if document["kind"] != "Deployment" {
                continue;
            }
            let pod = &document["spec"]["template"]["spec"];
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            for container in pod["containers"].as_array().unwrap() {
                assert!(
                    container["resources"]["limits"]["memory"].is_string() && container["livenessProbe"].is_object()
                );
                assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
                assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
            }
            let environment = pod["containers"][0]["env"].as_array().unwrap();
            roles.extend(environment.iter().filter(|it| it["name"] == "XAGENT_ROLES").map(|it| it["value"].clone()));
        }
    }
    assert_eq!(roles, ["api", "worker", "relay,projector"]);
}
