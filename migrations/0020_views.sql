-- The query tables: what happened, as rows that people ask for. A view like any other: whatever is here can be dropped, and
-- is filled again from the events. All of it lies in one schema, so that another one can be filled beside it and take its
-- place.

DO $$
DECLARE role text;
BEGIN
    -- Who fills the tables, who reads them for the doors, and what an analyst's login is a member of.
    FOREACH role IN ARRAY ARRAY['xagent_projector', 'xagent_reader', 'xagent_analyst'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;
    FOREACH role IN ARRAY ARRAY['xagent_projector', 'xagent_reader'] LOOP
        IF NOT pg_has_role(current_user, role, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', role, current_user);
        END IF;
    END LOOP;
END $$;

-- Which tenants a login may see. Kept by the owner; an analyst cannot read it, let alone write it.
CREATE TABLE analysts (
    login  name NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    PRIMARY KEY (login, tenant)
);
REVOKE ALL ON analysts FROM PUBLIC;

-- The tenants of whoever is logged in, whatever role they have taken on since.
CREATE FUNCTION analyst_tenants() RETURNS text[] LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT coalesce(array_agg(tenant), '{}') FROM analysts WHERE login = session_user
$$;
REVOKE ALL ON FUNCTION analyst_tenants FROM PUBLIC;
GRANT EXECUTE ON FUNCTION analyst_tenants TO xagent_analyst;

-- The tables, empty, in a schema of their own. The primary keys and the indexes by which what is still open is found are
-- made at once, for the projector needs them; the others by `index_views`, once there is something to index.
CREATE FUNCTION create_views(schema_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE made text;
BEGIN
    IF schema_name !~ '^views(_next|_check|_at_[0-9]{1,19})?$' THEN
        RAISE EXCEPTION 'a schema of views is not called `%`', schema_name USING ERRCODE = 'invalid_schema_name';
    END IF;
    EXECUTE format('CREATE SCHEMA %I', schema_name);
    PERFORM set_config('search_path', quote_ident(schema_name) || ', ' || current_setting('search_path'), true);

    -- Up to where every event is in the tables, and how many of them this version could not read.
    CREATE TABLE position (
        only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        position   bigint NOT NULL,
        unreadable bigint NOT NULL
    );
    INSERT INTO position (position, unreadable) VALUES (0, 0);

    CREATE TABLE runs (
        tenant        text COLLATE "C" NOT NULL,
        run           text COLLATE "C" NOT NULL,
        agent         text COLLATE "C" NOT NULL,
        principal     text COLLATE "C" NOT NULL,
        planner       text COLLATE "C" NOT NULL,
        goal          text NOT NULL,
        status        text COLLATE "C" NOT NULL,
        summary       text NOT NULL,
        forked_from   text COLLATE "C",
        started_at    timestamptz NOT NULL,
        ended_at      timestamptz,
        updated_at    timestamptz NOT NULL,
        tool_calls    bigint NOT NULL,
        denied_calls  bigint NOT NULL,
        decisions     bigint NOT NULL,
        denials       bigint NOT NULL,
        approvals     bigint NOT NULL,
        consultations bigint NOT NULL,
        tokens        bigint NOT NULL,
        money_micros  bigint NOT NULL,
        output_bytes  bigint NOT NULL,
        sequence      bigint NOT NULL,
        position      bigint NOT NULL,
        last_position bigint NOT NULL,
        PRIMARY KEY (tenant, run)
    );

    CREATE TABLE goals (
        tenant        text COLLATE "C" NOT NULL,
        run           text COLLATE "C" NOT NULL,
        goal          text COLLATE "C" NOT NULL,
        parent        text COLLATE "C",
        agent         text COLLATE "C" NOT NULL,
        principal     text COLLATE "C" NOT NULL,
        text          text NOT NULL,
        status        text COLLATE "C" NOT NULL,
        summary       text NOT NULL,
        set_at        timestamptz NOT NULL,
        ended_at      timestamptz,
        position      bigint NOT NULL,
        last_position bigint NOT NULL,
        PRIMARY KEY (tenant, run, goal)
    );
    CREATE INDEX goals_open ON goals (tenant, run) WHERE ended_at IS NULL;

    CREATE TABLE decisions (
        tenant         text COLLATE "C" NOT NULL,
        decision       text COLLATE "C" NOT NULL,
        verdict        text COLLATE "C" NOT NULL,
        entrypoint     text COLLATE "C" NOT NULL,
        command        text COLLATE "C",
        aggregate_type text COLLATE "C" NOT NULL,
        aggregate_id   text COLLATE "C" NOT NULL,
        run            text COLLATE "C",
        agent          text COLLATE "C",
        principal      text COLLATE "C" NOT NULL,
        tool           text COLLATE "C",
        call           text COLLATE "C",
        approval       text COLLATE "C",
        codes          text[] NOT NULL,
        rules          text[] NOT NULL,
        reasons        text NOT NULL,
        bundle         text COLLATE "C" NOT NULL,
        engine         text COLLATE "C" NOT NULL,
        duration_us    bigint NOT NULL,
        decided_at     timestamptz NOT NULL,
        trace_id       text COLLATE "C",
        sequence       bigint NOT NULL,
        position       bigint NOT NULL,
        PRIMARY KEY (tenant, position)
    );

    CREATE TABLE tool_calls (
        tenant           text COLLATE "C" NOT NULL,
        run              text COLLATE "C" NOT NULL,
        call             text COLLATE "C" NOT NULL,
        agent            text COLLATE "C" NOT NULL,
        principal        text COLLATE "C" NOT NULL,
        proposed_by      text COLLATE "C" NOT NULL,
        goal             text COLLATE "C" NOT NULL,
        label            text NOT NULL,
        tool             text COLLATE "C" NOT NULL,
        risk             text COLLATE "C" NOT NULL,
        executor         text COLLATE "C" NOT NULL,
        status           text COLLATE "C" NOT NULL,
        decision         text COLLATE "C",
        approval         text COLLATE "C",
        codes            text[] NOT NULL,
        paths            text[] NOT NULL,
        hosts            text[] NOT NULL,
        arguments_digest text COLLATE "C" NOT NULL,
        attempts         bigint NOT NULL,
        money_micros     bigint NOT NULL,
        output_bytes     bigint,
        duration_us      bigint,
        proposed_at      timestamptz NOT NULL,
        started_at       timestamptz,
        ended_at         timestamptz,
        position         bigint NOT NULL,
        last_position    bigint NOT NULL,
        PRIMARY KEY (tenant, run, call)
    );
    CREATE INDEX tool_calls_open ON tool_calls (tenant, run) WHERE ended_at IS NULL;

    CREATE TABLE approvals (
        tenant        text COLLATE "C" NOT NULL,
        run           text COLLATE "C" NOT NULL,
        approval      text COLLATE "C" NOT NULL,
        call          text COLLATE "C" NOT NULL,
        agent         text COLLATE "C" NOT NULL,
        principal     text COLLATE "C" NOT NULL,
        tool          text COLLATE "C",
        risk          text COLLATE "C",
        reason        text NOT NULL,
        status        text COLLATE "C" NOT NULL,
        answered_by   text COLLATE "C",
        answer        text,
        requested_at  timestamptz NOT NULL,
        expires_at    timestamptz NOT NULL,
        answered_at   timestamptz,
        position      bigint NOT NULL,
        last_position bigint NOT NULL,
        PRIMARY KEY (tenant, run, approval)
    );
    CREATE INDEX approvals_open ON approvals (tenant, run) WHERE status IN ('waiting', 'granted');

    CREATE TABLE usage (
        tenant        text COLLATE "C" NOT NULL,
        hour          timestamptz NOT NULL,
        agent         text COLLATE "C" NOT NULL,
        principal     text COLLATE "C" NOT NULL,
        runs          bigint NOT NULL,
        consultations bigint NOT NULL,
        tokens        bigint NOT NULL,
        tool_calls    bigint NOT NULL,
        denied_calls  bigint NOT NULL,
        decisions     bigint NOT NULL,
        denials       bigint NOT NULL,
        approvals     bigint NOT NULL,
        money_micros  bigint NOT NULL,
        output_bytes  bigint NOT NULL,
        tool_time_us  bigint NOT NULL,
        position      bigint NOT NULL,
        PRIMARY KEY (tenant, hour, agent, principal)
    );

    -- When which bundle came into force. The law is one for the installation, so everybody sees it.
    CREATE TABLE switches (
        tenant      text COLLATE "C" NOT NULL,
        bundle      text COLLATE "C" NOT NULL,
        previous    text COLLATE "C",
        rolled_back boolean NOT NULL,
        switched_by text COLLATE "C" NOT NULL,
        switched_at timestamptz NOT NULL,
        position    bigint NOT NULL,
        PRIMARY KEY (tenant, position)
    );

    FOREACH made IN ARRAY ARRAY['runs', 'goals', 'decisions', 'tool_calls', 'approvals', 'usage', 'switches'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', made);
        EXECUTE format('CREATE POLICY projector ON %I TO xagent_projector USING (true) WITH CHECK (true)', made);
        EXECUTE format('CREATE POLICY reader ON %I FOR SELECT TO xagent_reader USING (%s)', made,
                       CASE made WHEN 'switches' THEN 'true'
                                 ELSE 'tenant = current_setting(''xagent.tenant'', true)' END);
        EXECUTE format('CREATE POLICY analyst ON %I FOR SELECT TO xagent_analyst USING (%s)', made,
                       CASE made WHEN 'switches' THEN 'true'
                                 ELSE 'tenant = ANY ((SELECT analyst_tenants())::text[])' END);
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO xagent_projector, xagent_reader, xagent_analyst', schema_name);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO xagent_projector, xagent_reader, xagent_analyst', schema_name);
    EXECUTE format('GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA %I TO xagent_projector', schema_name);
END $$;

-- The indexes for whoever asks. Rows are asked for by tenant and one thing more, the youngest first.
CREATE FUNCTION index_views(schema_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    one text[];
    -- Table, and what is asked of it beside tenant and position.
    asked CONSTANT text[] := ARRAY[
        ['runs', ''], ['runs', 'agent'], ['runs', 'principal'], ['runs', 'status'], ['runs', 'started_at'],
        ['goals', ''], ['goals', 'agent'], ['goals', 'set_at'],
        ['decisions', 'decision'], ['decisions', 'run'], ['decisions', 'agent'], ['decisions', 'principal'],
        ['decisions', 'tool'], ['decisions', 'verdict'], ['decisions', 'bundle'], ['decisions', 'decided_at'],
        ['tool_calls', ''], ['tool_calls', 'agent'], ['tool_calls', 'principal'], ['tool_calls', 'tool'],
        ['tool_calls', 'status'], ['tool_calls', 'proposed_at'],
        ['approvals', ''], ['approvals', 'status'], ['approvals', 'answered_by'], ['approvals', 'requested_at'],
        ['usage', '']];
    listed CONSTANT text[] := ARRAY[['decisions', 'codes'], ['tool_calls', 'paths'], ['tool_calls', 'hosts']];
BEGIN
    PERFORM set_config('search_path', quote_ident(schema_name) || ', ' || current_setting('search_path'), true);
    FOREACH one SLICE 1 IN ARRAY asked LOOP
        EXECUTE format('CREATE INDEX %I ON %I.%I (tenant%s, position)', one[1] || '_by_' || coalesce(nullif(one[2], ''), 'position'),
                       schema_name, one[1], CASE one[2] WHEN '' THEN '' ELSE format(', %I', one[2]) END);
    END LOOP;
    FOREACH one SLICE 1 IN ARRAY listed LOOP
        EXECUTE format('CREATE INDEX %I ON %I.%I USING gin (%I)', one[1] || '_by_' || one[2], schema_name, one[1], one[2]);
    END LOOP;
END $$;

-- Puts the tables of one schema in the place of the live ones, which are left as `views_old`.
CREATE FUNCTION swap_views(schema_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF schema_name <> 'views_next' THEN
        RAISE EXCEPTION '`%` does not take the place of the views', schema_name USING ERRCODE = 'invalid_schema_name';
    END IF;
    ALTER SCHEMA views RENAME TO views_old;
    EXECUTE format('ALTER SCHEMA %I RENAME TO views', schema_name);
END $$;

-- Drops tables that are not the live ones.
CREATE FUNCTION drop_views(schema_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF schema_name !~ '^views_(old|next|check|at_[0-9]{1,19})$' THEN
        RAISE EXCEPTION '`%` are no views that may be dropped', schema_name USING ERRCODE = 'invalid_schema_name';
    END IF;
    EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', schema_name);
END $$;

-- Lets the planner know what was filled.
CREATE FUNCTION analyse_views(schema_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE made text;
BEGIN
    FOREACH made IN ARRAY ARRAY['runs', 'goals', 'decisions', 'tool_calls', 'approvals', 'usage', 'switches'] LOOP
        EXECUTE format('ANALYZE %I.%I', schema_name, made);
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION create_views, index_views, swap_views, drop_views, analyse_views FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_views, index_views, swap_views, drop_views, analyse_views TO xagent_projector;

SELECT create_views('views'), index_views('views');
