"""What all tables of the store share: their collection, and the types of their columns."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Float, Integer, MetaData, String

metadata: Final = MetaData()

SECONDS: Final = Float(53)
"""
A float of 53 bits is a double everywhere: Unix seconds to a fraction of a microsecond. Not a timestamp column, which
means another instant for a session in another time zone.
"""
NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only where the key's type is INTEGER."""
GATEWAY: Final = String(40)
CAMPAIGN: Final = String(255)
PHONE_NUMBER: Final = String(64)
