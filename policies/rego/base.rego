# What every decision shares: scopes, tenant, rates, the form of a reason.
package xagent.base

has_scope(scope) if scope in input.principal.scopes

has_scope(_) if "*" in input.principal.scopes

tenant_ok if input.principal.tenant == input.tenant

commands_rate_ok if input.context.usage.commands_last_minute < data.config.limits.commands_per_minute

tool_calls_rate_ok if input.context.usage.tool_calls_last_minute < data.config.limits.tool_calls_per_minute

default acts_for_others := false

acts_for_others if "operator" in input.principal.roles

acts_for_others if "*" in input.principal.scopes

reason(code, rule, message) := {"code": code, "message": message, "rule": rule}

# Engines fold letters beyond ASCII differently, so only ASCII is folded.
ascii_lower(text) := strings.replace_n(data.config.ascii_lower, text)
