-- Who may call what. Postgres lets everybody execute a new function; here people get the few that are theirs, the
-- service gets the engine's and the meter's, and the public gets none. A trigger's function needs no grant to fire.

do $$
declare
  target regprocedure;
  stranger text;
begin
  for target in select oid::regprocedure from pg_catalog.pg_proc where pronamespace = 'viva'::regnamespace loop
    execute format('revoke all on function %s from public, authenticated', target);
    foreach stranger in array array['anon', 'viva'] loop
      if to_regrole(stranger) is not null then
        execute format('revoke all on function %s from %I', target, stranger);
      end if;
    end loop;
  end loop;

  -- Those for migrations stay with the owner.
  for target in
    select oid::regprocedure from pg_catalog.pg_proc
    where pronamespace = 'viva'::regnamespace and prorettype <> 'trigger'::regtype
      and proname not in ('protect', 'grant_own', 'drop_constraints')
  loop
    execute format('grant execute on function %s to service_role', target);
  end loop;
end
$$;

-- Each looks only at the person of the transaction, or finds nobody else's rows.
grant execute on function viva.owns_profile(uuid), viva.warn_if_low(), viva.returnable(uuid) to authenticated;
