//! Which answer holds what which other operation is called with (OpenAPI links).

use serde_json::{Map, Value, json};

/// What an answer leads to.
struct Lead {
    /// Of this operation.
    of: &'static str,
    /// Parameters, and where the answer or its request holds them.
    holds: &'static [(&'static str, &'static str)],
    /// The operations that can be called with them.
    calls: &'static [&'static str],
}

const LEADS: [Lead; 5] = [
    Lead {
        of: "start_run",
        holds: &[("run", "$response.body#/run")],
        calls: &[
            "read_run",
            "read_memory",
            "pause_run",
            "resume_run",
            "cancel_run",
            "complete_run",
            "list_events",
            "list_decisions",
            "propose_call",
        ],
    },
    Lead {
        of: "propose_call",
        holds: &[("run", "$request.path.run"), ("call", "$response.body#/call")],
        calls: &["read_call", "start_call", "post_result"],
    },
    Lead {
        of: "propose_call",
        holds: &[("approval", "$response.body#/approval")],
        calls: &["grant_approval", "refuse_approval"],
    },
    Lead {
        of: "list_bundles",
        holds: &[("digest", "$response.body#/active")],
        calls: &["read_bundle", "activate_bundle", "retire_bundle"],
    },
    Lead { of: "read_root", holds: &[("query.size", "$response.body#/size")], calls: &["prove_inclusion"] },
];

/// Adds the links of the operation.
pub fn add(operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let links: Map<_, _> = LEADS.iter().filter(|lead| lead.of == id).flat_map(linked).collect();
    let good = operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten();
    for (_, response) in good.filter(|(status, _)| ["200", "201"].contains(&status.as_str()) && !links.is_empty()) {
        response["links"] = links.clone().into();
    }
}

fn linked(lead: &Lead) -> Vec<(String, Value)> {
    let parameters: Map<_, _> = lead.holds.iter().map(|(name, place)| ((*name).to_owned(), json!(place))).collect();
    let link = |id: &&str| ((*id).to_owned(), json!({"operationId": id, "parameters": parameters}));
    lead.calls.iter().map(link).collect()
}
