# Who asks, for which tenant, with which scopes and roles, and how often.
#
# Everything here is a positive proof: false where the input does not hold what the proof needs.
package xagent.base

default authenticated := false

authenticated if {
	is_string(input.principal.id)
	input.principal.id != ""
	is_array(input.principal.scopes)
	is_array(input.principal.roles)
}

default tenant_ok := false

tenant_ok if {
	is_string(input.tenant)
	input.tenant != ""
	input.principal.tenant == input.tenant
}

default full_admin := false

full_admin if {
	authenticated
	"*" in input.principal.scopes
}

# Whether one of the wanted scopes was granted; `*` grants them all.
holds_scope(_) if full_admin

holds_scope(wanted) if {
	authenticated
	some scope in wanted
	scope in input.principal.scopes
}

# A role that turns its bearer into a reader, whatever the scopes say.
default read_only := true

read_only := false if {
	authenticated
	is_array(data.xagent.read_only_roles)
	count({role | some role in input.principal.roles; role in data.xagent.read_only_roles}) == 0
}

# May act on the runs of others.
default acts_for_others := false

acts_for_others if full_admin

acts_for_others if {
	authenticated
	some role in data.xagent.owner_roles
	role in input.principal.roles
}

default commands_rate_ok := false

commands_rate_ok if below(input.context.usage.commands_last_minute, data.xagent.limits.commands_per_minute)

default tool_calls_rate_ok := false

tool_calls_rate_ok if below(input.context.usage.tool_calls_last_minute, data.xagent.limits.tool_calls_per_minute)

# Rego orders values of different types too, so a string would be "more" than any number.
below(used, limit) if {
	is_number(used)
	is_number(limit)
	used >= 0
	used < limit
}

reason(code, rule, message) := {"code": code, "rule": rule, "message": message}

# Sorted, and never empty beside a denial.
explained(true, _, _) := []

explained(false, reasons, _) := [each | some each in reasons] if count(reasons) > 0

explained(false, reasons, rule) := [reason("denied", rule, "not everything that would allow this could be proven")] if {
	count(reasons) == 0
}

# The reasons every entrypoint shares.
reasons contains reason("unauthenticated", "xagent.base.authenticated", "the principal is missing or malformed") if {
	not authenticated
}

reasons contains reason("wrong_tenant", "xagent.base.tenant_ok", "the principal belongs to another tenant") if {
	not tenant_ok
}
