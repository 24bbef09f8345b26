"""Splits that several tables share, divided when one of the tables fails, so that it can be read again on its own."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from headrace.checkpoint.checkpoint import Checkpoint
from headrace.checkpoint.midway import Midway
from headrace.connector import Position, Share, Split


def isolate(base: Checkpoint, tables: Collection[str]) -> Checkpoint:
    """The same state with every unfinished split divided that carries rows of failed `tables` beside others.

    The split goes on without them; each of them gets a share of its own, which starts where the split stands in `base`:
    at the table's last commit. Splits that were divided before, or that have one table, stay as they are.
    """
    if not tables:
        return base
    divided = [
        part
        for split in base.splits
        for part in ([split] if split.id in base.finished else divide(split, tables, base.positions.get(split.id)))
    ]
    return replace(base, splits=tuple(divided))


def divide(split: Split, tables: Collection[str], position: Position | None) -> list[Split]:
    """The split without `tables`, then a share for each of them."""
    share = split.share or Share(split.id)
    fresh = tuple(table for table in sorted(tables) if table not in share.without)
    if split.table or share.only or not fresh:
        return [split]
    start = share.start if position is None else position
    parts = [replace(split, share=replace(share, without=share.without + fresh))]
    for table in fresh:
        own = Share(share.of, only=table, start=start)
        parts.append(replace(split, id=f"{share.of} of {table}", table=table, share=own))
    return parts


def held(splits: Iterable[Split], tables: Collection[str]) -> frozenset[str]:
    """The ids of splits that have rows of failed `tables` only: nobody reads them until the job is restored."""
    return frozenset(split.id for split in splits if split.table in tables)


def source_ids(splits: Iterable[Split]) -> list[str]:
    """The ids that the source knows these splits by."""
    return list(dict.fromkeys(split.share.of if split.share else split.id for split in splits))


def told_positions(checkpoint: Checkpoint) -> dict[str, Position]:
    """The positions a source may be told are safe, as it knows them: not those that a share still stands before."""
    shared = [split for split in checkpoint.splits if split.share]
    behind = {s.share.of for s in shared if s.share and s.share.only and s.id not in checkpoint.finished}
    of_shares = {s.id for s in shared if s.share and s.id != s.share.of}
    known = checkpoint.positions.keys() - behind - of_shares
    safe = {split: Midway.read(position).after for split, position in checkpoint.positions.items() if split in known}
    return {split: position for split, position in safe.items() if position is not None}


def source_split(split: Split) -> Split:
    """The split as the source made it."""
    if split.share is None:
        return split
    return replace(split, id=split.share.of, table="" if split.share.only else split.table, share=None)
