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

test_roles_are_compared_whole if {
	base.has_role_of([]) with input as {"principal": {"roles": []}}
	base.has_role_of(["a", "b"]) with input as {"principal": {"roles": ["b"]}}
	not base.has_role_of(["ab"]) with input as {"principal": {"roles": ["a", "b", "*"]}}
}

test_only_ascii_letters_are_folded if {
	base.ascii_lower("AbZ-ÉΣİ") == "abz-ÉΣİ"
}

test_a_tool_has_its_own_rate_or_that_of_every_tool if {
	base.tool_rate_limit("slow") == 2 with data.config.limits.tool_per_minute as {"slow": 2}
	base.tool_rate_limit("other") == data.config.limits.any_tool_per_minute
	base.tool_rate_ok("slow") with input as {"context": {"usage": {"this_tool_last_minute": 1}}}
		with data.config.limits.tool_per_minute as {"slow": 2}
	not base.tool_rate_ok("slow") with input as {"context": {"usage": {"this_tool_last_minute": 2}}}
		with data.config.limits.tool_per_minute as {"slow": 2}
	not base.tool_rate_ok("slow") with input as {"context": {"usage": {"this_tool_last_minute": null}}}
}

test_without_counters_no_rate_is_kept if {
	not base.commands_rate_ok with input as {"context": {}}
	not base.tool_calls_rate_ok with input as {"context": {"usage": {}}}
}
