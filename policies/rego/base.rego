# What every decision shares: who asks, scopes and roles, tenant, rates, the form of a reason.

# METADATA
# scope: package
# schemas:
#   - input: schema.base
package xagent.base

default authenticated_ok := false

# Somebody in particular asks, and on behalf of some tenant.
authenticated_ok if {
	is_string(input.principal.id)
	input.principal.id != ""
	is_string(input.principal.tenant)
	input.principal.tenant != ""
}

has_scope(scope) if scope in input.principal.scopes

has_scope(_) if "*" in input.principal.scopes

# One of these roles; an empty list asks for none.
has_role_of(roles) if roles == []

has_role_of(roles) if {
	some role in roles
	role in input.principal.roles
}

default tenant_ok := false

tenant_ok if input.principal.tenant == input.tenant

default commands_rate_ok := false

commands_rate_ok if {
	is_number(input.context.usage.commands_last_minute)
	input.context.usage.commands_last_minute < data.config.limits.commands_per_minute
}

default tool_calls_rate_ok := false

tool_calls_rate_ok if {
	is_number(input.context.usage.tool_calls_last_minute)
	input.context.usage.tool_calls_last_minute < data.config.limits.tool_calls_per_minute
}

# A tool's own rate where it has one, else the one of every tool.
tool_rate_limit(tool) := object.get(
	data.config.limits.tool_per_minute,
	tool,
	data.config.limits.any_tool_per_minute,
)

tool_rate_ok(tool) if {
	is_number(input.context.usage.this_tool_last_minute)
	input.context.usage.this_tool_last_minute < tool_rate_limit(tool)
}

default acts_for_others := false

acts_for_others if {
	some role in data.config.acting_roles
	role in input.principal.roles
}

acts_for_others if "*" in input.principal.scopes

default is_read_only := false

is_read_only if {
	some role in data.config.read_only_roles
	role in input.principal.roles
}

# Engines fold letters beyond ASCII differently, so only ASCII is folded.
ascii_lower(text) := strings.replace_n(data.config.ascii_lower, text)

digits(value) := format_int(value, 10) if type_name(value) == "number"

digits(value) := "an unknown number of" if type_name(value) != "number"

reason(code, rule, message) := {"code": code, "message": message, "rule": rule}

# Engines fold letters beyond ASCII differently, so only ASCII is folded.
ascii_lower(text) := strings.replace_n(data.config.ascii_lower, text)
