-- How far each copy of the audit trail is: in Loki, at an OTLP receiver, in a file. Each is a view: setting its position back
-- sends what comes behind it again.
CREATE TABLE audit_trails (
    target   text COLLATE "C" PRIMARY KEY,
    -- Up to where every event is there, or was refused for good.
    position bigint NOT NULL CHECK (position >= 0),
    -- The timestamp that the event at the position has there, in nanoseconds since 1970: later ones come behind it.
    at_ns    bigint NOT NULL
);

REVOKE ALL ON audit_trails FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON audit_trails TO xagent_projector;
