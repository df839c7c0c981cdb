-- Of the given events those that do not follow on exactly one of their stream, at a lower position, or are there twice.
-- What is archived stands in `archived_streams`: of each range the last one of a stream.
SELECT event.ordinal
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
       AS event (type, id, sequence, position, ordinal),
       LATERAL (
           SELECT count(*) FILTER (WHERE events.sequence = event.sequence - 1) AS before,
                  count(*) FILTER (WHERE events.sequence = event.sequence - 1 AND events.position < event.position) AS below,
                  count(*) FILTER (WHERE events.sequence = event.sequence AND events.position <> event.position) AS same
             FROM events
            WHERE events.aggregate_type = event.type AND events.aggregate_id = event.id
              AND events.sequence BETWEEN event.sequence - 1 AND event.sequence) AS near,
       LATERAL (
           SELECT coalesce(max(archived.sequence), 0) AS last
             FROM archived_streams AS archived
            WHERE archived.aggregate_type = event.type AND archived.aggregate_id = event.id
              AND archived.position < event.position) AS moved
 WHERE near.same > 0 OR near.before > 1 OR moved.last >= event.sequence
    OR (near.below = 0 AND moved.last <> event.sequence - 1)
 ORDER BY event.ordinal
