-- The predicate is that of the partial index `events_wakes`, word for word.
SELECT position, tenant, aggregate_id, event_type
  FROM events
 WHERE position > $1
   AND aggregate_type = 'run' AND event_type IN (
        'RunStarted', 'RunResumed', 'ToolCallProposed', 'ApprovalGranted', 'ApprovalRefused',
        'RunCompleted', 'RunFailed', 'RunCancelled')
 ORDER BY position
 LIMIT $2
