-- The predicate is that of the partial index `events_wakes`, word for word, but for what a worker itself proposes: it is
-- at work on that run.
SELECT position, tenant, aggregate_id, event_type,
       CASE WHEN event_type = 'RunStarted' THEN payload #>> '{RunStarted,agent}' END AS agent,
       CASE WHEN event_type = 'RunStarted' THEN payload #>> '{RunStarted,priority}' END AS priority,
       CASE WHEN event_type = 'RunStarted' THEN sequence > 1 END AS forked,
       CASE WHEN event_type = 'ToolCallProposed' THEN payload #>> '{ToolCallProposed,tool,executor}' = 'client' END
           AS for_client
  FROM events
 WHERE position > $1
   AND aggregate_type = 'run' AND event_type IN (
        'RunStarted', 'RunResumed', 'ToolCallProposed', 'ApprovalGranted', 'ApprovalRefused',
        'RunCompleted', 'RunFailed', 'RunCancelled')
   AND NOT (event_type = 'ToolCallProposed' AND metadata ->> 'actor' = 'system:worker')
 ORDER BY position
 LIMIT $2
