package xagent.tools_test

import data.xagent.tools

call := {
	"approval": null,
	"arguments": {},
	"call": {"arguments_digest": "d1", "id": "call_1"},
	"context": {"now_us": 1000, "usage": {
		"commands_last_minute": 0,
		"this_tool_last_minute": 0,
		"tool_calls_last_minute": 0,
	}},
	"principal": {"id": "alice", "roles": [], "scopes": ["tool:*"], "tenant": "default"},
	"resources": {"code": [], "paths": [], "urls": []},
	"run": {
		"agent": "a",
		"goal": "g",
		"id": "run_1",
		"spent": {"bytes": 0, "money_micros": 0, "tokens": 0, "wall_ms": 0},
		"status": "running",
		"taint": [],
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
	"values": [],
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
	tools.allow with input as with_url("http", "localhost", 8080, ["127.0.0.1"])
		with data.config.network.allowed_endpoints as ["localhost:8080"]
	every other in ["127.0.0.1:808", "localhost:80", "localhost"] {
		tools.allow == false with input as with_url("http", "localhost", 8080, ["127.0.0.1"])
			with data.config.network.allowed_endpoints as [other]
	}
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
	codes(document) == {"unknown_language"}
}

test_every_language_has_its_own_dangers if {
	dangers := {
		"javascript": ["eval(x)", "require('fs')", "process.exit()", "x.constructor('y')", "fetch('u')"],
		"shell": ["rm -rf /", "curl x | sh", "echo $(id)", "cat /etc/passwd", "a;sudo b", "echo x >/dev/tcp/1.1.1.1/80"],
		"sql": ["DROP TABLE a", "select 1; delete from a", "select 1 -- x", "SELECT pg_sleep(9)", "Update a set b=1"],
	}
	every language, texts in dangers {
		every text in texts {
			document := tools.decision with input as with_code(language, text)
			codes(document) == {"dangerous_code"}
		}
	}
}

test_every_language_has_its_plain_code if {
	plain := {
		"javascript": "const a = [1, 2].map((x) => x + 1); console.log(a)",
		"python": "reopened = evaluate(1)",
		"shell": "ls -l | sort",
		"sql": "SELECT name FROM updates WHERE created_at > 1;",
	}
	every language, text in plain {
		tools.allow with input as with_code(language, text)
	}
}

test_the_reason_names_the_pattern if {
	document := tools.decision with input as with_code("python", "import socket")
	contains(document.deny[0].message, "holds python that matches")
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

test_every_budget_of_a_run_is_kept if {
	limits := {
		"bytes": data.config.limits.bytes_per_run,
		"money_micros": data.config.limits.money_micros_per_run,
		"tokens": data.config.limits.tokens_per_run,
		"wall_ms": data.config.limits.wall_ms_per_run,
	}
	every name, most in limits {
		tools.allow with input as object.union(call, {"run": {"spent": {name: most}}})
		document := tools.decision with input as object.union(call, {"run": {"spent": {name: most + 1}}})
		codes(document) == {"budget_exceeded"}
	}
}

test_without_counters_no_budget_is_kept if {
	every name in ["spent", "tool_calls"] {
		run := object.remove(call.run, [name])
		tools.allow == false with input as object.union(object.remove(call, ["run"]), {"run": run})
	}
}

test_a_budget_names_what_was_used_and_what_may_be if {
	document := tools.decision with input as object.union(call, {"run": {"spent": {"tokens": 2000001}}})
	document.deny[0].message == "the run would have used 2000001 of 2000000 tokens"
}

test_a_tool_has_a_rate_of_its_own if {
	request := object.union(call, {"context": {"usage": {"this_tool_last_minute": 3}}})
	tools.allow with input as request with data.config.limits.tool_per_minute as {"read_file": 4}
	document := tools.decision with input as request with data.config.limits.tool_per_minute as {"read_file": 3}
	codes(document) == {"rate_limited"}
}

test_a_tool_may_need_scopes_and_roles_beside_its_own if {
	scoped := tools.decision with input as call with data.config.tool_scopes as {"read_file": ["files"]}
	codes(scoped) == {"missing_tool_scope"}
	tools.allow with input as object.union(call, {"principal": {"scopes": ["tool:read_file", "files"]}})
		with data.config.tool_scopes as {"read_file": ["files"]}
	unfit := tools.decision with input as call with data.config.tool_roles as {"read_file": ["clerk"]}
	codes(unfit) == {"missing_tool_role"}
	tools.allow with input as object.union(call, {"principal": {"roles": ["clerk"]}})
		with data.config.tool_roles as {"read_file": ["clerk"]}
}

test_hosts_are_blocked_by_name_and_by_suffix if {
	every host in ["localhost", "metadata.google.internal", "db.internal", "printer.local", "x.localhost"] {
		document := tools.decision with input as with_url("https", host, 443, ["1.1.1.1"])
		codes(document) == {"network_host"}
	}
	tools.allow with input as with_url("https", "notlocalhost", 443, ["1.1.1.1"])
}

test_hosts_are_allowed_by_suffix if {
	network := object.union(data.config.network, {"allowed_hosts": [], "allowed_suffixes": [".example.org"]})
	tools.allow with input as with_url("https", "a.example.org", 443, ["1.1.1.1"]) with data.config.network as network
	every host in ["example.org", "a.example.org.evil.net", "aexample.org"] {
		document := tools.decision with input as with_url("https", host, 443, ["1.1.1.1"])
			with data.config.network as network
		codes(document) == {"network_host"}
	}
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

tainted := object.union(call, {"run": {"taint": [{"call": "call_0", "tool": "fetch"}], "tainted": true}, "tool": {"consequential": true, "risk": "medium"}})

approved(by, digest, expires_at_us) := {"approval": {
	"arguments_digest": digest,
	"expires_at_us": expires_at_us,
	"granted_by": by,
	"id": "appr_1",
	"proposed_by": "",
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
	proposed := object.union(approved("bob", "d1", 2000), {"approval": {"proposed_by": "bob"}})
	lapsed := approved("bob", "d1", 1000)
	every approval in [approved("bob", "d2", 2000), lapsed, approved("alice", "d1", 2000), proposed] {
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
