package xagent.api_test

import data.xagent.api

asks(name, scopes) := {
	"approval": null,
	"command": {"aggregate": "run", "attributes": {}, "id": "run_1", "name": name},
	"context": {"now_us": 1000, "usage": {"commands_last_minute": 0, "tool_calls_last_minute": 0}},
	"principal": {"id": "alice", "roles": [], "scopes": scopes, "tenant": "default"},
	"run": {"agent": "a", "id": "run_1", "principal": "alice", "status": "running"},
	"tenant": "default",
}

codes(document) := {reason.code | some reason in document.deny}

test_every_command_is_allowed_with_its_scope if {
	every name, scope in data.config.commands {
		document := api.decision with input as asks(name, [scope])
		document == {"allow": true, "deny": [], "obligations": []}
	}
}

test_no_command_is_allowed_without_its_scope if {
	every name, _ in data.config.commands {
		document := api.decision with input as asks(name, ["some:other"])
		document.allow == false
		codes(document) == {"missing_scope"}
	}
}

test_an_unknown_command_is_denied_even_with_every_scope if {
	document := api.decision with input as asks("run.explode", ["*"])
	document.allow == false
	codes(document) == {"unknown_command"}
}

test_an_auditor_reads if {
	request := object.union(asks("read.events", ["*"]), {"principal": {"roles": ["auditor"]}})
	document := api.decision with input as request
	document.allow
}

test_an_auditor_changes_nothing if {
	request := object.union(asks("run.start", ["*"]), {"principal": {"roles": ["auditor"]}})
	document := api.decision with input as request
	codes(document) == {"read_only_role"}
}

test_a_run_is_driven_by_its_principal if {
	request := object.union(asks("run.propose", ["call:propose"]), {"run": {"principal": "bob"}})
	document := api.decision with input as request
	codes(document) == {"not_your_run"}
}

test_an_operator_drives_the_runs_of_others if {
	request := object.union(
		asks("run.result", ["call:result"]),
		{"run": {"principal": "bob"}, "principal": {"roles": ["operator"]}},
	)
	document := api.decision with input as request
	document.allow
}

asked(by) := {"approval": {
	"expires_at_us": 2000,
	"id": "appr_1",
	"requested_by": by,
	"risk": "high",
	"tool": "write_file",
}}

test_nobody_approves_their_own_call if {
	document := api.decision with input as object.union(asks("approval.grant", ["*"]), asked("alice"))
	codes(document) == {"self_approval"}
}

test_another_principal_approves if {
	document := api.decision with input as object.union(asks("approval.grant", ["approval:decide"]), asked("bob"))
	document.allow
}

test_the_rate_is_bounded if {
	most := data.config.limits.commands_per_minute
	request := object.union(asks("read.run", ["*"]), {"context": {"usage": {"commands_last_minute": most}}})
	document := api.decision with input as request
	codes(document) == {"rate_limited"}
}

test_an_empty_input_is_denied_with_a_reason if {
	document := api.decision with input as {}
	document.allow == false
	count(document.deny) > 0
}
