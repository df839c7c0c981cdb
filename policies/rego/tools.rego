# Which tool calls may be run: scopes, paths, network, code, arguments, budgets, approvals.

# METADATA
# scope: package
# schemas:
#   - input: schema.tools
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
	base.authenticated_ok
	base.tenant_ok
	run_ok
	scope_ok
	tool_role_ok
	paths_ok
	network_ok
	code_ok
	amounts_ok
	arguments_ok
	budget_ok
	rate_ok
}

default run_ok := false

run_ok if input.run.status == "running"

default scope_ok := false

scope_ok if {
	every scope in object.get(data.config.tool_scopes, input.tool.name, []) {
		base.has_scope(scope)
	}
	granted
}

granted if base.has_scope(concat("", ["tool:", input.tool.name]))

granted if base.has_scope("tool:*")

required_roles := object.get(data.config.tool_roles, input.tool.name, [])

default tool_role_ok := false

tool_role_ok if base.has_role_of(required_roles)

# Paths: inside the workspace, and nothing that holds secrets.
default paths_ok := false

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

secret(path) if {
	folded := base.ascii_lower(path)
	some pattern in data.config.secret_patterns
	regex.match(pattern, folded) == true
}

# Network: allowed schemes, ports and hosts, and every address public, unless the endpoint is named.
default network_ok := false

network_ok if {
	every url in input.resources.urls {
		url.problem == ""
		url.scheme in data.config.network.schemes
		count(url.addresses) > 0
		endpoint_ok(url)
	}
}

host_ok(host) if {
	host_allowed(host)
	every name in data.config.network.blocked_hosts {
		name != host
	}
	every suffix in data.config.network.blocked_suffixes {
		endswith(host, suffix) == false
	}
}

host_allowed(_) if "*" in data.config.network.allowed_hosts

host_allowed(host) if host in data.config.network.allowed_hosts

host_allowed(host) if {
	some suffix in data.config.network.allowed_suffixes
	endswith(host, suffix)
}

endpoint_ok(url) if endpoint(url) in data.config.network.allowed_endpoints

endpoint_ok(url) if {
	host_ok(url.host)
	url.port in data.config.network.ports
	every address in url.addresses {
		public(address)
	}
}

endpoint(url) := concat(":", [url.host, format_int(url.port, 10)])

blocks(address) := data.config.network.blocked_ipv6 if contains(address, ":")

blocks(address) := data.config.network.blocked_ipv4 if contains(address, ":") == false

public(address) if {
	every block in blocks(address) {
		net.cidr_contains(block, address) == false
	}
}

reserved(address) if {
	some block in blocks(address)
	net.cidr_contains(block, address) == true
}

# Code: a known language, and none of the patterns that reach outside.
default code_ok := false

code_ok if {
	every code in input.resources.code {
		every pattern in data.config.code.dangerous[code.language] {
			regex.match(pattern, folded_code(code)) == false
		}
	}
}

folded_code(code) := base.ascii_lower(code.text) if code.language in data.config.code.case_insensitive

folded_code(code) := code.text if not code.language in data.config.code.case_insensitive

# Arguments: amounts that can be counted, and what the tool's constraints say.
default amounts_ok := false

amounts_ok if {
	every use in input.values {
		countable(use)
	}
}

countable(use) if use.role != "amount"

countable(use) if is_number(use.micros)

constraints := object.get(data.config.arguments, input.tool.name, {})

default arguments_ok := false

arguments_ok if {
	every name, constraint in constraints {
		fits(object.get(input.arguments, name, null), constraint)
	}
}

# What is not given is not constrained.
fits(value, _) if value == null

fits(value, constraint) if value in constraint.values

fits(value, constraint) if {
	is_string(value)
	regex.match(constraint.pattern, value) == true
}

fits(value, constraint) if {
	is_number(value)
	value >= constraint.least
	value <= constraint.most
}

# Budgets of one run.
default budget_ok := false

budget_ok if {
	every row in budgets {
		is_number(row.used)
		row.used <= row.most
	}
}

money := sum([use.micros | some use in input.values; use.role == "amount"; is_number(use.micros)])

calls_of_this_tool := object.get(input.run.tool_calls.by_tool, input.tool.name, 0)

# What the run will have used up with this call.
budgets := [
	{"most": limits.tool_calls_per_run, "name": "tool calls", "used": input.run.tool_calls.total + 1},
	{"most": limits.calls_per_tool, "name": "calls of this tool", "used": calls_of_this_tool + 1},
	{"most": limits.tokens_per_run, "name": "tokens", "used": input.run.spent.tokens},
	{"most": limits.bytes_per_run, "name": "bytes", "used": input.run.spent.bytes},
	{"most": limits.wall_ms_per_run, "name": "milliseconds", "used": input.run.spent.wall_ms},
	{
		"most": limits.money_micros_per_run,
		"name": "millionths of money",
		"used": input.run.spent.money_micros + money,
	},
]

limits := data.config.limits

default rate_ok := false

rate_ok if {
	base.tool_calls_rate_ok
	base.tool_rate_ok(input.tool.name)
}

# Approvals: by risk, and where a call changes something that nobody vouched for.
default approval_ok := false

approval_ok if {
	input.tool.risk in data.config.free_risks
	harmless
}

approval_ok if valid_approval

default harmless := false

harmless if input.tool.consequential == false

harmless if {
	input.run.tainted == false
	every use in input.values {
		settled(use)
	}
}

harmless if {
	is_object(input.tool.roles)
	every use in input.values {
		vouched(use)
	}
}

harmless if {
	count(input.resources.paths) > 0
	every path in input.resources.paths {
		some prefix in data.config.free_write_prefixes
		startswith(path.normal, prefix)
	}
}

# Before anything untrusted was read, only roles that say `always` need somebody to vouch for them.
settled(use) if use.role == null

settled(use) if data.config.roles[use.role].always == false

settled(use) if vouched(use)

# A value is vouched for by the goal, by a trusted result, by the address book, or is an amount too small to matter.
vouched(use) if {
	use.in_goal == true
	count(use.normal) >= data.config.roles[use.role].shortest_in_goal
}

vouched(use) if {
	use.in_trusted == true
	data.config.roles[use.role].trusted_results == true
}

vouched(use) if {
	some owner in {input.principal.id, "*"}
	use.normal in data.config.address_book[input.tenant][owner][use.role]
}

vouched(use) if {
	use.role == "amount"
	is_number(use.micros)
	use.micros <= data.config.roles.amount.most_unvouched_micros
}

default valid_approval := false

valid_approval if {
	input.approval.arguments_digest == input.call.arguments_digest
	is_number(input.approval.expires_at_us)
	input.approval.expires_at_us > input.context.now_us
	input.approval.granted_by != input.principal.id
	input.approval.granted_by != input.approval.proposed_by
}

default waits_for_approval := false

waits_for_approval if {
	otherwise_ok
	approval_ok == false
	is_null(input.approval)
}

obligations := [{"reason": why, "type": "approval"}] if waits_for_approval

obligations := [] if waits_for_approval == false
