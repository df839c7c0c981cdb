# Who may issue which command and read which view.
#
# `allow` is a conjunction of proofs; the reasons only explain a denial.
package xagent.api

import data.xagent.base

decision := {
	"allow": allow,
	"deny": base.explained(allow, reasons, "xagent.api.allow"),
	"obligations": [],
}

default allow := false

allow if {
	base.authenticated
	base.tenant_ok
	input_ok
	command_ok
	scope_ok
	role_ok
	ownership_ok
	approval_ok
	base.commands_rate_ok
}

default input_ok := false

input_ok if {
	is_string(input.command.name)
	is_string(input.command.aggregate)
	is_string(input.command.id)
	is_object(input.command.attributes)
	is_number(input.context.now_us)
}

required_scope := data.xagent.commands[input.command.name]

default command_ok := false

command_ok if is_string(required_scope)

default scope_ok := false

scope_ok if {
	is_string(required_scope)
	base.holds_scope([required_scope])
}

default reads := false

reads if {
	is_string(input.command.name)
	startswith(input.command.name, "read.")
}

default role_ok := false

role_ok if base.read_only == false

role_ok if {
	base.authenticated
	reads
}

# Acts on a run are its owner's, unless a role or full admin says otherwise.
default owners_only := true

owners_only := false if {
	is_array(data.xagent.owner_commands)
	count([name | some name in data.xagent.owner_commands; name == input.command.name]) == 0
}

default ownership_ok := false

ownership_ok if owners_only == false

ownership_ok if base.acts_for_others

ownership_ok if {
	base.authenticated
	input.run.principal == input.principal.id
}

# Nobody answers their own request, not even a full admin.
default answers_approval := true

answers_approval := false if {
	is_array(data.xagent.approval_commands)
	count([name | some name in data.xagent.approval_commands; name == input.command.name]) == 0
}

default approval_ok := false

approval_ok if answers_approval == false

approval_ok if {
	base.authenticated
	is_string(input.approval.requested_by)
	input.approval.requested_by != ""
	input.approval.requested_by != input.principal.id
}

default self_approval := false

self_approval if input.approval.requested_by == input.principal.id

reasons contains each if some each in base.reasons

reasons contains base.reason("invalid_input", "xagent.api.input_ok", "the command is missing or malformed") if {
	not input_ok
}

reasons contains base.reason("unknown_command", "xagent.api.command_ok", "no rule knows this command") if {
	not command_ok
}

reasons contains base.reason("missing_scope", "xagent.api.scope_ok", message) if {
	is_string(required_scope)
	not scope_ok
	message := sprintf("the scope %s is required", [required_scope])
}

reasons contains base.reason("read_only_role", "xagent.api.role_ok", "a read-only role may only read") if {
	base.authenticated
	not role_ok
}

reasons contains base.reason("not_your_run", "xagent.api.ownership_ok", "the run belongs to another principal") if {
	not ownership_ok
}

reasons contains base.reason("self_approval", "xagent.api.approval_ok", "nobody may answer their own request") if {
	not approval_ok
	self_approval
}

reasons contains base.reason("unknown_approval", "xagent.api.approval_ok", "there is no such approval to answer") if {
	not approval_ok
	not self_approval
}

reasons contains base.reason("rate_limited", "xagent.base.commands_rate_ok", message) if {
	not base.commands_rate_ok
	message := sprintf("at most %v commands a minute are allowed", [data.xagent.limits.commands_per_minute])
}
