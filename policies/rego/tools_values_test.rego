package xagent.tools_values_test

import data.xagent.tools
import data.xagent.tools_test

roles := {"amount": "amount", "body": "content", "id": "target", "key": "secret", "to": "recipient"}

value(argument, text, in_goal, in_trusted) := {
	"argument": argument,
	"in_goal": in_goal,
	"in_trusted": in_trusted,
	"micros": null,
	"normal": text,
	"role": object.get(roles, argument, null),
	"value": text,
}

amount(micros, in_goal) := object.union(value("amount", "1", in_goal, false), {"micros": micros})

# A consequential call with these values, after untrusted content was read.
after_taint(values) := object.union(tools_test.tainted, {"tool": {"name": "send", "roles": roles}, "values": values})

before_taint(values) := object.union(after_taint(values), {"run": {"taint": [], "tainted": false}})

codes(document) := {reason.code | some reason in document.deny}

test_values_the_goal_names_need_no_approval if {
	tools.allow with input as after_taint([value("to", "bob@x.org", true, false)])
	tools.allow with input as after_taint([value("to", "bob@x.org", true, false), amount(5, true)])
	tools.allow with input as after_taint([value("key", "correct-horse", true, false)])
}

test_one_value_nobody_vouches_for_is_enough if {
	values := [value("to", "bob@x.org", true, false), value("to", "eve@x.org", false, false)]
	document := tools.decision with input as after_taint(values)
	codes(document) == {"approval_required"}
	contains(document.deny[0].message, "neither the goal nor trusted data names `to` = `eve@x.org`")
	contains(document.deny[0].message, "was read by fetch")
	count(document.obligations) == 1
}

test_trusted_results_vouch_only_for_the_roles_that_say_so if {
	tools.allow with input as after_taint([value("to", "bob@x.org", false, true)])
	tools.allow with input as after_taint([value("id", "7", false, true)])
	every other in [value("key", "correct-horse", false, true), object.union(amount(5, false), {"in_trusted": true})] {
		tools.allow == false with input as after_taint([other])
	}
}

test_a_short_word_of_the_goal_vouches_for_nothing if {
	document := tools.decision with input as after_taint([value("id", "13", true, false)])
	codes(document) == {"approval_required"}
	tools.allow with input as after_taint([value("id", "report-13", true, false)])
	tools.allow == false with input as after_taint([value("to", "x", true, false)])
}

test_the_address_book_is_that_of_the_principal_and_its_tenant if {
	known := after_taint([value("to", "bob@x.org", false, false)])
	tools.allow with input as known
		with data.config.address_book as {"default": {"alice": {"recipient": ["bob@x.org"]}}}
	tools.allow with input as known
		with data.config.address_book as {"default": {"*": {"recipient": ["bob@x.org"]}}}
	books := [
		{"default": {"carol": {"recipient": ["bob@x.org"]}}},
		{"other": {"*": {"recipient": ["bob@x.org"]}}},
		{"default": {"*": {"target": ["bob@x.org"]}}},
		{"default": {"*": {"recipient": ["bob@x.org.evil.net", "BOB@x.org"]}}},
	]
	every book in books {
		tools.allow == false with input as known with data.config.address_book as book
	}
}

test_small_amounts_need_nobody if {
	request := after_taint([value("to", "bob@x.org", true, false), amount(5000000, false)])
	tools.allow with input as request with data.config.roles.amount.most_unvouched_micros as 5000000
	document := tools.decision with input as request with data.config.roles.amount.most_unvouched_micros as 4999999
	codes(document) == {"approval_required"}
}

test_an_amount_that_cannot_be_counted_is_denied if {
	document := tools.decision with input as before_taint([amount(null, true)])
	codes(document) == {"amount_invalid"}
}

test_money_is_a_budget if {
	most := data.config.limits.money_micros_per_run
	tools.allow with input as before_taint([amount(most, true)])
	document := tools.decision with input as before_taint([amount(most, true), amount(1, true)])
	codes(document) == {"budget_exceeded"}
}

test_an_argument_without_a_role_is_vouched_for_by_nobody if {
	document := tools.decision with input as after_taint([value("more", "bob@x.org", true, true)])
	codes(document) == {"approval_required"}
}

test_a_tool_without_declared_roles_needs_an_approval_even_without_arguments if {
	document := tools.decision with input as tools_test.tainted
	codes(document) == {"approval_required"}
}

test_content_alone_needs_no_approval if {
	tools.allow with input as after_taint([])
}

test_before_taint_only_roles_that_say_always_are_asked_for if {
	request := before_taint([value("to", "eve@x.org", false, false), value("more", "x", false, false)])
	tools.allow with input as request
	document := tools.decision with input as request with data.config.roles.recipient.always as true
	codes(document) == {"approval_required"}
	tools.allow with input as before_taint([value("to", "eve@x.org", true, false)])
		with data.config.roles.recipient.always as true
}

test_arguments_keep_to_their_constraints if {
	constraints := {"read_file": {
		"count": {"least": 1, "most": 10},
		"kind": {"values": ["a", "b"]},
		"name": {"pattern": "^[a-z]+$"},
	}}
	fine := object.union(tools_test.call, {"arguments": {"count": 10, "kind": "b", "name": "abc", "other": 1}})
	tools.allow with input as fine with data.config.arguments as constraints
	tools.allow with input as tools_test.call with data.config.arguments as constraints
	every wrong in [{"count": 11}, {"count": "5"}, {"kind": "c"}, {"name": "a b"}, {"name": 1}, {"kind": ["a"]}] {
		document := tools.decision with input as object.union(tools_test.call, {"arguments": wrong})
			with data.config.arguments as constraints
		codes(document) == {"argument_not_allowed"}
	}
}

test_a_call_without_its_values_is_not_allowed if {
	tools.allow == false with input as object.remove(before_taint([]), ["values"])
	tools.allow == false with input as object.remove(after_taint([]), ["values"])
}
