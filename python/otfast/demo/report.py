"""What a part of the demo reports, and how it is printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Part", "Row", "format_part"]


@dataclass(frozen=True)
class Row:
    """A line of the table: what was solved."""

    problem: str
    value: float
    """The optimal value, or the mean of many."""
    gap: float
    """The largest violation of the conditions that prove the answers optimal."""
    seconds: float


@dataclass(frozen=True)
class Part:
    """What a part of the demo has done."""

    title: str
    rows: list[Row]
    pictures: list[Path]
    notes: list[str] = field(default_factory=list)


def format_part(part: Part) -> str:
    """Return the report of a part as text: a table, remarks, and where the pictures are."""
    lines = ["", part.title, "-" * len(part.title)]
    width = max(len(row.problem) for row in part.rows)
    lines.append(f"{'problem':{width}}  {'value':>10}  {'gap':>8}  {'seconds':>8}")
    lines += [
        f"{row.problem:{width}}  {row.value:10.5g}  {row.gap:8.1e}  {row.seconds:8.2f}" for row in part.rows
    ]
    lines += part.notes
    lines += [f"-> {picture}" for picture in part.pictures]
    return "\n".join(lines)
