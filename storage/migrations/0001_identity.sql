-- Who is who: the schema of everything that is ours, and the parts of Supabase that the seed stands on
-- (schema auth, auth.users, auth.uid(), roles authenticated and service_role), each made only where missing.

do $$
declare
  name text;
begin
  foreach name in array array['viva', 'auth'] loop
    if to_regnamespace(name) is null then
      execute format('create schema %I', name);
    end if;
  end loop;
end
$$;
comment on schema viva is 'What VIVA adds to the seed: accounts, the engine, the meter. Not for the public.';


-- Roles. The service logs in as `viva`, an ordinary role without rights of its own, and becomes
-- `authenticated` (one person's rows) or `service_role` (the machinery) for one transaction.
-- Roles belong to the whole server: another database of it may have made them, even at this moment.
do $$
declare
  name text;
  statement text;
  found pg_catalog.pg_roles;
begin
  if current_user = 'viva' then
    raise exception using message = 'The role viva is the one the service logs in as and may own nothing: '
      'run the migrations as the owner of the database, under another name.';
  end if;

  foreach name in array array['authenticated', 'service_role', 'viva'] loop
    if to_regrole(name) is null then
      statement := format('create role %I %s noinherit', name, case name when 'viva' then 'login' else 'nologin' end);
      begin
        execute statement;
      exception
        when duplicate_object or unique_violation then
          null;
        when insufficient_privilege then
          raise exception using message = format(
            'The role %s is missing and %s may not create roles: let an administrator of the server run `%s;` '
            'and migrate again.', name, current_user, statement);
      end;
    end if;
  end loop;

  select * into found from pg_catalog.pg_roles where rolname = 'viva';
  if found.rolsuper or found.rolbypassrls then
    raise exception using message = 'The role viva is a superuser or bypasses row-level security. The service logs '
      'in as it, so it must be an ordinary role: `alter role viva nosuperuser nobypassrls;`.';
  end if;

  -- Member, so that it can become the other; not inheriting, so that a forgotten identity is an error.
  foreach name in array array['authenticated', 'service_role'] loop
    if not pg_has_role('viva', name, 'member') or pg_has_role('viva', name, 'usage') then
      begin
        if found.rolinherit then
          execute 'alter role viva noinherit';
        end if;
        statement := format('grant %I to viva', name);
        if current_setting('server_version_num')::integer >= 160000 then
          statement := statement || ' with inherit false, set true';
        end if;
        execute statement;
      exception
        when insufficient_privilege then
          raise exception using message = format(
            'The role viva must be a member of %s and %s may not arrange it: let an administrator of the server '
            'run `alter role viva noinherit; %s;` and migrate again.', name, current_user, statement);
      end;
    end if;
  end loop;

  if not has_database_privilege('viva', current_database(), 'connect') then
    execute format('grant connect on database %I to viva', current_database());
  end if;
end
$$;

revoke all on schema viva from public;
do $$
declare
  name text;
  role text;
begin
  foreach name in array array['viva', 'auth', 'public'] loop
    foreach role in array array['authenticated', 'service_role'] loop
      if not has_schema_privilege(role, name, 'usage') then
        execute format('grant usage on schema %I to %I', name, role);
      end if;
    end loop;
  end loop;
end
$$;


-- viva.protect: what every table gets, in one place, so that none is forgotten.
-- The owner's policy is for a plain owner of the database, who is neither superuser nor exempt from row-level
-- security: without it our own `security definer` functions, and later migrations, would find no rows.
create function viva.protect(target regclass) returns void
language plpgsql
set search_path = ''
as $$
declare
  owner name := (select relowner::regrole from pg_catalog.pg_class where oid = target);
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('revoke all on table %s from public, authenticated', target);
  if to_regrole('anon') is not null then
    execute format('revoke all on table %s from anon', target);
  end if;
  execute format('grant select, insert, update, delete on table %s to service_role', target);
  execute format('drop policy if exists "The service reaches every row" on %s', target);
  execute format('create policy "The service reaches every row" on %s to service_role using (true) with check (true)', target);
  execute format('drop policy if exists "The owner reaches every row" on %s', target);
  execute format('create policy "The owner reaches every row" on %s to %s using (true) with check (true)', target, owner);
end
$$;
revoke all on function viva.protect(regclass) from public;
comment on function viva.protect(regclass) is
  'Row-level security enabled and forced, nothing for the public, everything for the service. '
  'Every migration that creates a table calls it; a person''s own rows are opened by policies beside it.';

-- The runner's own table was there before this function.
select viva.protect('viva.migrations');


-- auth.users. Supabase's own is left as it is; ours is closed to everyone but the two functions below.
do $$
begin
  if not exists (
    select from pg_catalog.pg_class
    where relnamespace = 'auth'::regnamespace and relname = 'users'
  ) then
    create table auth.users (
      id uuid primary key default gen_random_uuid(),
      email text,
      raw_user_meta_data jsonb,
      created_at timestamptz default now(),
      updated_at timestamptz default now()
    );
    comment on table auth.users is 'One row a person, as Supabase has it; only what the seed refers to.';
    perform viva.protect('auth.users');
    revoke all on auth.users from service_role;
  end if;

  if not exists (
    select from pg_catalog.pg_proc
    where pronamespace = 'auth'::regnamespace and proname = 'uid' and pronargs = 0
  ) then
    create function auth.uid() returns uuid
    language sql
    stable
    as $body$
      select (nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb ->> 'sub')::pg_catalog.uuid
    $body$;
    revoke all on function auth.uid() from public;
    grant execute on function auth.uid() to authenticated, service_role;
    comment on function auth.uid() is 'The person of this transaction, as Supabase names them; null without one.';
  end if;
end
$$;


create function viva.create_user() returns uuid
language plpgsql
security definer
set search_path = ''
as $$
declare
  columns text;
  literals text;
  user_id uuid;
begin
  -- Supabase's Auth service cannot list people whose token columns are null, nor find them without an instance,
  -- an audience and a role; a plain auth.users has none of these columns.
  select string_agg(format('%I', wanted.name), ', '), string_agg(format('%L', wanted.content), ', ')
  into columns, literals
  from (
    values
      ('id', gen_random_uuid()::text),
      ('instance_id', '00000000-0000-0000-0000-000000000000'),
      ('aud', 'authenticated'),
      ('role', 'authenticated'),
      ('raw_app_meta_data', '{"provider": "telegram", "providers": ["telegram"]}'),
      ('raw_user_meta_data', '{}'),
      ('created_at', now()::text),
      ('updated_at', now()::text),
      ('confirmation_token', ''),
      ('recovery_token', ''),
      ('email_change', ''),
      ('email_change_token_new', ''),
      ('email_change_token_current', ''),
      ('reauthentication_token', '')
  ) as wanted (name, content)
  join pg_catalog.pg_attribute as present
    on present.attrelid = 'auth.users'::regclass and present.attname = wanted.name
    and not present.attisdropped and present.attgenerated = '';

  execute format('insert into auth.users (%s) values (%s) returning id', columns, literals) into user_id;
  return user_id;
end
$$;
revoke all on function viva.create_user() from public;
grant execute on function viva.create_user() to service_role;
comment on function viva.create_user() is 'Adds one person to auth.users and returns their id.';

create function viva.delete_user(p_user uuid) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
  delete from auth.users where id = p_user;
  return found;
end
$$;
revoke all on function viva.delete_user(uuid) from public;
grant execute on function viva.delete_user(uuid) to service_role;
comment on function viva.delete_user(uuid) is
  'Deletes one person, and by cascade every row of theirs in every table. True if they were there.';
