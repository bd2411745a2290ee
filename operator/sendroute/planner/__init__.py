"""The rules that decide every route: pure functions over frozen values.

One account is planned and committed as one transaction, fenced on the account's revision. Its
change is decided in this order; functions cite these numbers as "step 3".

1. **Profiles** (:mod:`~sendroute.planner.profiles`). New, changed and removed profiles are found by
   comparing manifests with the store. A profile that may not be saved, because its connection test
   failed or its secret is missing, keeps its previous version or does not exist. Every change that
   newly depends on it is skipped. The rest is applied.
2. **Default** (:mod:`~sendroute.planner.default`). A declared default that is satisfiable is used.
   Otherwise new domains start on the plan default, with a warning.
3. **Domains** (:mod:`~sendroute.planner.domains`), each by the first rule that matches:

   - new, with a declared route: that route, origin ``declared``;
   - new, without one: the effective default after step 2, origin ``default``;
   - the declared route differs from the one last seen, and is present: that route, origin
     ``declared``; a shadow ends;
   - shadowed by an apply-all, which its ``overrides`` does not name: stays as assigned;
   - the declared route is present and satisfiable: that route;
   - the declared route is present, unchanged and not satisfiable: stays as assigned, and step 5
     decides;
   - no declared route: stays as assigned.
4. **Apply-all** (:mod:`~sendroute.planner.apply_all`). If the account carries an apply-all whose id
   never ran in it, that is confirmed and whose route is satisfiable, every domain of the account
   gets its route, origin ``apply-all``, shadowed by that id. A domain whose ``overrides`` is that
   id keeps what step 3 decided.
5. **Reassignment** (:mod:`~sendroute.planner.reassign`). Every domain whose assigned route is not
   satisfiable gets, in this order: its declared route if satisfiable; the ``reassignTo`` of the
   removed profile if satisfiable; the plan default. Origin ``reassigned`` (or ``declared``); the
   shadow ends.
6. **Removals and moves** (:mod:`~sendroute.planner.removals`, :mod:`~sendroute.planner.claims`). A
   domain that is no longer in the manifests is removed, an account only with all that it owns. A
   domain that another account declares is a move: it leaves one account and is new in the other, in
   one transaction, or stays where it is.

An error in an account's documents or references stops that account
(:mod:`~sendroute.planner.stopped`); a change that is too large is held back
(:mod:`~sendroute.planner.guards`). :func:`~sendroute.planner.plan.plan_accounts` applies these
rules to one account, to some accounts or to a whole tree.
"""
