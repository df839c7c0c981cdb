# Which tool calls may be run: scopes, paths, network, code, budgets, approvals.
package xagent.tools

import data.xagent.base

decision := {"allow": allow, "deny": reasons, "obligations": obligations}

default allow := false

allow if {
	otherwise_ok
	approval_ok
}

default otherwise_ok := false

otherwise_ok if {
	base.tenant_ok
	run_ok
	scope_ok
	paths_ok
	network_ok
	code_ok
	budget_ok
	base.tool_calls_rate_ok
}

run_ok if input.run.status == "running"

scope_ok if base.has_scope(concat("", ["tool:", input.tool.name]))

scope_ok if base.has_scope("tool:*")

# Paths: inside the workspace, and nothing that holds secrets.
paths_ok if {
	every path in input.resources.paths {
		path.problem == ""
		path.normal != ""
		no_secret(path.normal)
	}
}

no_secret(path) if {
	folded := base.ascii_lower(path)
	every pattern in data.config.secret_patterns {
		regex.match(pattern, folded) == false
	}
}

# Network: allowed schemes, ports and hosts, and every address public, unless the endpoint is named.
network_ok if {
	every url in input.resources.urls {
		url_ok(url)
		endpoint_ok(url)
	}
}

url_ok(url) if {
	url.problem == ""
	url.scheme in data.config.network.schemes
	host_ok(url)
	count(url.addresses) > 0
}

host_ok(_) if "*" in data.config.network.allowed_hosts

host_ok(url) if url.host in data.config.network.allowed_hosts

endpoint_ok(url) if named_endpoint(url)

endpoint_ok(url) if {
	url.port in data.config.network.ports
	every address in url.addresses {
		public(address)
	}
}

named_endpoint(url) if concat("", [url.host, ":", format_int(url.port, 10)]) in data.config.network.allowed_endpoints

public(address) if {
	contains(address, ":") == false
	every block in data.config.network.blocked_ipv4 {
		net.cidr_contains(block, address) == false
	}
}

public(address) if {
	contains(address, ":") == true
	every block in data.config.network.blocked_ipv6 {
		net.cidr_contains(block, address) == false
	}
}

# Code: a known language, and none of the patterns that reach outside.
code_ok if {
	every code in input.resources.code {
		code.language in data.config.code.languages
		every pattern in data.config.code.dangerous_patterns {
			regex.match(pattern, code.text) == false
		}
	}
}

# Budgets of one run.
budget_ok if {
	input.run.tool_calls.total < data.config.limits.tool_calls_per_run
	object.get(input.run.tool_calls.by_tool, input.tool.name, 0) < data.config.limits.calls_per_tool
}

# Approvals: by risk, and for consequential acts after content nobody vouches for was read.
approval_ok if {
	input.tool.risk in data.config.free_risks
	harmless
}

approval_ok if valid_approval

harmless if input.tool.consequential == false

harmless if input.run.tainted == false

harmless if {
	count(input.resources.paths) > 0
	every path in input.resources.paths {
		some prefix in data.config.free_write_prefixes
		startswith(path.normal, prefix)
	}
}

valid_approval if {
	input.approval != null
	input.approval.arguments_digest == input.call.arguments_digest
	input.approval.expires_at_us > input.context.now_us
	input.approval.granted_by != input.principal.id
}

default waits_for_approval := false

waits_for_approval if {
	otherwise_ok
	not approval_ok
	input.approval == null
}

obligations := [{"reason": why, "type": "approval"}] if waits_for_approval

obligations := [] if waits_for_approval == false

default free_risk := false

free_risk if input.tool.risk in data.config.free_risks

why := "the tool changes something, and content nobody vouches for was read" if free_risk

why := concat("", ["`", input.tool.name, "` is of ", input.tool.risk, " risk"]) if free_risk == false

reasons := [] if allow

reasons := [reason | some reason in deny] if {
	not allow
	count(deny) > 0
}

reasons := [base.reason("denied", "xagent.tools", "no rule allows this call")] if {
	not allow
	count(deny) == 0
}

deny contains base.reason("approval_required", "xagent.tools.approval_ok", message) if {
	waits_for_approval
	message := concat("", ["another principal must approve: ", why])
}

deny contains base.reason("approval_invalid", "xagent.tools.valid_approval", message) if {
	input.approval != null
	not approval_ok
	message := "the approval has lapsed, is for other arguments, or is the requester's own"
}

deny contains base.reason("wrong_tenant", "xagent.base.tenant_ok", "the principal belongs to another tenant") if {
	not base.tenant_ok
}

deny contains base.reason("run_not_running", "xagent.tools.run_ok", "the run is not running") if not run_ok

deny contains base.reason("missing_tool_scope", "xagent.tools.scope_ok", message) if {
	not scope_ok
	message := concat("", ["the call needs the scope `tool:", input.tool.name, "`"])
}

deny contains base.reason("path_outside_workspace", "xagent.tools.paths_ok", message) if {
	some path in input.resources.paths
	path.problem != ""
	message := concat("", ["`", path.raw, "`: ", path.problem])
}

deny contains base.reason("secret_path", "xagent.tools.no_secret", message) if {
	some path in input.resources.paths
	path.problem == ""
	not no_secret(path.normal)
	message := concat("", ["`", path.normal, "` may hold secrets"])
}

deny contains base.reason("invalid_url", "xagent.tools.url_ok", message) if {
	some url in input.resources.urls
	url.problem != ""
	message := concat("", ["`", url.raw, "`: ", url.problem])
}

deny contains base.reason("network_scheme", "xagent.tools.url_ok", message) if {
	some url in input.resources.urls
	url.problem == ""
	not url.scheme in data.config.network.schemes
	message := concat("", ["the scheme `", url.scheme, "` is not allowed"])
}

deny contains base.reason("network_host", "xagent.tools.host_ok", message) if {
	some url in input.resources.urls
	url.problem == ""
	not host_ok(url)
	message := concat("", ["the host `", url.host, "` is not allowed"])
}

deny contains base.reason("network_unresolved", "xagent.tools.url_ok", message) if {
	some url in input.resources.urls
	url.problem == ""
	count(url.addresses) == 0
	message := concat("", ["`", url.host, "` has no address"])
}

deny contains base.reason("network_port", "xagent.tools.endpoint_ok", message) if {
	some url in input.resources.urls
	url.problem == ""
	not named_endpoint(url)
	not url.port in data.config.network.ports
	message := concat("", ["the port ", format_int(url.port, 10), " is not allowed"])
}

deny contains base.reason("network_blocked", "xagent.tools.public", message) if {
	some url in input.resources.urls
	url.problem == ""
	not named_endpoint(url)
	some address in url.addresses
	not public(address)
	message := concat("", ["`", url.host, "` is at ", address, ", an internal or reserved address"])
}

deny contains base.reason("dangerous_code", "xagent.tools.code_ok", message) if {
	not code_ok
	message := "the code is in an unknown language or reaches outside its sandbox"
}

deny contains base.reason("budget_exceeded", "xagent.tools.budget_ok", message) if {
	not budget_ok
	message := "the run has used up its tool calls"
}

deny contains base.reason("rate_limited", "xagent.base.tool_calls_rate_ok", message) if {
	not base.tool_calls_rate_ok
	message := "too many tool calls in the last minute"
}
