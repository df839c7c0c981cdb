# Who may issue which command and read which view.
package xagent.api

import data.xagent.base

decision := {"allow": allow, "deny": reasons, "obligations": []}

default allow := false

allow if {
	known_command
	base.tenant_ok
	scope_ok
	base.commands_rate_ok
	role_ok
	ownership_ok
	duty_ok
}

required_scope := data.config.commands[input.command.name]

known_command if is_string(required_scope)

scope_ok if base.has_scope(required_scope)

is_read if startswith(input.command.name, "read.")

default is_auditor := false

is_auditor if "auditor" in input.principal.roles

# Who audits does not act.
role_ok if is_read

role_ok if is_auditor == false

default is_owners := false

is_owners if input.command.name in data.config.owners_commands

# A run is driven by its principal, or by an operator on its behalf.
ownership_ok if is_owners == false

ownership_ok if input.run == null

ownership_ok if input.run.principal == input.principal.id

ownership_ok if base.acts_for_others

# Nobody approves a call of a run of their own, not even with every scope.
duty_ok if startswith(input.command.name, "approval.") == false

duty_ok if input.approval == null

duty_ok if input.approval.requested_by != input.principal.id

reasons := [] if allow

reasons := [reason | some reason in deny] if {
	not allow
	count(deny) > 0
}

reasons := [base.reason("denied", "xagent.api", "no rule allows this command")] if {
	not allow
	count(deny) == 0
}

deny contains base.reason("unknown_command", "xagent.api.known_command", message) if {
	not known_command
	message := concat("", ["no policy knows the command `", input.command.name, "`"])
}

deny contains base.reason("wrong_tenant", "xagent.base.tenant_ok", "the principal belongs to another tenant") if {
	not base.tenant_ok
}

deny contains base.reason("missing_scope", "xagent.api.scope_ok", message) if {
	known_command
	not scope_ok
	message := concat("", ["`", input.command.name, "` needs the scope `", required_scope, "`"])
}

deny contains base.reason("rate_limited", "xagent.base.commands_rate_ok", "too many commands in the last minute") if {
	not base.commands_rate_ok
}

deny contains base.reason("read_only_role", "xagent.api.role_ok", "an auditor reads and changes nothing") if {
	not role_ok
}

deny contains base.reason("not_your_run", "xagent.api.ownership_ok", "the run belongs to another principal") if {
	not ownership_ok
}

deny contains base.reason("self_approval", "xagent.api.duty_ok", "whoever asked for an approval cannot answer it") if {
	not duty_ok
}
