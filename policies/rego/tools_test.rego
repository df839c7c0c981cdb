package xagent.tools_test

import data.xagent.tools

call := {
	"approval": null,
	"arguments": {},
	"call": {"arguments_digest": "d1", "id": "call_1"},
	"context": {"now_us": 1000, "usage": {"commands_last_minute": 0, "tool_calls_last_minute": 0}},
	"principal": {"id": "alice", "roles": [], "scopes": ["tool:*"], "tenant": "default"},
	"resources": {"code": [], "paths": [], "urls": []},
	"run": {
		"agent": "a",
		"goal": "g",
		"id": "run_1",
		"status": "running",
		"tainted": false,
		"tool_calls": {"by_tool": {}, "denied": 0, "total": 0},
	},
	"tenant": "default",
	"tool": {
		"consequential": false,
		"digest": "t1",
		"executor": "builtin",
		"idempotent": true,
		"name": "read_file",
		"reads_untrusted": false,
		"risk": "low",
	},
}

codes(document) := {reason.code | some reason in document.deny}

with_path(normal, problem) := object.union(call, {"resources": {"paths": [{
	"argument": "path",
	"normal": normal,
	"problem": problem,
	"raw": "raw",
}]}})

with_url(scheme, host, port, addresses) := object.union(call, {"resources": {"urls": [{
	"addresses": addresses,
	"argument": "url",
	"host": host,
	"port": port,
	"problem": "",
	"raw": "raw",
	"scheme": scheme,
}]}})

with_code(language, text) := object.union(call, {"resources": {"code": [{
	"argument": "code",
	"language": language,
	"text": text,
}]}})

test_a_plain_call_is_allowed if {
	document := tools.decision with input as call
	document == {"allow": true, "deny": [], "obligations": []}
}

test_a_tool_needs_its_scope if {
	document := tools.decision with input as object.union(call, {"principal": {"scopes": ["tool:other"]}})
	codes(document) == {"missing_tool_scope"}
}

test_a_tool_of_a_paused_run_waits if {
	document := tools.decision with input as object.union(call, {"run": {"status": "paused"}})
	codes(document) == {"run_not_running"}
}

test_a_path_with_a_problem_is_denied if {
	document := tools.decision with input as with_path("", "it is absolute")
	codes(document) == {"path_outside_workspace"}
}

test_secrets_are_not_read if {
	every path in [".env", "a/.env.local", ".ssh/config", "x/id_rsa", "k/server.PEM", ".git/config", "secrets.txt"] {
		document := tools.decision with input as with_path(path, "")
		codes(document) == {"secret_path"}
	}
}

test_other_files_are_read if {
	every path in ["README.md", "src/environment.rs", "a/.github/x.yml", "docs/secretary.md", "."] {
		document := tools.decision with input as with_path(path, "")
		document.allow
	}
}

test_internal_addresses_are_not_reached if {
	every address in [
		"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
		"224.0.0.1", "255.255.255.255", "::1", "::", "fc00::1", "fe80::1", "ff02::1", "64:ff9b::a00:1", "2002::1",
	] {
		document := tools.decision with input as with_url("https", "h", 443, [address])
		codes(document) == {"network_blocked"}
	}
}

test_one_internal_address_among_public_ones_is_enough if {
	document := tools.decision with input as with_url("https", "h", 443, ["93.184.216.34", "10.0.0.1"])
	codes(document) == {"network_blocked"}
}

test_public_addresses_are_reached if {
	every address in ["93.184.216.34", "1.1.1.1", "2606:4700::1111"] {
		document := tools.decision with input as with_url("https", "h", 443, [address])
		document.allow
	}
}

test_schemes_ports_and_names_are_checked if {
	scheme := tools.decision with input as with_url("ftp", "h", 443, ["1.1.1.1"])
	codes(scheme) == {"network_scheme"}
	port := tools.decision with input as with_url("http", "h", 8080, ["1.1.1.1"])
	codes(port) == {"network_port"}
	unresolved := tools.decision with input as with_url("http", "h", 80, [])
	codes(unresolved) == {"network_unresolved"}
	host := tools.decision with input as with_url("http", "h", 80, ["1.1.1.1"])
		with data.config.network.allowed_hosts as ["other"]
	codes(host) == {"network_host"}
}

test_a_named_endpoint_may_be_internal if {
	document := tools.decision with input as with_url("http", "127.0.0.1", 8080, ["127.0.0.1"])
		with data.config.network.allowed_endpoints as ["127.0.0.1:8080"]
	document.allow
}

test_an_address_that_is_none_is_denied if {
	document := tools.decision with input as object.union(
		with_url("https", "h", 443, ["1.1.1.1"]),
		{"resources": {"urls": [{"problem": "it holds credentials", "raw": "raw"}]}},
	)
	document.allow == false
	"invalid_url" in codes(document)
}

test_dangerous_code_is_denied if {
	every text in ["import os\nos.system('x')", "eval(x)", "__import__('a')", "import socket", "subprocess.run([])"] {
		document := tools.decision with input as with_code("python", text)
		codes(document) == {"dangerous_code"}
	}
}

test_code_in_an_unknown_language_is_denied if {
	document := tools.decision with input as with_code("cobol", "x")
	codes(document) == {"dangerous_code"}
}

test_plain_code_is_allowed if {
	document := tools.decision with input as with_code("python", "print(sum(range(10)))")
	document.allow
}

test_budgets_are_kept if {
	total := tools.decision with input as object.union(call, {"run": {"tool_calls": {"total": 1000}}})
	codes(total) == {"budget_exceeded"}
	one := tools.decision with input as object.union(call, {"run": {"tool_calls": {"by_tool": {"read_file": 500}}}})
	codes(one) == {"budget_exceeded"}
}

test_the_rate_is_bounded if {
	most := data.config.limits.tool_calls_per_minute
	document := tools.decision with input as object.union(
		call,
		{"context": {"usage": {"tool_calls_last_minute": most}}},
	)
	codes(document) == {"rate_limited"}
}

risky := object.union(call, {"tool": {"risk": "high"}})

tainted := object.union(call, {"run": {"tainted": true}, "tool": {"consequential": true, "risk": "medium"}})

approved(by, digest, expires_at_us) := {"approval": {
	"arguments_digest": digest,
	"expires_at_us": expires_at_us,
	"granted_by": by,
	"id": "appr_1",
}}

test_high_risk_waits_for_an_approval if {
	document := tools.decision with input as risky
	document.allow == false
	codes(document) == {"approval_required"}
	document.obligations == [{"reason": "`read_file` is of high risk", "type": "approval"}]
}

test_a_consequential_call_after_untrusted_content_waits_for_an_approval if {
	document := tools.decision with input as tainted
	codes(document) == {"approval_required"}
	count(document.obligations) == 1
}

test_free_folders_need_no_approval if {
	free := object.union(tainted, {"resources": {"paths": [{"normal": "scratch/a.md", "problem": "", "raw": "r"}]}})
	document := tools.decision with input as free
	document.allow
}

test_one_path_outside_the_free_folders_needs_an_approval if {
	paths := [{"normal": "scratch/a.md", "problem": "", "raw": "r"}, {"normal": "b.md", "problem": "", "raw": "r"}]
	document := tools.decision with input as object.union(tainted, {"resources": {"paths": paths}})
	codes(document) == {"approval_required"}
}

test_an_approval_by_another_principal_allows if {
	document := tools.decision with input as object.union(risky, approved("bob", "d1", 2000))
	document.allow
}

test_an_approval_binds_to_arguments_time_and_another_principal if {
	every approval in [approved("bob", "d2", 2000), approved("bob", "d1", 1000), approved("alice", "d1", 2000)] {
		document := tools.decision with input as object.union(risky, approval)
		codes(document) == {"approval_invalid"}
		document.obligations == []
	}
}

test_an_approval_does_not_heal_anything_else if {
	request := object.union(object.union(risky, {"run": {"status": "paused"}}), approved("bob", "d1", 2000))
	document := tools.decision with input as request
	codes(document) == {"run_not_running"}
}

test_a_risk_nobody_knows_is_high if {
	document := tools.decision with input as object.union(call, {"tool": {"risk": "none"}})
	codes(document) == {"approval_required"}
}

test_an_empty_input_is_denied_with_a_reason if {
	document := tools.decision with input as {}
	document.allow == false
	count(document.deny) > 0
}
