"""
Apprise's Octopush plugin with batching on, pointed at the gateway. Runs where Apprise is, without anything of ours.

``python apprise_batches.py URL BATCHES`` prints the seconds that it took.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module


def main() -> None:
    """Send so many batches of 500."""
    kind = import_module("apprise.plugins.octopush").NotifyOctopush
    url, batches = sys.argv[1], int(sys.argv[2])
    kind.notify_url = f"{url}/v1/public/sms-campaign/send"
    targets = [f"+336{10_000_000 + number}" for number in range(batches * 500)]
    plugin = kind(
        api_login="someone@example.org", api_key="a-key-of-a-benchmark", targets=targets, batch=True
    )
    started = time.monotonic()
    sent = plugin.send(body="Votre commande est prete.")
    sys.stdout.write(f"{time.monotonic() - started if sent else -1}\n")


if __name__ == "__main__":
    main()
