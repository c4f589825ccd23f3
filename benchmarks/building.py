"""
Building the bodies of a campaign of personal texts, against ``json.dumps`` of the same bodies.

Run by ``benchmarks`` as a process of its own: ``python -m benchmarks.building CSV``.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.environment import PERSONAL_TEXT

GOAL = 2.0


def measure(path: Path) -> dict[str, Any]:
    """Build and dump batch by batch, in turn; return CPU seconds of each."""
    from airflow_provider_voicepartner.gateways import smspartner
    from airflow_provider_voicepartner.gateways.model import SmsMessage
    from airflow_provider_voicepartner.recipients.source import FileSource
    from airflow_provider_voicepartner.sending.planning import plan_campaign

    source = FileSource(open=lambda: path.open("rb"), name=path.name)
    message, now = SmsMessage(text=PERSONAL_TEXT), datetime.now(UTC)
    plan = plan_campaign(source, line="mobile", fields=frozenset({"first_name", "city"}))
    building = dumping = 0.0
    for batch in plan.batches():
        started = time.process_time()
        request = smspartner.build_batch(message, batch.recipients, reference=f"{batch.index:012d}", now=now)
        built = time.process_time()
        json.dumps(request.body).encode()
        building += built - started
        dumping += time.process_time() - built
    return {"recipients": plan.recipients, "building": building, "dumping": dumping}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(measure(Path(sys.argv[1]))) + "\n")
