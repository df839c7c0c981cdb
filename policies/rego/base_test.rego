package xagent.base_test

import data.xagent.base

test_a_scope_is_granted_by_name_or_by_star if {
	base.has_scope("run:read") with input as {"principal": {"scopes": ["run:read"]}}
	base.has_scope("run:read") with input as {"principal": {"scopes": ["*"]}}
}

test_a_prefix_grants_nothing if {
	not base.has_scope("run:read") with input as {"principal": {"scopes": ["run", "run:*", "run:rea"]}}
}

test_tenants_do_not_mix if {
	base.tenant_ok with input as {"principal": {"tenant": "a"}, "tenant": "a"}
	not base.tenant_ok with input as {"principal": {"tenant": "a"}, "tenant": "b"}
}

test_without_counters_no_rate_is_kept if {
	not base.commands_rate_ok with input as {"context": {}}
	not base.tool_calls_rate_ok with input as {"context": {"usage": {}}}
}
