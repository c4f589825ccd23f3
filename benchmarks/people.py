"""Files of recipients."""

from __future__ import annotations

from pathlib import Path

_MOBILES = 28_000_000  # 06 10 00 00 00 to 06 37 99 99 99
_STEP = 37  # has no factor in common with them


_NAMES = ("Zoé", "François", "Noël", "Anna", "Jean-Baptiste", "Inès", "Maëlle")
_CITIES = ("Lyon", "Saint-Étienne", "Nîmes", "Le Havre", "Besançon")


def write_mobiles(path: Path, rows: int) -> Path:
    """Write a CSV of French mobiles, all different, with a name and a city."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("phone_number;first_name;city\n")
        file.writelines(
            f"0{610_000_000 + row * _STEP % _MOBILES};{_NAMES[row % 7]}{row % 97};{_CITIES[row % 5]}\n"
            for row in range(rows)
        )
    return path
