"""API Health: rates, errors, latencies, who is refused, and what is behind the doors."""

from dashboards import dashboard, graph, prom, stat

RATE = "$__rate_interval"


def quantile(share, metric, by="le"):
    """A quantile of a histogram."""
    return f"histogram_quantile({share}, sum by ({by}) (rate({metric}_bucket[{RATE}])))"


def three(metric):
    """Median, 95 and 99 percent."""
    return [prom(quantile(share, metric), f"p{round(share * 100)}") for share in (0.5, 0.95, 0.99)]


def made():
    """The dashboard."""
    return dashboard(
        "xagent-api", "X-Agent: API Health", "What is asked of the servers, what they answer, and how fast.",
        [
            stat("Servers up", prom('sum(up{job="xagent"})', instant=True)),
            stat("Requests a second", prom(f"sum(rate(xagent_http_requests_total[{RATE}]))"), unit="reqps"),
            stat("Answers that are 5xx", prom(f'(sum(rate(xagent_http_requests_total{{status=~"5.."}}[{RATE}])) or vector(0)) '
                f"/ sum(rate(xagent_http_requests_total[{RATE}]))"), unit="percentunit"),
            stat("Requests under way", prom("sum(xagent_http_requests_under_way)", instant=True)),
            stat("Live streams", prom("sum(xagent_streams_open) or vector(0)", instant=True)),
            stat("Failed closed", prom("sum(increase(xagent_decisions_failed_total[$__range])) or vector(0)", instant=True), must_be_zero=True, decimals=0,
                about="Denials because the law gave no answer."),
            graph("Requests by status", prom(f"sum by (status) (rate(xagent_http_requests_total[{RATE}]))", "{{status}}"), unit="reqps", stacked=True),
            graph("Latency", *three("xagent_http_request_seconds"), unit="s"),
            graph("Requests by route", prom(f"topk(10, sum by (method, route) (rate(xagent_http_requests_total[{RATE}])))", "{{method}} {{route}}"), unit="reqps"),
            graph("Slowest routes", prom(f"topk(10, {quantile(0.95, 'xagent_http_request_seconds', 'le, route')})", "{{route}}"), unit="s"),
            graph("Not let in", prom(f'sum by (status) (rate(xagent_http_requests_total{{status=~"401|403|429"}}[{RATE}]))', "{{status}}"), unit="reqps",
                about="401: no valid token. 403: the law said no. 429: too many."),
            graph("Refused at the door, by reason", prom(f"sum by (why) (rate(xagent_requests_refused_total[{RATE}]))", "{{why}}"), unit="reqps"),
            graph("Decisions by entrypoint and verdict", prom(f"sum by (entrypoint, verdict) (rate(xagent_decisions_total[{RATE}]))", "{{entrypoint}} {{verdict}}"), unit="ops"),
            graph("Time of a decision", *three("xagent_decision_seconds"), unit="s"),
            graph("Events committed", prom(f"sum(rate(xagent_append_events_total[{RATE}]))", "events"), prom(f"sum(rate(xagent_append_batches_total[{RATE}]))", "batches"), unit="ops"),
            graph("Time of a commit", *three("xagent_append_batch_seconds"), unit="s"),
            graph("Appender's queue", prom("sum(xagent_append_waiting_commands)", "waiting"), prom(f"sum(rate(xagent_append_refused_total[{RATE}])) or vector(0)", "refused a second")),
            graph("Aggregates found in memory", prom('sum(rate(xagent_aggregate_cache_lookups_total{found="yes"}[$__rate_interval])) '
                "/ sum(rate(xagent_aggregate_cache_lookups_total[$__rate_interval]))", "share"), unit="percentunit", min=0, max=1),
        ])
