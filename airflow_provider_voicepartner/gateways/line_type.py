"""What kind of line a number reaches, in five words instead of the library's twelve."""

from __future__ import annotations

from enum import StrEnum


class LineType(StrEnum):
    """What kind of line a number reaches."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    EITHER = "either"
    """One of the two; the country's plan does not tell (+1)."""
    VOIP = "voip"
    """Voice over IP, such as French 09 numbers."""
    OTHER = "other"
    """Premium rate, shared cost, toll-free, company-wide, pager and the like: no person's own line."""

    @property
    def can_receive_sms(self) -> bool:
        """True where a text message may arrive."""
        return self is LineType.MOBILE or self is LineType.EITHER

    @property
    def can_be_called(self) -> bool:
        """True for a person's own line; the rest may cost the caller a fortune (premium rate) or reaches nobody."""
        return self is not LineType.OTHER


def read_line_type(kind: int) -> LineType:
    """Translate a ``phonenumbers.PhoneNumberType``."""
    from phonenumbers import PhoneNumberType

    return {
        PhoneNumberType.MOBILE: LineType.MOBILE,
        PhoneNumberType.FIXED_LINE: LineType.LANDLINE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE: LineType.EITHER,
        PhoneNumberType.VOIP: LineType.VOIP,
    }.get(kind, LineType.OTHER)
