"""``db upgrade`` and ``db purge``: the store's tables."""

from __future__ import annotations

import re
from argparse import Namespace
from contextlib import closing
from datetime import timedelta
from typing import Final

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.constants import OLDEST_PURGE
from airflow_provider_voicepartner.db.versions import UNVERSIONED, bring_up_to_date
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.settings import connect_store, open_store, opt_out_keys

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGE: Final = re.compile(r"([0-9]{1,9})\s*([smhdw])", re.IGNORECASE)


def upgrade(_: Namespace) -> None:
    """Create the store's tables, or bring them up to date."""
    store = connect_store("upgrading its tables")
    try:
        before, after = bring_up_to_date(store, upgrade=True)
    finally:
        store.close()
    if before is None:
        say(f"The store {store.name} was empty and has its tables now (revision {after}).")
    elif before == after:
        say(f"The store {store.name} is up to date (revision {after}).")
    else:
        previous = "tables without a revision" if before == UNVERSIONED else f"revision {before}"
        say(f"The store {store.name} was upgraded from {previous} to revision {after}.")


def purge(arguments: Namespace) -> None:
    """Delete what is older than ``--older-than`` and ``--ledger-older-than``, or count it."""
    ages = {
        "older_than": read_age(arguments.older_than),
        "ledger_older_than": read_age(arguments.ledger_older_than, "--ledger-older-than"),
    }
    with closing(open_store("deleting old reports")) as store:
        reports = DeliveryStore(store, opt_out_keys=opt_out_keys())
        done = reports.count_old(**ages) if arguments.dry_run else reports.purge(**ages)
    counts = ", ".join(f"{count} {name}" for name, count in done.items())
    say(f"{'Would delete' if arguments.dry_run else 'Deleted'} from the store {store.name}: {counts}.")


def read_age(text: str, argument: str = "--older-than") -> timedelta:
    """
    Read an age such as ``30d``.

    :param argument: the name that an error gives.
    :raises CommandError: for anything that is not a whole number and a unit, above zero, up to a hundred years.
    """
    found = _AGE.fullmatch(text.strip())
    seconds = int(found[1]) * _SECONDS[found[2].lower()] if found else 0
    if not 0 < seconds <= OLDEST_PURGE:
        raise CommandError(
            f"{argument} must be a whole number above zero and one of s, m, h, d and w, such as 30d or 12h, "
            "and at most a hundred years"
        )
    return timedelta(seconds=seconds)
