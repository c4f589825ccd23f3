"""A server on this machine that speaks the HTTP APIs of SMS Partner, Voice Partner and Octopush, and sends nothing.

Develop a DAG against it, test it, break it, without a key and without spending money.

From a shell::

    python -m airflow_provider_voicepartner.sandbox --port 8025 --seed 1 --speed 60

In Python, on a free port, for as long as the block lasts::

    from airflow_provider_voicepartner.sandbox import running_sandbox

    with running_sandbox(seed=1, speed=0) as sandbox:
        print(sandbox.gateway_url("smspartner"))  # the host of the Airflow connection
        sandbox.advance(60)                       # a minute later…
        sandbox.wait_for_callbacks()              # …every report that was due has been posted

=============  =========================  ==========================================================
gateway        base URL                   credentials
=============  =========================  ==========================================================
SMS Partner    ``/smspartner/v1``         key ``sandbox-key``
Voice Partner  ``/voicepartner/v1``       key ``sandbox-key``
Octopush       ``/octopush/v1/public``    login ``sandbox@example.org``, key ``sandbox-key``
=============  =========================  ==========================================================

What to expect of it

- **Checked.** What a vendor's documents ask for is asked for here: limits, formats, dates, keys. What is odd but is
  sent by vendors' own clients is accepted and remarked; the setting ``strict`` refuses it. Where the documents are
  silent, each gateway's module says what the sandbox does.
- **The wire's oddities are kept**: ids as numbers here and as text there, ``statut`` and ``status``, ``nb_sms``,
  ``nbSMS`` and ``nbSms``, ``additionnal_status``, money as text, a DELETE with a body.
- **Messages live.** Each moves from pending to its outcome on the sandbox's clock, which ``--speed`` accelerates and
  the control API advances. Callbacks go to the URLs given, if these are on this machine.
- **Nothing is random** that does not follow from the seed: same seed, same requests, same ids, delays and outcomes.
- **Trouble on demand**: connections dropped before or after the message is taken, answers that never come, come late,
  come broken, or come without an id. The control API under ``/_sandbox`` says which, and counts what was really sent.

The server needs FastAPI and uvicorn: Airflow 3 brings them, for Airflow 2 install the ``[sandbox]`` extra. Nothing here
imports the rest of the package, so that a client's mistake cannot be repeated by the server that is to show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_voicepartner.sandbox.server import Sandbox, running_sandbox
    from airflow_provider_voicepartner.sandbox.settings import Settings

__all__ = ["Sandbox", "Settings", "running_sandbox"]


def __getattr__(name: str) -> Any:
    """Import the server only when it is used: the rest of the package must load without FastAPI."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from airflow_provider_voicepartner.sandbox import server
    except ModuleNotFoundError as error:
        if error.name in ("fastapi", "starlette", "uvicorn", "h11"):
            raise ImportError(
                "the sandbox needs FastAPI and uvicorn: pip install 'airflow-provider-voicepartner[sandbox]'"
            ) from error
        raise
    return getattr(server, name)
