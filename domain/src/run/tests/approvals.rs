//! Approvals: asked for by the law, answered once, used once, decided again.

use super::kit::{Given, Says, approval, call, propose, start_call, tool};
use crate::governed::Refusal;
use crate::run::{Act, CallStatus, Executor, Next};

fn ours() -> Act {
    Act::Propose(Box::new(propose(1, tool(Executor::Builtin, true))))
}

fn waiting() -> Given {
    Given::client_run().after_said(ours(), Says::Approval)
}

fn grant() -> Act {
    Act::Grant { approval: approval(1) }
}

fn refuse() -> Act {
    Act::Refuse { approval: approval(1), reason: "no".to_owned() }
}

#[test]
fn a_call_that_needs_an_approval_asks_for_it_and_waits() {
    let asked = Given::client_run().when_said(ours(), Says::Allow, Says::Approval);
    asked.then(&["DecisionMade", "ToolCallProposed", "DecisionMade", "ApprovalRequested"]);
    assert_eq!(waiting().run.next(), Next::Wait);
    waiting().when(start_call(1)).then_conflict("call_not_startable");
}

#[test]
fn an_approved_call_is_decided_again_when_it_starts() {
    let granted = waiting().after(grant());
    assert_eq!(granted.run.next(), Next::Start(call(1)));
    granted.when(start_call(1)).then(&["DecisionMade", "ToolCallStarted"]);
}

#[test]
fn an_approved_call_that_is_then_denied_does_not_start() {
    for says in [Says::Deny, Says::Approval] {
        let granted = waiting().after(grant());
        granted.when_said(start_call(1), Says::Allow, says).then(&["DecisionMade"]);
        let denied = waiting().after(grant()).after_said(start_call(1), says);
        assert_eq!((denied.run.call_status(&call(1)), denied.run.next()), (Some(CallStatus::Denied), Next::Wait));
    }
}

#[test]
fn an_approval_is_answered_once() {
    waiting().after(grant()).when(grant()).then_conflict("approval_answered");
    waiting().after(grant()).when(refuse()).then_conflict("approval_answered");
    waiting().after(refuse()).when(grant()).then_conflict("approval_answered");
}

#[test]
fn an_approval_is_used_once() {
    let started = waiting().after(grant()).after(start_call(1));
    assert_eq!(started.run.approval(&approval(1)).and_then(|approval| approval.granted_by()), None);
}

#[test]
fn an_approval_lapses() {
    waiting().later(99).when(grant()).then(&["DecisionMade", "ApprovalGranted"]);
    waiting().later(100).when(grant()).then_conflict("approval_expired");
}

#[test]
fn a_refused_call_is_closed_with_who_refused_it() {
    let refused = waiting().after(refuse());
    assert_eq!(refused.run.call_status(&call(1)), Some(CallStatus::Refused));
    assert_eq!(refused.run.next(), Next::Wait);
}

#[test]
fn an_approval_nobody_asked_for_is_not_found() {
    let then = Given::client_run().when(grant());
    assert!(matches!(then.0, Err(Refusal::NotFound { what: "approval", .. })));
}

#[test]
fn an_approval_that_lapsed_starts_nothing_whatever_the_law_says_by_then() {
    let granted = || waiting().after(grant());
    granted().later(99).when(start_call(1)).then(&["DecisionMade", "ToolCallStarted"]);
    granted().later(100).when(start_call(1)).then(&["DecisionMade", "ApprovalRefused"]);
    granted().later(100).when_said(start_call(1), Says::Allow, Says::Deny).then(&["DecisionMade"]);
    let lapsed = granted().later(100).after(start_call(1));
    assert_eq!(lapsed.run.call_status(&call(1)), Some(CallStatus::Refused));
    lapsed.when(start_call(1)).then_conflict("call_closed");
}

#[test]
fn a_used_approval_starts_nothing_again_while_the_call_is_under_way_or_after_it() {
    let theirs = || {
        let act = Act::Propose(Box::new(propose(1, tool(Executor::Client, true))));
        Given::client_run().after_said(act, Says::Approval).after(grant()).after(start_call(1))
    };
    theirs().when(start_call(1)).then_conflict("approval_used");
    theirs().after(super::kit::complete(1)).when(start_call(1)).then_conflict("approval_used");
}

#[test]
fn an_approved_call_starts_with_no_other_arguments() {
    let other = crate::CanonicalJson::parse("{\"a\":2}").unwrap();
    let act = Act::StartCall { call: call(1), arguments: other };
    waiting().after(grant()).when(act).then_conflict("other_arguments");
}
