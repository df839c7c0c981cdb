//! What changes from one answer to another, the most dangerous first.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use xagent_domain::{Document, Outcome};

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It may not.
    Deny,
    /// It may once a person approves.
    Approval,
    /// It may.
    Allow,
}

/// How the answer changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// What was denied may be done.
    DenyToAllow,
    /// What a person had to approve may be done without.
    ApprovalToAllow,
    /// What was denied may be done once a person approves.
    DenyToApproval,
    /// What was allowed is denied.
    AllowToDeny,
    /// What was allowed needs a person's approval.
    AllowToApproval,
    /// What a person could approve is denied.
    ApprovalToDeny,
    /// The same verdict, with other reasons or obligations.
    Reasons,
}

impl Class {
    /// All of them, in the order they are reported in.
    pub const ALL: [Self; 7] = [
        Self::DenyToAllow,
        Self::ApprovalToAllow,
        Self::DenyToApproval,
        Self::AllowToDeny,
        Self::AllowToApproval,
        Self::ApprovalToDeny,
        Self::Reasons,
    ];

    /// Its name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::DenyToAllow => "deny-to-allow",
            Self::ApprovalToAllow => "approval-to-allow",
            Self::DenyToApproval => "deny-to-approval",
            Self::AllowToDeny => "allow-to-deny",
            Self::AllowToApproval => "allow-to-approval",
            Self::ApprovalToDeny => "approval-to-deny",
            Self::Reasons => "reasons",
        }
    }

    /// What it means, for people.
    pub fn told(self) -> &'static str {
        match self {
            Self::DenyToAllow => "denied, would be allowed",
            Self::ApprovalToAllow => "needed approval, would be allowed without",
            Self::DenyToApproval => "denied, could be approved",
            Self::AllowToDeny => "allowed, would be denied",
            Self::AllowToApproval => "allowed, would need approval",
            Self::ApprovalToDeny => "needed approval, would be denied",
            Self::Reasons => "the same verdict for other reasons",
        }
    }

    /// Whether it is one of approvals.
    pub fn is_approval(self) -> bool {
        matches!(self, Self::ApprovalToAllow | Self::DenyToApproval | Self::AllowToApproval | Self::ApprovalToDeny)
    }

    /// Whether what followed in the run would have been something else.
    pub fn diverges(self) -> bool {
        self != Self::Reasons
    }

    fn between(before: Verdict, after: Verdict) -> Self {
        match (before, after) {
            (Verdict::Deny, Verdict::Allow) => Self::DenyToAllow,
            (Verdict::Approval, Verdict::Allow) => Self::ApprovalToAllow,
            (Verdict::Deny, Verdict::Approval) => Self::DenyToApproval,
            (Verdict::Allow, Verdict::Deny) => Self::AllowToDeny,
            (Verdict::Allow, Verdict::Approval) => Self::AllowToApproval,
            (Verdict::Approval, Verdict::Deny) => Self::ApprovalToDeny,
            (Verdict::Deny, Verdict::Deny)
            | (Verdict::Approval, Verdict::Approval)
            | (Verdict::Allow, Verdict::Allow) => Self::Reasons,
        }
    }
}

/// The class of a change, and the rules it is about: those whose reasons come or go.
pub(super) fn change(before: &Outcome, after: &Outcome) -> Option<(Class, BTreeSet<String>)> {
    if before == after {
        return None;
    }
    let (before, after) = (before.document(), after.document());
    let class = Class::between(verdict(&before), verdict(&after));
    let (was, is) = (rules(&before), rules(&after));
    let mut changed: BTreeSet<String> = was.symmetric_difference(&is).cloned().collect();
    if changed.is_empty() {
        // The same rules with other words.
        changed = was;
    }
    if changed.is_empty() {
        changed.insert("(none named)".to_owned());
    }
    Some((class, changed))
}

fn verdict(document: &Document) -> Verdict {
    let asks = document.obligations.iter().any(|obligation| obligation.kind == "approval");
    match (document.allow, asks) {
        (true, _) => Verdict::Allow,
        (false, true) => Verdict::Approval,
        (false, false) => Verdict::Deny,
    }
}

fn rules(document: &Document) -> BTreeSet<String> {
    document.deny.iter().map(|reason| reason.code.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use xagent_domain::{CanonicalJson, FailureClass};

    fn said(allow: bool, codes: &[&str], approval: bool) -> Outcome {
        let deny: Vec<_> = codes.iter().map(|code| json!({"code": code, "rule": "r", "message": "m"})).collect();
        let obligations = if approval { json!([{"type": "approval", "reason": "r"}]) } else { json!([]) };
        let document = json!({"allow": allow, "deny": deny, "obligations": obligations});
        Outcome::Document(CanonicalJson::of(&document).unwrap())
    }

    #[test]
    fn a_change_is_named_by_where_it_comes_from_and_goes_to() {
        let (allow, deny, ask) = (said(true, &[], false), said(false, &["a"], false), said(false, &["b"], true));
        let failed = Outcome::Failure { class: FailureClass::Undefined, message: "m".to_owned() };
        for (before, after, class, rules) in [
            (&deny, &allow, Class::DenyToAllow, "a"),
            (&allow, &deny, Class::AllowToDeny, "a"),
            (&ask, &allow, Class::ApprovalToAllow, "b"),
            (&allow, &ask, Class::AllowToApproval, "b"),
            (&deny, &ask, Class::DenyToApproval, "a b"),
            (&ask, &deny, Class::ApprovalToDeny, "a b"),
            (&deny, &said(false, &["a", "c"], false), Class::Reasons, "c"),
            (&allow, &failed, Class::AllowToDeny, "policy_error"),
        ] {
            let (found, about) = change(before, after).unwrap();
            assert_eq!((found, about.into_iter().collect::<Vec<_>>().join(" ").as_str()), (class, rules));
        }
        assert_eq!(change(&deny, &deny), None);
    }
}
