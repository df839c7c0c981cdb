//! What to do about a denial, by its code, in words for a model.

use xagent_domain::DenyCode;

/// What to do where a denial has this code; a bundle's own codes have none.
pub(super) fn remedy(code: &str) -> Option<&'static str> {
    DenyCode::ALL.into_iter().find(|known| known.as_str() == code).map(known)
}

fn known(code: DenyCode) -> &'static str {
    match code {
        DenyCode::AmountInvalid => "give the amount as a plain decimal number with at most six decimals",
        DenyCode::ApprovalInvalid => "the approval is not good for this call: call again to ask for another",
        DenyCode::ApprovalRefused => "a person said no: choose another way, or ask that person why",
        DenyCode::ApprovalRequired => "a person must approve it first",
        DenyCode::ArgumentNotAllowed => "choose a value that the message says is allowed",
        DenyCode::BudgetExceeded => "this run has used up its budget: finish with what you have, or start another run",
        DenyCode::DangerousCode => "write code that does without what the message names",
        DenyCode::Denied | DenyCode::PolicyError => "ask whoever runs the policies, naming the decision",
        DenyCode::InvalidUrl => "give a complete http or https URL",
        DenyCode::KeyExceedsIssuer => "ask for a key that grants no more than its issuer has",
        DenyCode::MissingRole | DenyCode::MissingToolRole => "ask an administrator for the role the message names",
        DenyCode::MissingScope | DenyCode::MissingToolScope => "use a token that grants the scope the message names",
        DenyCode::NetworkBlocked => "internal and reserved addresses are never reached: use a public one",
        DenyCode::NetworkHost => "use a host that policy allows",
        DenyCode::NetworkPort => "use a port that policy allows, as a rule 80 or 443",
        DenyCode::NetworkScheme => "use http or https",
        DenyCode::NetworkUnresolved => "the host has no address: check its name",
        DenyCode::NotYourRun => "name a run of your own, or none",
        DenyCode::PathOutsideWorkspace => "use a path relative to the workspace, without `..`",
        DenyCode::RateLimited => "wait a minute, then call again",
        DenyCode::ReadOnlyRole => "this role reads and changes nothing: use another principal",
        DenyCode::RecordingMissing => {
            "recordings answer here, and there is none of this call: call what was called before"
        }
        DenyCode::RunNotRunning => "the run is paused or has ended: have it resumed, or name another",
        DenyCode::SecretPath => "files that may hold secrets are never touched: use another",
        DenyCode::SelfApproval => "somebody else must answer",
        DenyCode::Unauthenticated => "send a bearer token",
        DenyCode::UnknownCommand => "the law in force does not know the command: ask whoever runs the policies",
        DenyCode::UnknownLanguage => "use a language that policy knows",
        DenyCode::WrongTenant => "use a token of this tenant",
    }
}
