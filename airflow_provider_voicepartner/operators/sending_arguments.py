"""What a sending operator's arguments say, but for the message: one frozen value that planning and sending read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingArguments:
    """
    Rendered arguments, as the user gave them; whoever uses one checks it.

    All but two are described at :class:`~airflow_provider_voicepartner.operators.base.SendingOperator`.

    :param needs_mobile: whether only mobile numbers can be reached.
    :param report_path: of ``completion``: where a report of who got the message is written to.
    """

    to: Any = field(repr=False)
    column: Any
    header: Any
    encoding: Any
    region: str
    needs_mobile: bool
    on_invalid: Any
    on_empty: Any
    rejects_path: Any
    report_path: Any
    send_at: Any
    on_late: Any
    on_unknown: Any
    send_again: Any
    max_cost: Any
    unit_price: Any
    max_in_flight: Any
