# Why a tool call is denied, or what would let it go on. It explains; it decides nothing.

package xagent.tools

import data.xagent.base

why := concat("; ", sort(causes))

causes contains cause if {
	not input.tool.risk in data.config.free_risks
	cause := concat("", ["`", input.tool.name, "` is of ", input.tool.risk, " risk"])
}

causes contains cause if {
	input.tool.risk in data.config.free_risks
	harmless == false
	some use in input.values
	is_string(use.role)
	known := {other | some other in input.values; vouched(other)}
	not use in known
	cause := concat("", ["neither the goal nor trusted data names `", use.argument, "` = `", use.value, "`"])
}

causes contains cause if {
	input.tool.risk in data.config.free_risks
	harmless == false
	unsaid := {use.argument | some use in input.values; is_null(use.role)}
	some _ in unsaid
	names := concat("`, `", sort(unsaid))
	cause := concat("", ["its registration does not say what `", names, "` is for"])
}

causes contains cause if {
	input.tool.risk in data.config.free_risks
	harmless == false
	input.run.tainted == true
	sources := {source.tool | some source in input.run.taint}
	read := concat(", ", sort(sources))
	cause := concat("", ["`", input.tool.name, "` changes something after content nobody vouches for was read by ", read])
}

default reasons := [{"code": "denied", "message": "no rule allows this call", "rule": "xagent.tools"}]

reasons := [] if allow

reasons := [reason | some reason in deny] if {
	allow == false
	some _ in deny
}

deny contains base.reason("approval_required", "xagent.tools.approval_ok", message) if {
	waits_for_approval
	message := concat("", ["another principal must approve: ", why])
}

deny contains base.reason("approval_invalid", "xagent.tools.valid_approval", message) if {
	is_object(input.approval)
	approval_ok == false
	message := concat("", [
		"the approval `", input.approval.id, "` of `", input.approval.granted_by,
		"` has lapsed, is for other arguments, or is the requester's own",
	])
}

deny contains base.reason("unauthenticated", "xagent.base.authenticated_ok", "nobody in particular asks") if {
	base.authenticated_ok == false
}

deny contains base.reason("wrong_tenant", "xagent.base.tenant_ok", message) if {
	base.tenant_ok == false
	message := concat("", ["the principal belongs to the tenant `", input.principal.tenant, "`, not to `", input.tenant, "`"])
}

deny contains base.reason("run_not_running", "xagent.tools.run_ok", message) if {
	run_ok == false
	message := concat("", ["the run is ", input.run.status])
}

deny contains base.reason("missing_tool_scope", "xagent.tools.scope_ok", message) if {
	scope_ok == false
	scopes := array.concat([concat("", ["tool:", input.tool.name])], object.get(data.config.tool_scopes, input.tool.name, []))
	message := concat("", ["the call needs the scope `", concat("`, `", scopes), "`"])
}

deny contains base.reason("missing_tool_role", "xagent.tools.tool_role_ok", message) if {
	tool_role_ok == false
	message := concat("", ["`", input.tool.name, "` needs one of the roles ", concat(", ", required_roles)])
}

deny contains base.reason("path_outside_workspace", "xagent.tools.paths_ok", message) if {
	some path in input.resources.paths
	path.problem != ""
	message := concat("", ["`", path.raw, "`: ", path.problem])
}

deny contains base.reason("secret_path", "xagent.tools.no_secret", message) if {
	some path in input.resources.paths
	path.problem == ""
	secret(path.normal)
	message := concat("", ["`", path.normal, "` may hold secrets"])
}

deny contains base.reason("invalid_url", "xagent.tools.network_ok", message) if {
	some url in input.resources.urls
	url.problem != ""
	message := concat("", ["`", url.raw, "`: ", url.problem])
}

deny contains base.reason("network_scheme", "xagent.tools.network_ok", message) if {
	some url in sound_urls
	not url.scheme in data.config.network.schemes
	message := concat("", ["the scheme `", url.scheme, "` is not allowed"])
}

deny contains base.reason("network_host", "xagent.tools.host_ok", message) if {
	some url in sound_urls
	name := endpoint(url)
	not name in data.config.network.allowed_endpoints
	fine := {other.host | some other in sound_urls; host_ok(other.host)}
	not url.host in fine
	message := concat("", ["the host `", url.host, "` is not allowed"])
}

deny contains base.reason("network_unresolved", "xagent.tools.network_ok", message) if {
	some url in sound_urls
	count(url.addresses) == 0
	message := concat("", ["`", url.host, "` has no address"])
}

deny contains base.reason("network_port", "xagent.tools.endpoint_ok", message) if {
	some url in sound_urls
	name := endpoint(url)
	not name in data.config.network.allowed_endpoints
	not url.port in data.config.network.ports
	message := concat("", ["the port ", base.digits(url.port), " is not allowed"])
}

deny contains base.reason("network_blocked", "xagent.tools.public", message) if {
	some url in sound_urls
	name := endpoint(url)
	not name in data.config.network.allowed_endpoints
	some address in url.addresses
	reserved(address)
	message := concat("", ["`", url.host, "` is at ", address, ", an internal or reserved address"])
}

sound_urls := [url | some url in input.resources.urls; url.problem == ""]

deny contains base.reason("unknown_language", "xagent.tools.code_ok", message) if {
	some code in input.resources.code
	not code.language in object.keys(data.config.code.dangerous)
	message := concat("", ["`", code.argument, "` is in `", code.language, "`, a language no policy knows"])
}

deny contains base.reason("dangerous_code", "xagent.tools.code_ok", message) if {
	some code in input.resources.code
	some pattern in data.config.code.dangerous[code.language]
	regex.match(pattern, folded_code(code)) == true
	message := concat("", ["`", code.argument, "` holds ", code.language, " that matches `", pattern, "`"])
}

deny contains base.reason("amount_invalid", "xagent.tools.amounts_ok", message) if {
	some use in input.values
	use.role == "amount"
	is_null(use.micros)
	message := concat("", ["`", use.argument, "` = `", use.value, "` is no amount that can be counted"])
}

deny contains base.reason("argument_not_allowed", "xagent.tools.arguments_ok", message) if {
	some name, constraint in constraints
	fine := {other | some other, bounds in constraints; fits(object.get(input.arguments, other, null), bounds)}
	not name in fine
	message := concat("", ["`", name, "` of `", input.tool.name, "` is not what this installation allows"])
}

deny contains base.reason("budget_exceeded", "xagent.tools.budget_ok", message) if {
	some row in budgets
	row.used > row.most
	message := concat("", ["the run would have used ", base.digits(row.used), " of ", base.digits(row.most), " ", row.name])
}

deny contains base.reason("rate_limited", "xagent.tools.rate_ok", message) if {
	rate_ok == false
	message := concat("", [
		base.digits(input.context.usage.tool_calls_last_minute), " tool calls in the last minute, ",
		base.digits(input.context.usage.this_tool_last_minute), " of `", input.tool.name, "`: one of the limits is reached",
	])
}
