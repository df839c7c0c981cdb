//! Why something was denied, by code: one list for the law, the API and the documentation.

/// A stable code of a denial. A bundle may use codes of its own beside these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DenyCode {
    /// An amount that cannot be counted.
    AmountInvalid,
    /// The approval does not fit.
    ApprovalInvalid,
    /// A person said no.
    ApprovalRefused,
    /// A person must say yes first.
    ApprovalRequired,
    /// An argument outside what the tool's constraints allow.
    ArgumentNotAllowed,
    /// The run has used up what it may use.
    BudgetExceeded,
    /// Code that reaches outside its sandbox.
    DangerousCode,
    /// No rule allows it, and none says why.
    Denied,
    /// A URL that cannot be read.
    InvalidUrl,
    /// An api key that would grant more than its issuer has, or that an api key would issue.
    KeyExceedsIssuer,
    /// A role is needed that the principal does not have.
    MissingRole,
    /// A scope is needed that the token does not grant.
    MissingScope,
    /// A role is needed for this tool.
    MissingToolRole,
    /// The scope of the tool is not granted.
    MissingToolScope,
    /// An internal or reserved address.
    NetworkBlocked,
    /// A host that is not allowed.
    NetworkHost,
    /// A port that is not allowed.
    NetworkPort,
    /// A scheme that is not allowed.
    NetworkScheme,
    /// A host without an address.
    NetworkUnresolved,
    /// The run belongs to another principal.
    NotYourRun,
    /// A path that leaves the workspace.
    PathOutsideWorkspace,
    /// The policy gave no usable answer.
    PolicyError,
    /// Too much within a minute.
    RateLimited,
    /// A role that reads and changes nothing.
    ReadOnlyRole,
    /// Recordings answer here, and there is none of this call.
    RecordingMissing,
    /// The run is not running.
    RunNotRunning,
    /// A path that may hold secrets.
    SecretPath,
    /// The requester answers their own request.
    SelfApproval,
    /// Nobody in particular asks.
    Unauthenticated,
    /// A command no policy knows.
    UnknownCommand,
    /// Code in a language no policy knows.
    UnknownLanguage,
    /// The principal belongs to another tenant.
    WrongTenant,
}

impl DenyCode {
    /// All of them, in order.
    pub const ALL: [Self; 32] = [
        Self::AmountInvalid,
        Self::ApprovalInvalid,
        Self::ApprovalRefused,
        Self::ApprovalRequired,
        Self::ArgumentNotAllowed,
        Self::BudgetExceeded,
        Self::DangerousCode,
        Self::Denied,
        Self::InvalidUrl,
        Self::KeyExceedsIssuer,
        Self::MissingRole,
        Self::MissingScope,
        Self::MissingToolRole,
        Self::MissingToolScope,
        Self::NetworkBlocked,
        Self::NetworkHost,
        Self::NetworkPort,
        Self::NetworkScheme,
        Self::NetworkUnresolved,
        Self::NotYourRun,
        Self::PathOutsideWorkspace,
        Self::PolicyError,
        Self::RateLimited,
        Self::ReadOnlyRole,
        Self::RecordingMissing,
        Self::RunNotRunning,
        Self::SecretPath,
        Self::SelfApproval,
        Self::Unauthenticated,
        Self::UnknownCommand,
        Self::UnknownLanguage,
        Self::WrongTenant,
    ];

    /// As it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AmountInvalid => "amount_invalid",
            Self::ApprovalInvalid => "approval_invalid",
            Self::ApprovalRefused => "approval_refused",
            Self::ApprovalRequired => "approval_required",
            Self::ArgumentNotAllowed => "argument_not_allowed",
            Self::BudgetExceeded => "budget_exceeded",
            Self::DangerousCode => "dangerous_code",
            Self::Denied => "denied",
            Self::InvalidUrl => "invalid_url",
            Self::KeyExceedsIssuer => "key_exceeds_issuer",
            Self::MissingRole => "missing_role",
            Self::MissingScope => "missing_scope",
            Self::MissingToolRole => "missing_tool_role",
            Self::MissingToolScope => "missing_tool_scope",
            Self::NetworkBlocked => "network_blocked",
            Self::NetworkHost => "network_host",
            Self::NetworkPort => "network_port",
            Self::NetworkScheme => "network_scheme",
            Self::NetworkUnresolved => "network_unresolved",
            Self::NotYourRun => "not_your_run",
            Self::PathOutsideWorkspace => "path_outside_workspace",
            Self::PolicyError => "policy_error",
            Self::RateLimited => "rate_limited",
            Self::ReadOnlyRole => "read_only_role",
            Self::RecordingMissing => "recording_missing",
            Self::RunNotRunning => "run_not_running",
            Self::SecretPath => "secret_path",
            Self::SelfApproval => "self_approval",
            Self::Unauthenticated => "unauthenticated",
            Self::UnknownCommand => "unknown_command",
            Self::UnknownLanguage => "unknown_language",
            Self::WrongTenant => "wrong_tenant",
        }
    }
}
