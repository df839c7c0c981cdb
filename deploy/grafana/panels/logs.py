"""Logs: the audit trail and the servers' logs in Loki, their rates, their errors, and all of one trace."""

from dashboards import dashboard, graph, lines, logql, text, trace, words

ALL = '{job="xagent"}'
TRAIL = '{job="xagent", event_type!=""}'


def made():
    """The dashboard."""
    return dashboard(
        "xagent-logs", "X-Agent: Logs", "Every event as a line, and what the servers log.",
        [
            text("Loki keeps **7 days**; the ledger keeps **everything**. What is older is read with `xagent events`, "
                 "`xagent tail --from`, or the Audit Trail dashboard. A trace id, typed above or followed from a line or a table, "
                 "shows its trace and everything that was said under it."),
            graph("Lines by level", logql(f"sum by (level) (rate({ALL}[$__auto]))", "{{level}}"), stacked=True, unit="cps"),
            graph("Events by type", logql(f"sum by (event_type) (rate({TRAIL}[$__auto]))", "{{event_type}}"), stacked=True, unit="cps"),
            graph("Errors", logql('sum by (event_type, level) (count_over_time({job="xagent", level="error"}[$__auto]))', "{{event_type}} {{level}}")),
            graph("Denials by rule", logql('sum by (rule) (count_over_time({job="xagent", event_type="DecisionMade", level="warn"} '
                '| json rule="payload.DecisionMade.deny[0].rule" [$__auto]))', "{{rule}}")),
            lines("Of the trace", '{job="xagent"} | json log_trace="trace_id" | trace_id="$trace" or log_trace="$trace"', size=(24, 8)),
            trace("The trace"),
            lines("Errors and warnings", '{job="xagent", level=~"error|warn"}', size=(24, 10)),
            lines("All", f"{ALL} |~ `(?i)$search`"),
        ],
        [words("trace", "Trace id"), words("search", "Search")], since="now-1h")
