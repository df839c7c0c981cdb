"""Audit Trail: what was decided, by whom it was approved, and whether the record holds."""

from dashboards import dashboard, graph, logql, prom, sql, stat, table, text

TRAIL = '{job="xagent", event_type!=""}'
UNALLOWED = """SELECT count(*) AS calls FROM views.tool_calls c WHERE c.started_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM views.decisions d WHERE d.tenant = c.tenant AND d.run = c.run AND d.call = c.call
        AND d.verdict = 'allow' AND d.decided_at <= c.started_at)"""


def behind(reader):
    """How many events a reader has dealt with, from the first on."""
    return prom(f'max(xagent_reader_position{{reader="{reader}"}})', reader, instant=True)


def made():
    """The dashboard."""
    return dashboard(
        "xagent-audit", "X-Agent: Audit Trail",
        "Decisions, denials, approvals, and the proof that nothing is missing.",
        [
            text("The **ledger** is the record and keeps everything; tables here are read from its query tables, over all of "
                 "history. **Loki** is a view of it and keeps **7 days**. Purple marks: another policy bundle came into force."),
            stat("Tool calls without an allow", prom("sum(xagent_tool_calls_without_allow_total)", "as they came", instant=True),
                sql(UNALLOWED), must_be_zero=True, about="Must be 0: as the projector met them, and as the tables have them now."),
            stat("Faults in the ledger", prom("max(xagent_verify_faults)", instant=True), must_be_zero=True,
                about="What the last verification of the whole ledger found that does not hold."),
            stat("Gaps in positions", prom("max(xagent_verify_missing_positions)", instant=True), must_be_zero=True,
                about="Positions that are gone from the ledger, found by that verification."),
            stat("Verified", prom("time() - max(xagent_verified_timestamp_seconds)", instant=True), unit="s", about="Ago. Every hour, where servers are told so."),
            stat("Events verified", prom("max(xagent_verified_events)", instant=True), unit="locale"),
            stat("Not signed yet", prom("max(xagent_ledger_position) - max(xagent_checkpoint_position)", instant=True), about="Events behind the newest checkpoint."),
            graph("Decisions by verdict", prom("sum by (verdict) (rate(xagent_decisions_total[$__rate_interval]))", "{{verdict}}"), unit="ops", stacked=True),
            graph("Denials by reason", prom("sum by (code) (rate(xagent_denials_total[$__rate_interval]))", "{{code}}"), unit="ops", stacked=True),
            table("Denials by rule", sql("""SELECT rule, count(*) AS denials, count(DISTINCT principal) AS principals, count(DISTINCT agent) AS agents,
                max(decided_at) AS latest FROM views.decisions, unnest(rules) AS rule
                WHERE verdict = 'deny' AND $__timeFilter(decided_at) GROUP BY rule ORDER BY denials DESC LIMIT 50""")),
            table("Latest denials", sql("""SELECT decided_at, principal, agent, coalesce(tool, command) AS what, codes, reasons, decision, trace_id
                FROM views.decisions WHERE verdict = 'deny' AND $__timeFilter(decided_at) ORDER BY position DESC LIMIT 50"""), traces=["trace_id"]),
            table("Approvals", sql("""SELECT requested_at, agent, tool, risk, status, answered_by,
                extract(epoch FROM answered_at - requested_at) AS seconds, reason, run FROM views.approvals
                WHERE $__timeFilter(requested_at) ORDER BY position DESC LIMIT 50""")),
            table("Who approves, and how fast", sql("""SELECT answered_by, count(*) FILTER (WHERE status <> 'refused') AS granted,
                count(*) FILTER (WHERE status = 'refused') AS refused,
                percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM answered_at - requested_at)) AS median_seconds
                FROM views.approvals WHERE answered_by IS NOT NULL AND $__timeFilter(answered_at) GROUP BY answered_by ORDER BY granted DESC LIMIT 50""")),
            table("Reads, exports and replays of the record", sql("""SELECT command, principal, verdict, count(*) AS times, max(decided_at) AS latest
                FROM views.decisions WHERE aggregate_type = 'access' AND $__timeFilter(decided_at)
                GROUP BY command, principal, verdict ORDER BY latest DESC LIMIT 50"""),
                about="Asked of the servers. `xagent replay` on a copy of the database leaves no trace here."),
            table("Policy switches", sql("""SELECT switched_at, switched_by, bundle, previous, rolled_back FROM views.switches
                ORDER BY position DESC LIMIT 50""")),
            stat("Dealt with, of all events", prom("max(xagent_ledger_position)", "ledger", instant=True), behind("relay"), behind("view/runs"),
                behind("view/tables"), behind("audit/loki"), size=(24, 4), unit="locale",
                about="The last position of the ledger, of NATS (relay), Redis (view/runs), the query tables and the trail in Loki. Equal at rest."),
            stat("Events in this time: ledger", prom("max(max_over_time(xagent_ledger_position[$__range])) - min(min_over_time(xagent_ledger_position[$__range]))", instant=True), size=(6, 4), unit="locale"),
            stat("Published to NATS", prom('max(max_over_time(xagent_reader_position{reader="relay"}[$__range])) - min(min_over_time(xagent_reader_position{reader="relay"}[$__range]))', instant=True), size=(6, 4), unit="locale"),
            stat("Lines in Loki", logql(f"sum(count_over_time({TRAIL}[$__range]))", instant=True), size=(6, 4), unit="locale"),
            stat("Gaps and doubles in Loki", logql(f"max(max_over_time({TRAIL} | unwrap position [$__range])) - min(min_over_time({TRAIL} | unwrap position [$__range])) + 1 "
                f"- sum(count_over_time({TRAIL}[$__range]))", instant=True), size=(6, 4), about="0 where each position between the first and the last is there once."),
            graph("Behind the ledger", prom("max(xagent_ledger_position) - on() group_right() max by (reader) (xagent_reader_position)", "{{reader}}"), about="Events that a reader has not dealt with yet."),
            graph("From recording to relayed and visible, 99 percent", prom("histogram_quantile(0.99, sum by (le, reader) (rate(xagent_reader_delay_seconds_bucket[$__rate_interval])))", "{{reader}}"), unit="s"),
            graph("Audit trail by outcome", prom("sum by (target, outcome) (rate(xagent_audit_events_total[$__rate_interval]))", "{{target}} {{outcome}}"), unit="ops"),
            graph("Verifications", prom("sum by (outcome) (xagent_verifications_total)", "{{outcome}}")),
        ])
