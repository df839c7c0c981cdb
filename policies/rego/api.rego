# Who may issue which command and read which view.

# METADATA
# scope: package
# schemas:
#   - input: schema.api
package xagent.api

import data.xagent.base

decision := {"allow": allow, "deny": reasons, "obligations": []}

default allow := false

allow if {
	base.authenticated_ok
	base.tenant_ok
	known_command
	scope_ok
	command_role_ok
	base.commands_rate_ok
	role_ok
	ownership_ok
	duty_ok
	key_ok
	law_tenant_ok
}

required_scope := data.config.commands[input.command.name]

required_roles := object.get(data.config.command_roles, input.command.name, [])

default known_command := false

known_command if is_string(required_scope)

default is_read := false

is_read if startswith(input.command.name, "read.")

default scope_ok := false

scope_ok if base.has_scope(required_scope)

# Who audits reads all of their tenant.
scope_ok if {
	is_read
	known_command
	some role in data.config.reading_roles
	role in input.principal.roles
}

default command_role_ok := false

command_role_ok if base.has_role_of(required_roles)

default role_ok := false

# Who audits does not act.
role_ok if is_read

role_ok if base.is_read_only == false

default is_owners := false

is_owners if input.command.name in data.config.owners_commands

default ownership_ok := false

# A run is driven by its principal, or by an operator on its behalf.
ownership_ok if is_owners == false

ownership_ok if is_null(input.run)

ownership_ok if input.run.principal == input.principal.id

ownership_ok if base.acts_for_others

default is_answer := false

is_answer if startswith(input.command.name, "approval.")

default duty_ok := false

# Nobody approves a call of a run of their own or one they proposed, not even with every scope.
duty_ok if is_answer == false

duty_ok if is_null(input.approval)

duty_ok if {
	input.approval.requested_by != input.principal.id
	input.approval.proposed_by != input.principal.id
}

default key_ok := false

# A key grants what its issuer has at most, and keys issue no keys: what one is given ends with it.
key_ok if input.command.name != "api_key.issue"

key_ok if {
	input.command.name == "api_key.issue"
	input.command.attributes.credential == "token"
	every scope in split(input.command.attributes.scopes, " ") {
		grantable_scope(scope)
	}
	every role in split(input.command.attributes.roles, " ") {
		grantable_role(role)
	}
}

default law_tenant_ok := false

# One law decides for all tenants, so one tenant makes it.
law_tenant_ok if startswith(input.command.name, "bundle.") == false

law_tenant_ok if input.principal.tenant == data.config.law_tenant

grantable_scope(scope) if scope == ""

grantable_scope(scope) if base.has_scope(scope)

grantable_scope(scope) if {
	startswith(scope, "tool:")
	base.has_scope("tool:*")
}

grantable_role(role) if role == ""

grantable_role(role) if role in input.principal.roles

default reasons := [{"code": "denied", "message": "no rule allows this command", "rule": "xagent.api"}]

reasons := [] if allow

reasons := [reason | some reason in deny] if {
	allow == false
	some _ in deny
}

# The deny set explains; it decides nothing.
deny contains base.reason("unauthenticated", "xagent.base.authenticated_ok", "nobody in particular asks") if {
	base.authenticated_ok == false
}

deny contains base.reason("unknown_command", "xagent.api.known_command", message) if {
	known_command == false
	message := concat("", ["no policy knows the command `", input.command.name, "`"])
}

deny contains base.reason("wrong_tenant", "xagent.base.tenant_ok", message) if {
	base.tenant_ok == false
	message := concat("", ["the principal belongs to the tenant `", input.principal.tenant, "`, not to `", input.tenant, "`"])
}

deny contains base.reason("missing_scope", "xagent.api.scope_ok", message) if {
	known_command
	scope_ok == false
	message := concat("", ["`", input.command.name, "` needs the scope `", required_scope, "`"])
}

deny contains base.reason("missing_role", "xagent.api.command_role_ok", message) if {
	command_role_ok == false
	message := concat("", ["`", input.command.name, "` needs one of the roles ", concat(", ", required_roles)])
}

deny contains base.reason("rate_limited", "xagent.base.commands_rate_ok", message) if {
	base.commands_rate_ok == false
	message := concat("", [
		base.digits(input.context.usage.commands_last_minute),
		" commands in the last minute; the limit is ",
		base.digits(data.config.limits.commands_per_minute),
	])
}

deny contains base.reason("read_only_role", "xagent.api.role_ok", message) if {
	role_ok == false
	message := concat("", ["`", input.principal.id, "` has a role that reads and changes nothing"])
}

deny contains base.reason("not_your_run", "xagent.api.ownership_ok", message) if {
	ownership_ok == false
	message := concat("", ["the run belongs to `", input.run.principal, "`"])
}

deny contains base.reason("wrong_tenant", "xagent.api.law_tenant_ok", message) if {
	law_tenant_ok == false
	message := concat("", ["the law of all tenants is made by the tenant `", data.config.law_tenant, "`"])
}

deny contains base.reason("key_exceeds_issuer", "xagent.api.key_ok", message) if {
	key_ok == false
	message := "a key can grant only what its issuer has, and is issued with a token, not with a key"
}

deny contains base.reason("self_approval", "xagent.api.duty_ok", message) if {
	duty_ok == false
	message := concat("", ["`", input.principal.id, "` asked for this approval and cannot answer it"])
}
