"""What the dashboards show, one file each."""

from . import agent_performance, api_health, audit_trail, logs


def ALL():
    """By the names of their files."""
    return {
        "agent-performance": agent_performance.made(),
        "api-health": api_health.made(),
        "logs": logs.made(),
        "audit-trail": audit_trail.made(),
    }
