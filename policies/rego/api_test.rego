package xagent.api_test

import data.xagent.api

asks(name, scopes) := {
	"approval": null,
	"command": {"aggregate": "run", "attributes": key_attributes("token", "", ""), "id": "run_1", "name": name},
	"context": {"now_us": 1000, "usage": {"commands_last_minute": 0, "tool_calls_last_minute": 0}},
	"principal": {"id": "alice", "roles": [], "scopes": scopes, "tenant": "default"},
	"run": {"agent": "a", "id": "run_1", "principal": "alice", "status": "running"},
	"tenant": "default",
}

key_attributes(credential, scopes, roles) := {"credential": credential, "roles": roles, "scopes": scopes}

issues(credential, scopes, roles) := object.union(
	asks("api_key.issue", ["api_key:write", "run:read", "tool:*"]),
	{
		"command": {"attributes": key_attributes(credential, scopes, roles)},
		"principal": {"roles": ["operator"]},
	},
)

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
	"proposed_by": "",
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

test_nobody_approves_a_call_they_proposed_for_another if {
	request := object.union(asks("approval.grant", ["*"]), asked("bob"))
	document := api.decision with input as object.union(request, {"approval": {"proposed_by": "alice"}})
	codes(document) == {"self_approval"}
}

test_an_approval_that_does_not_say_who_proposed_it_is_not_answered if {
	request := object.union(asks("approval.grant", ["*"]), asked("bob"))
	document := api.decision with input as object.remove(request, ["approval"])
	codes(document) == {"self_approval"}
	silent := object.union(object.remove(request, ["approval"]), {"approval": {"requested_by": "bob"}})
	codes(api.decision) == {"self_approval"} with input as silent
}

test_a_command_may_need_a_role_beside_its_scope if {
	asked_for := asks("bundle.activate", ["*"])
	poor := api.decision with input as asked_for with data.config.command_roles as {"bundle.activate": ["lawyer"]}
	codes(poor) == {"missing_role"}
	poor.deny[0].message == "`bundle.activate` needs one of the roles lawyer"
	rich := api.decision with input as object.union(asked_for, {"principal": {"roles": ["lawyer"]}})
		with data.config.command_roles as {"bundle.activate": ["lawyer"]}
	rich.allow
}

test_a_role_does_not_stand_in_for_a_scope if {
	asked_for := object.union(asks("bundle.activate", []), {"principal": {"roles": ["lawyer"]}})
	document := api.decision with input as asked_for with data.config.command_roles as {"bundle.activate": ["lawyer"]}
	codes(document) == {"missing_scope"}
}

test_an_auditor_reads_every_view_without_its_scope if {
	every name, _ in data.config.commands {
		request := object.union(asks(name, []), {"principal": {"roles": ["auditor"]}})
		document := api.decision with input as request
		document.allow == startswith(name, "read.")
	}
}

test_an_auditor_reads_no_other_tenant if {
	request := object.union(asks("read.events", ["*"]), {"principal": {"roles": ["auditor"], "tenant": "other"}})
	document := api.decision with input as request
	codes(document) == {"wrong_tenant"}
	document.deny[0].message == "the principal belongs to the tenant `other`, not to `default`"
}

test_nobody_in_particular_may_do_anything if {
	every id in ["", null, 1, {}] {
		document := api.decision with input as object.union(asks("read.run", ["*"]), {"principal": {"id": id}})
		document.allow == false
		"unauthenticated" in codes(document)
	}
}

test_the_rate_is_bounded if {
	most := data.config.limits.commands_per_minute
	request := object.union(asks("read.run", ["*"]), {"context": {"usage": {"commands_last_minute": most}}})
	document := api.decision with input as request
	codes(document) == {"rate_limited"}
	told := format_int(most, 10)
	document.deny[0].message == concat("", [told, " commands in the last minute; the limit is ", told])
	below := object.union(asks("read.run", ["*"]), {"context": {"usage": {"commands_last_minute": most - 1}}})
	api.allow with input as below
}

test_a_counter_that_is_no_number_keeps_no_rate if {
	every count in [null, "", [], {}, false] {
		request := object.union(asks("read.run", ["*"]), {"context": {"usage": {"commands_last_minute": count}}})
		api.allow == false with input as request
	}
}

test_an_empty_input_is_denied_with_a_reason if {
	document := api.decision with input as {}
	document.allow == false
	count(document.deny) > 0
}

test_a_key_grants_what_its_issuer_has if {
	document := api.decision with input as issues("token", "run:read tool:read_file", "operator")
	document.allow
}

test_a_key_grants_no_more_than_its_issuer_has if {
	every request in [
		issues("token", "run:start", ""),
		issues("token", "run:read *", ""),
		issues("token", "run:read", "auditor"),
	] {
		document := api.decision with input as request
		document.allow == false
		codes(document) == {"key_exceeds_issuer"}
	}
}

test_a_key_issues_no_keys if {
	document := api.decision with input as issues("api_key", "run:read", "")
	document.allow == false
	codes(document) == {"key_exceeds_issuer"}
}

test_a_key_of_which_nothing_is_known_is_not_issued if {
	request := json.patch(asks("api_key.issue", ["*"]), [{"op": "remove", "path": "/command/attributes/scopes"}])
	document := api.decision with input as request
	document.allow == false
}

test_one_tenant_makes_the_law_of_all if {
	every name in ["bundle.publish", "bundle.activate", "bundle.retire"] {
		of_another := object.union(asks(name, ["*"]), {"principal": {"tenant": "other"}, "tenant": "other"})
		document := api.decision with input as of_another
		document.allow == false
		codes(document) == {"wrong_tenant"}
	}
}
