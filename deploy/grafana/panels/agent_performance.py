"""Agent Performance: what agents reach, in how many steps, how fast, at what cost."""

from dashboards import agents, dashboard, graph, prom, sql, stat, table

AGENT = "agent IN (${agent:sqlstring})"


def latency(share):
    """A quantile of the time of tools."""
    return prom(f"histogram_quantile({share}, sum by (le) (rate(xagent_tool_call_seconds_bucket[$__rate_interval])))",
                f"p{round(share * 100)}")


def waited(share):
    """A quantile of the time that runs waited in the queue."""
    return prom(f"histogram_quantile({share}, sum by (le, priority) (rate(xagent_work_wait_seconds_bucket[$__rate_interval])))",
                f"p{round(share * 100)} {{{{priority}}}}")


def made():
    """The dashboard."""
    return dashboard(
        "xagent-agents", "X-Agent: Agent Performance",
        "Goals, steps, completion times, tools and costs of agents. Counted from the ledger's query tables, so for all "
        "of history; rates and latencies from Prometheus.",
        [
            stat("Runs going on", sql(f"SELECT count(*) AS runs FROM views.runs WHERE status IN ('running', 'paused') AND {AGENT}")),
            stat("Runs ended", sql(f"SELECT count(*) AS runs FROM views.runs WHERE $__timeFilter(ended_at) AND {AGENT}")),
            stat("Goals achieved", sql(f"""SELECT count(*) FILTER (WHERE status = 'achieved')::float8 / nullif(count(*), 0)
                AS share FROM views.goals WHERE $__timeFilter(ended_at) AND {AGENT}"""), unit="percentunit"),
            stat("Steps to the end of a run", sql(f"""SELECT avg(greatest(consultations, tool_calls))::float8 AS steps FROM views.runs
                WHERE $__timeFilter(ended_at) AND {AGENT}"""), decimals=1,
                about="Times the planner was asked; of clients that plan themselves, tool calls that were decided."),
            stat("Approvals waiting", sql(f"SELECT count(*) AS waiting FROM views.approvals WHERE status = 'waiting' AND expires_at > now() AND {AGENT}")),
            stat("Runs that workers walk", prom("sum(xagent_runs_walking)", "runs", instant=True)),
            graph("Goals", sql(f"""SELECT $__timeGroup(ended_at, $__interval) AS time, status AS metric, count(*) AS goals
                FROM views.goals WHERE $__timeFilter(ended_at) AND {AGENT} GROUP BY 1, 2 ORDER BY 1""", series=True), stacked=True),
            graph("Completion time of runs", sql(f"""SELECT $__timeGroup(ended_at, $__interval) AS time,
                percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - started_at)) AS median,
                percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - started_at)) AS p95
                FROM views.runs WHERE $__timeFilter(ended_at) AND {AGENT} GROUP BY 1 ORDER BY 1""", series=True), unit="s"),
            graph("Loop steps", sql(f"""SELECT $__timeGroup(ended_at, $__interval) AS time, agent AS metric,
                avg(greatest(consultations, tool_calls))::float8 AS steps FROM views.runs
                WHERE $__timeFilter(ended_at) AND {AGENT} GROUP BY 1, 2 ORDER BY 1""", series=True),
                about="Of the runs that ended then: times the planner was asked, or tool calls decided, a run."),
            graph("Tool calls", prom("sum by (outcome) (rate(xagent_tool_calls_total[$__rate_interval]))", "{{outcome}}"), unit="ops", stacked=True,
                about="Made by workers. Calls that clients make themselves are in the tables."),
            graph("Wait for a worker", waited(0.5), waited(0.99), unit="s",
                about="From when a run was put into the queue to when a worker took it, by priority."),
            graph("Runs taken from the queue", prom("sum by (from) (rate(xagent_work_taken_total[$__rate_interval]))", "from the {{from}}"),
                prom("sum(rate(xagent_work_redelivered_total[$__rate_interval])) or vector(0)", "again: the worker's lease ran out"),
                prom("sum(rate(xagent_work_put_back_total[$__rate_interval])) or vector(0)", "put back"), unit="ops",
                about="Taken from the ledger while NATS is away; put back before they came to rest."),
            graph("Tool latency", latency(0.5), latency(0.95), latency(0.99), unit="s"),
            table("Tools", sql(f"""SELECT tool, count(*) AS calls, count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
                count(*) FILTER (WHERE status = 'failed') AS failed, count(*) FILTER (WHERE status = 'denied') AS denied,
                percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_us) / 1e6 AS median_seconds,
                percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_us) / 1e6 AS p95_seconds
                FROM views.tool_calls WHERE $__timeFilter(proposed_at) AND {AGENT} GROUP BY tool ORDER BY calls DESC LIMIT 50""")),
            graph("Tokens", sql(f"""SELECT hour AS time, agent AS metric, sum(tokens)::float8 AS tokens FROM views.usage
                WHERE $__timeFilter(hour) AND {AGENT} GROUP BY 1, 2 ORDER BY 1""", series=True), about="By hour, as planners told."),
            table("Cost by agent", sql(f"""SELECT agent, sum(runs) AS runs, sum(consultations) AS consultations, sum(tokens) AS tokens,
                sum(money_micros) / 1e6 AS money, sum(tool_calls) AS tool_calls, sum(denied_calls) AS denied,
                sum(tool_time_us) / 1e6 AS tool_seconds FROM views.usage WHERE $__timeFilter(hour) AND {AGENT}
                GROUP BY agent ORDER BY money DESC, tokens DESC LIMIT 50""")),
            table("Latest runs", sql(f"""SELECT r.started_at, r.agent, r.principal, r.status, r.goal, r.tool_calls, r.denied_calls, r.tokens,
                extract(epoch FROM r.ended_at - r.started_at) AS seconds, r.run,
                (SELECT d.trace_id FROM views.decisions d WHERE d.tenant = r.tenant AND d.run = r.run AND d.trace_id IS NOT NULL
                 ORDER BY d.position LIMIT 1) AS trace FROM views.runs r
                WHERE $__timeFilter(r.started_at) AND r.{AGENT} ORDER BY r.position DESC LIMIT 50"""), size=(24, 10), traces=["trace"]),
        ],
        [agents()])
