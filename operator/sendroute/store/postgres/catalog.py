"""What the schema of a PostgreSQL store contains besides rows: its tables, columns, constraints,
indexes, triggers, functions, rules and row policies
(https://www.postgresql.org/docs/current/catalogs.html)."""

from sqlalchemy import Connection, text

# Left out is what an administrator may choose: owners, privileges, storage and vacuum settings.
# NOT NULL is a property of the column; PostgreSQL 18 also lists it as a constraint.
_QUERY = """
WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname = 'sendroute'),
relation AS (SELECT c.* FROM pg_class AS c JOIN ours ON c.relnamespace = ours.oid)
SELECT CASE relation.relkind WHEN 'r' THEN 'table ' WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view '
    WHEN 'm' THEN 'view ' WHEN 'c' THEN 'type ' ELSE 'table ' END || relation.relname,
  concat_ws(' ', relation.relkind, relation.relpersistence, relation.relrowsecurity,
    relation.relforcerowsecurity, relation.relispartition, s.seqtypid::regtype, s.seqstart,
    s.seqincrement, s.seqmin, s.seqmax, s.seqcycle,
    (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        a.attidentity, a.attgenerated, CASE WHEN l.collnamespace = 'pg_catalog'::regnamespace
        THEN l.collname::text ELSE l.collnamespace::regnamespace::text || '.' || l.collname END,
        pg_get_expr(d.adbin, d.adrelid)), ', '
        ORDER BY a.attnum)
      FROM pg_attribute AS a LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
      LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = relation.oid AND a.attnum > 0 AND NOT a.attisdropped))
  FROM relation LEFT JOIN pg_sequence AS s ON s.seqrelid = relation.oid
  WHERE relation.relkind NOT IN ('i', 'I')
UNION ALL
SELECT 'index ' || relation.relname,
  concat_ws(' ', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisunique)
  FROM pg_index AS i JOIN relation ON relation.oid = i.indexrelid
UNION ALL
SELECT 'constraint ' || c.conname,
  concat_ws(' ', c.conrelid::regclass, c.contype, c.convalidated, pg_get_constraintdef(c.oid))
  FROM pg_constraint AS c WHERE c.contype NOT IN ('n', 't')
  AND (c.connamespace IN (SELECT oid FROM ours) OR c.confrelid IN (SELECT oid FROM relation))
UNION ALL
SELECT 'trigger ' || t.tgname, concat_ws(' ', t.tgenabled, pg_get_triggerdef(t.oid))
  FROM pg_trigger AS t JOIN relation ON relation.oid = t.tgrelid
  WHERE NOT t.tgisinternal OR t.tgenabled <> 'O'
UNION ALL
SELECT 'function ' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
  concat_ws(' ', p.prokind, p.prorettype::regtype, p.proretset, l.lanname, p.prosecdef,
    p.provolatile, p.proisstrict, p.proconfig, p.prosrc)
  FROM pg_proc AS p JOIN ours ON p.pronamespace = ours.oid
  JOIN pg_language AS l ON l.oid = p.prolang
UNION ALL
SELECT 'rule ' || r.rulename, pg_get_ruledef(r.oid)
  FROM pg_rewrite AS r JOIN relation ON relation.oid = r.ev_class WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT 'policy ' || p.polname, relation.relname
  FROM pg_policy AS p JOIN relation ON relation.oid = p.polrelid
UNION ALL
SELECT 'child table ' || i.inhrelid::regclass, relation.relname
  FROM pg_inherits AS i JOIN relation ON relation.oid = i.inhparent
UNION ALL
SELECT o.type || ' ' || o.identity, ''
  FROM pg_depend AS d JOIN ours ON d.refobjid = ours.oid,
  pg_identify_object(d.classid, d.objid, 0) AS o
  WHERE d.refclassid = 'pg_namespace'::regclass AND d.deptype = 'n'
  AND d.classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_constraint'::regclass)
"""


# Otherwise a function or operator of the store runs if it fits the types better than that of the
# server (https://www.postgresql.org/docs/current/typeconv-func.html).
_SERVER_ALONE = "SET LOCAL search_path = pg_catalog, pg_temp"


def objects(connection: Connection, path: str) -> list[tuple[str, str]]:
    """The name and the definition of every object. No view is read, and no function runs.

    ``path`` is the statement that sets the search path of the transaction again.
    """
    connection.exec_driver_sql(_SERVER_ALONE)
    rows = [(str(name), str(definition)) for name, definition in connection.execute(text(_QUERY))]
    connection.exec_driver_sql(path)
    return rows
