"""The letters of GSM-7, the encoding in which an SMS holds most (GSM 03.38, default alphabet)."""

from __future__ import annotations

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet of GSM 03.38, each character one unit. Its escape is no character."""

EXTENSION = frozenset("\f^{}\\[~]|€")
"""Its extension table, each character an escape and one more unit."""
