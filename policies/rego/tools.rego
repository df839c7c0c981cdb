# Which tool call may run, on which paths, addresses and code, how often, and when a person must agree.
#
# `allow` is a conjunction of proofs; the reasons only explain a denial.
package xagent.tools

import data.xagent.base

decision := {
	"allow": allow,
	"deny": base.explained(allow, reasons, "xagent.tools.allow"),
	"obligations": obligations,
}

default allow := false

allow if {
	lawful
	approval_ok
}

# Everything but the approval.
default lawful := false

lawful if {
	base.authenticated
	base.tenant_ok
	input_ok
	base.read_only == false
	run_ok
	scope_ok
	paths_ok
	network_ok
	code_ok
	budget_ok
	base.tool_calls_rate_ok
}

default input_ok := false

input_ok if {
	is_string(input.tool.name)
	input.tool.name != ""
	input.tool.risk in data.xagent.risks
	is_boolean(input.tool.consequential)
	is_boolean(input.run.tainted)
	is_string(input.call.arguments_digest)
	input.call.arguments_digest != ""
	is_number(input.context.now_us)
}

default run_ok := false

run_ok if input.run.status == "running"

default scope_ok := false

scope_ok if {
	is_string(input.tool.name)
	base.holds_scope([concat("", ["tool:", input.tool.name]), "tool:*"])
}

# Paths.

default paths_ok := false

paths_ok if {
	is_array(input.resources.paths)
	every path in input.resources.paths {
		inside_workspace(path)
		no_secret(path)
	}
}

inside_workspace(path) if {
	path.problem == ""
	is_string(path.normal)
	path.normal != ""
}

no_secret(path) if {
	is_string(path.normal)
	count(data.xagent.secret_paths) > 0
	every pattern in data.xagent.secret_paths {
		regex.match(pattern, path.normal) == false
	}
}

# Network.

default network_ok := false

network_ok if {
	is_array(input.resources.urls)
	every url in input.resources.urls {
		url_parsed(url)
		url.scheme in data.xagent.network.allowed_schemes
		port_ok(url)
		host_ok(url)
		url_resolved(url)
		reachable(url)
	}
}

url_parsed(url) if {
	url.problem == ""
	is_string(url.scheme)
	is_string(url.host)
	url.host != ""
	is_number(url.port)
	is_array(url.addresses)
}

listed(url) if {
	url_parsed(url)
	concat(":", [url.host, format_int(url.port, 10)]) in data.xagent.network.allowed_endpoints
}

port_ok(url) if url.port in data.xagent.network.allowed_ports

port_ok(url) if listed(url)

host_ok(url) if listed(url)

host_ok(url) if {
	url_parsed(url)
	some allowed in data.xagent.network.allowed_hosts
	host_matches(allowed, url.host)
}

host_matches(allowed, _) if allowed == "*"

host_matches(allowed, host) if allowed == host

host_matches(allowed, host) if {
	startswith(allowed, "*.")
	endswith(host, substring(allowed, 1, -1))
}

url_resolved(url) if {
	is_array(url.addresses)
	count(url.addresses) > 0
}

reachable(url) if listed(url)

reachable(url) if {
	url_resolved(url)
	every address in url.addresses {
		public(address)
	}
}

# `every` with a comparison: an address or a network that cannot be parsed proves nothing.
public(address) if {
	is_string(address)
	net.cidr_is_valid(concat("", [address, "/32"]))
	count(data.xagent.network.blocked_cidrs) > 0
	every cidr in data.xagent.network.blocked_cidrs {
		net.cidr_contains(cidr, address) == false
	}
}

# Code.

default code_ok := false

code_ok if {
	is_array(input.resources.code)
	every code in input.resources.code {
		language_known(code)
		harmless(code)
	}
}

language_known(code) if {
	is_string(code.text)
	count(data.xagent.code[code.language]) > 0
}

harmless(code) if {
	language_known(code)
	every danger in data.xagent.code[code.language] {
		regex.match(danger.pattern, code.text) == false
	}
}

# Budgets.

default tool_limit := 0

tool_limit := object.get(data.xagent.limits.per_tool, input.tool.name, data.xagent.limits.tool_calls_per_tool)

default budget_ok := false

budget_ok if {
	base.below(input.run.tool_calls.total, data.xagent.limits.tool_calls_per_run)
	base.below(object.get(input.run.tool_calls.by_tool, input.tool.name, 0), tool_limit)
}

# Approval.

default needs_approval := true

needs_approval := false if {
	risk_accepted
	untainted
}

needs_approval := false if excused

risk_accepted if {
	is_string(input.tool.risk)
	is_array(data.xagent.approval.risks)
	count([risk | some risk in data.xagent.approval.risks; risk == input.tool.risk]) == 0
}

# Nothing goes out of a run that has read what nobody vouches for, unless a person agrees.
untainted if input.tool.consequential == false

untainted if input.run.tainted == false

# Free writing space: a call that touches nothing else. Where there is code or a URL, paths prove nothing.
excused if {
	input.tool.risk in data.xagent.risks
	input.tool.risk != "high"
	count(input.resources.paths) > 0
	count(input.resources.urls) == 0
	count(input.resources.code) == 0
	every path in input.resources.paths {
		inside_workspace(path)
		some prefix in data.xagent.approval.free_write_prefixes
		startswith(path.normal, prefix)
	}
}

default approval_valid := false

approval_valid if {
	is_string(input.approval.arguments_digest)
	input.approval.arguments_digest == input.call.arguments_digest
	is_number(input.approval.expires_at_us)
	is_number(input.context.now_us)
	input.approval.expires_at_us > input.context.now_us
	is_string(input.approval.granted_by)
	input.approval.granted_by != ""
	input.approval.granted_by != input.principal.id
}

default approval_ok := false

approval_ok if needs_approval == false

approval_ok if approval_valid

default approval_absent := false

approval_absent if input.approval == null

default approval_missing := false

approval_missing if {
	lawful
	needs_approval
	approval_absent
}

approval_reason := "the call follows untrusted content and acts outside the run" if risk_accepted

else := "the tool is of a risk that a person must accept"

obligations := [{"type": "approval", "reason": approval_reason} | approval_missing]

# Reasons.

reasons contains each if some each in base.reasons

reasons contains base.reason("invalid_input", "xagent.tools.input_ok", "the call is missing or malformed") if {
	not input_ok
}

reasons contains base.reason("invalid_input", "xagent.tools.input_ok", "the resources are missing or malformed") if {
	not resources_listed
}

default resources_listed := false

resources_listed if {
	is_array(input.resources.paths)
	is_array(input.resources.urls)
	is_array(input.resources.code)
}

reasons contains base.reason("read_only_role", "xagent.base.read_only", "a read-only role may not call tools") if {
	base.authenticated
	base.read_only
}

reasons contains base.reason("run_not_running", "xagent.tools.run_ok", "the run is not running") if not run_ok

reasons contains base.reason("missing_tool_scope", "xagent.tools.scope_ok", message) if {
	is_string(input.tool.name)
	not scope_ok
	message := sprintf("the scope tool:%s is required", [input.tool.name])
}

reasons contains base.reason("path_outside_workspace", "xagent.tools.paths_ok", message) if {
	some path in input.resources.paths
	not inside_workspace(path)
	message := sprintf("%v: %v", [path.argument, path.problem])
}

reasons contains base.reason("secret_path", "xagent.tools.paths_ok", message) if {
	some path in input.resources.paths
	inside_workspace(path)
	not no_secret(path)
	message := sprintf("%v names a secret: %v", [path.argument, path.normal])
}

reasons contains base.reason("invalid_url", "xagent.tools.network_ok", message) if {
	some url in input.resources.urls
	not url_parsed(url)
	message := sprintf("%v: %v", [url.argument, url.problem])
}

reasons contains base.reason("network_scheme", "xagent.tools.network_ok", message) if {
	some url in input.resources.urls
	url_parsed(url)
	not url.scheme in data.xagent.network.allowed_schemes
	message := sprintf("%v: the scheme %v is not allowed", [url.argument, url.scheme])
}

reasons contains base.reason("network_port", "xagent.tools.network_ok", message) if {
	some url in input.resources.urls
	url_parsed(url)
	not port_ok(url)
	message := sprintf("%v: the port %v is not allowed", [url.argument, url.port])
}

reasons contains base.reason("network_host", "xagent.tools.network_ok", message) if {
	some url in input.resources.urls
	url_parsed(url)
	not host_ok(url)
	message := sprintf("%v: the host %v is not allowed", [url.argument, url.host])
}

reasons contains base.reason("network_unresolved", "xagent.tools.network_ok", message) if {
	some url in input.resources.urls
	url_parsed(url)
	not url_resolved(url)
	message := sprintf("%v: the host %v has no address", [url.argument, url.host])
}

reasons contains base.reason("network_blocked", "xagent.tools.network_ok", message) if {
	some url in input.resources.urls
	url_parsed(url)
	url_resolved(url)
	not reachable(url)
	message := sprintf("%v: the host %v leads to an address that is not public", [url.argument, url.host])
}

reasons contains base.reason("unknown_language", "xagent.tools.code_ok", message) if {
	some code in input.resources.code
	not language_known(code)
	message := sprintf("%v: no rule knows the language %v", [code.argument, code.language])
}

reasons contains base.reason("dangerous_code", "xagent.tools.code_ok", message) if {
	some code in input.resources.code
	language_known(code)
	some danger in data.xagent.code[code.language]
	regex.match(danger.pattern, code.text)
	message := sprintf("%v: %v is not allowed", [code.argument, danger.name])
}

reasons contains base.reason("budget_exceeded", "xagent.tools.budget_ok", "the run has used up its tool calls") if {
	not budget_ok
}

reasons contains base.reason("rate_limited", "xagent.base.tool_calls_rate_ok", message) if {
	not base.tool_calls_rate_ok
	message := sprintf("at most %v tool calls a minute are allowed", [data.xagent.limits.tool_calls_per_minute])
}

reasons contains base.reason("approval_required", "xagent.tools.approval_ok", approval_reason) if approval_missing

reasons contains base.reason("approval_invalid", "xagent.tools.approval_ok", message) if {
	not approval_ok
	not approval_absent
	message := "the approval is for other arguments, has lapsed, or was granted by the one who asks"
}
