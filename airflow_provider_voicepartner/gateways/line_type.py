"""What kind of line a number reaches, in four words instead of the library's twelve."""

from __future__ import annotations

from enum import StrEnum


class LineType(StrEnum):
    """What kind of line a number reaches."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    EITHER = "either"
    """One of the two; the country's plan does not tell (+1)."""
    OTHER = "other"
    """Voice over IP, toll-free, premium rate, shared cost, pager and the like."""

    @property
    def can_receive_sms(self) -> bool:
        """True where a text message may arrive."""
        return self is LineType.MOBILE or self is LineType.EITHER


def read_line_type(kind: int) -> LineType:
    """Translate a ``phonenumbers.PhoneNumberType``."""
    from phonenumbers import PhoneNumberType

    return {
        PhoneNumberType.MOBILE: LineType.MOBILE,
        PhoneNumberType.FIXED_LINE: LineType.LANDLINE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE: LineType.EITHER,
    }.get(kind, LineType.OTHER)
