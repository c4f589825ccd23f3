"""
For the tests of a gateway: the cases that every gateway has to pass, run by pytest.

Needs pytest and hypothesis, which the extra ``testing`` installs.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(f"{__name__}.gateway_cases")
