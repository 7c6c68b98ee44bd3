"""A SELECT from its clauses. Values go into params, never into the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def select(
    columns: Mapping[str, str],
    source: str,
    *,
    where: Sequence[str] = (),
    group_by: Sequence[str] = (),
    having: Sequence[str] = (),
    order_by: Sequence[str] = (),
    limit: int | None = None,
) -> str:
    """COLUMNS give the expression of each name; SOURCE is a table or a subquery in parentheses."""
    listed = ", ".join(
        name if name == expression else f"{expression} AS {name}"
        for name, expression in columns.items()
    )
    clauses = ["SELECT", listed, "FROM", source]
    for word, joint, terms in (
        ("WHERE", " AND ", where),
        ("GROUP BY", ", ", group_by),
        ("HAVING", " AND ", having),
        ("ORDER BY", ", ", order_by),
    ):
        if terms:
            clauses += [word, joint.join(terms)]
    if limit is not None:
        clauses.append(f"LIMIT {limit}")
    return " ".join(clauses)


def plain(*names: str) -> dict[str, str]:
    """Columns under their own names."""
    return {name: name for name in names}
