"""From ``to`` to people: every form that users write, every row to refuse, and no number where it may show."""

from __future__ import annotations

import csv
import io
import time
import traceback
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import ConfigurationError, InvalidRecipientError
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.phone_numbers import parse_number
from airflow_provider_voicepartner.recipients.lists import (
    RecipientPlan,
    RejectedRow,
    describe_rejected,
    plan_recipients,
)
from airflow_provider_voicepartner.recipients.rejects import RejectsWriter
from airflow_provider_voicepartner.recipients.rows import RowReader, check_rows

A, B = "+33612345678", "+33756781234"


def numbers(plan: RecipientPlan) -> list[str]:
    return [recipient.phone_number for recipient in plan.recipients]


@pytest.mark.parametrize(
    "to",
    [
        ["0612345678", "0756781234"],
        ("06 12 34 56 78", "+33 7 56 78 12 34"),
        "0612345678,0756781234",
        " 0612345678 ; 07.56.78.12.34 ,\n",
        "0612345678\r\n\r\n0756781234\r\n",
        "(06) 12 34 56 78, (+33) 7 56 78 12 34",
        [{"phone_number": "0612345678"}, {"phone_number": "0756781234"}],
        [Recipient(A), Recipient(B)],
        [Recipient(A), "0756781234"],
        [parse_number(A), {"phone_number": B}],
    ],
)
def test_every_form_gives_the_same_people(to: object) -> None:
    plan = plan_recipients(to, line="mobile", on_invalid="fail")
    assert numbers(plan) == [A, B]
    assert (plan.duplicates, plan.invalid, plan.rejected) == (0, 0, ())


@pytest.mark.parametrize("to", [A, {"phone_number": A}, Recipient(A), parse_number(A)])
def test_one_recipient_needs_no_list(to: object) -> None:
    assert numbers(plan_recipients(to, line="mobile")) == [A]


def test_a_lazy_sequence_is_taken_like_a_list() -> None:
    class Lazy(Sequence[str]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: Any) -> Any:
            return [A, B][index]

    assert numbers(plan_recipients(Lazy(), line="mobile")) == [A, B]


def test_personal_fields_become_text() -> None:
    row = {
        "phone_number": "0612345678", "name": "Zoé", "visits": 3, "due": Decimal("12.50"), "ratio": 0.5,
        "day": date(2031, 5, 6), "note": None, "missing": float("nan"),
    }  # fmt: skip
    (recipient,) = plan_recipients([row], line="mobile").recipients
    assert dict(recipient.fields) == {
        "name": "Zoé", "visits": "3", "due": "12.50", "ratio": "0.5", "day": "2031-05-06", "note": "", "missing": "",
    }  # fmt: skip
    assert plan_recipients([recipient], line="mobile").recipients == (recipient,)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"phone_number": A, "tags": ["a"]}, "has a field 'tags' of type list"),
        ({"phone_number": A, "who": {"name": "x"}}, "has a field 'who' of type dict"),
        ({"phone_number": A, "vip": True}, "has a field 'vip' of type bool"),
        ({"phone_number": A, B: ["a"]}, "has a field of it of type list"),
        ({"phone_number": A, 3: "x"}, "has a field whose name is of type int"),
        ({"phone_number": None, "name": "x"}, "is empty"),
        ({"phone_number": float("nan")}, "is empty"),
        ({"phone_number": 612345678}, "a number loses its leading 0"),
        ({"name": "x"}, "has no field 'phone_number'; add it"),
        ("", "is empty"),
        (None, "is empty"),
        (612345678, "a number loses its leading 0"),
        ([A], "is of type list"),
        ("0612345678,0756781234", "has the character ','"),
        ("O612345678", "has letters"),
        ("0612345678 ext 5", "has an extension"),
        ("0123456789", "is a landline, which cannot get an SMS"),
        ("0912345678", "is not a mobile number"),
        (Recipient("+33123456789"), "is a landline"),
        (Recipient("nonsense"), "has letters"),
    ],
)
def test_a_bad_row_fails_with_its_position_and_the_fix(row: object, reason: str) -> None:
    with pytest.raises(InvalidRecipientError) as caught:
        plan_recipients([B, row], line="mobile", on_invalid="fail")
    message = str(caught.value)
    assert message.startswith("to[2]: ")
    assert reason in message
    assert "on_invalid='skip'" in message
    assert isinstance(caught.value, ConfigurationError)
    skipped = plan_recipients([B, row], line="mobile", on_invalid="skip")
    assert (numbers(skipped), skipped.invalid, skipped.rejected[0].row) == ([B], 1, 2)
    assert reason in skipped.rejected[0].reason


def test_a_call_reaches_landlines_and_voice_over_ip() -> None:
    plan = plan_recipients("0123456789, 0912345678, 0612345678", line="any")
    assert numbers(plan) == ["+33123456789", "+33912345678", A]


def test_the_first_five_bad_rows_are_shown() -> None:
    with pytest.raises(InvalidRecipientError) as caught:
        plan_recipients(["x"] * 8 + [A], line="mobile", argument="recipients")
    message = str(caught.value)
    assert [f"recipients[{row}]:" in message for row in (1, 5, 6)] == [True, True, False]
    assert ". and 3 more. " in message


def test_the_masked_number_is_shown_as_everywhere() -> None:
    with pytest.raises(InvalidRecipientError, match=r"to\[3\]: '\+336•+42' has letters"):
        plan_recipients([A, B, "+336x1234542"], line="mobile")


def test_duplicates_are_counted_and_the_first_wins() -> None:
    rows = [
        {"phone_number": "06 12 34 56 78", "name": "first"},
        {"phone_number": "+33756781234", "name": "other"},
        {"phone_number": "0033612345678", "name": "second"},
        {"phone_number": "+33 (0)6 12 34 56 78", "name": "third"},
    ]
    plan = plan_recipients(rows, line="mobile")
    assert numbers(plan) == [A, B]
    assert plan.duplicates == 2
    assert plan.recipients[0].fields["name"] == "first"


def test_all_rows_are_accounted_for() -> None:
    plan = plan_recipients(["x", A, A, "", B, "0123456789"], line="mobile", on_invalid="skip")
    assert (len(plan.recipients), plan.duplicates, plan.invalid) == (2, 1, 3)
    assert [row.row for row in plan.rejected] == [1, 4, 6]


@given(
    st.lists(
        st.sampled_from([A, "0612345678", B, "0690123456", "+590690123456", "x", "0123456789", ""]),
        min_size=1,
    )
)
def test_any_list_is_accounted_for(rows: list[str]) -> None:
    if not any(rows):
        return
    plan = plan_recipients(rows, line="mobile", on_invalid="skip")
    assert len(plan.recipients) + plan.duplicates + plan.invalid == len(rows)
    assert len(set(numbers(plan))) == len(plan.recipients)
    assert numbers(plan) == list(
        dict.fromkeys(parse_number(r).e164 for r in rows if r not in ("x", "", "0123456789"))
    )


def test_nobody_is_left_when_all_are_skipped() -> None:
    plan = plan_recipients(["x", "0123456789"], line="mobile", on_invalid="skip")
    assert (plan.recipients, plan.invalid) == ((), 2)


@pytest.mark.parametrize("to", [None, "", "  ", ",;\n", [], (), ["", None, "  "], [float("nan")]])
def test_an_empty_to_is_refused_in_both_modes(to: object) -> None:
    for on_invalid in ("fail", "skip"):
        with pytest.raises(InvalidArgumentError, match=r"^to: has no recipients; give a number"):
            plan_recipients(to, line="mobile", on_invalid=on_invalid)


@pytest.mark.parametrize(
    ("to", "kind"),
    [
        (612345678, "int"),
        (True, "bool"),
        (b"0612345678", "bytes"),
        ({A}, "set"),
        (range(3), "range"),
        (iter([A]), "list_"),
    ],
)
def test_another_type_is_refused(to: object, kind: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^to: is of type {kind}.*give a number"):
        plan_recipients(to, line="mobile")


@pytest.mark.parametrize(
    "to", ["['0612345678', '0756781234']", '[{"phone_number": "06"}]', "('06', '07')", "{'a': 1}"]
)
def test_a_list_that_a_template_made_text_is_named(to: str) -> None:
    with pytest.raises(InvalidArgumentError, match="render_template_as_native_obj") as caught:
        plan_recipients(to, line="mobile")
    assert "06123" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"on_invalid": "drop"}, "on_invalid: 'drop' is not known; give 'fail' or 'skip'"),
        ({"line": "fax"}, "line: 'fax' is not known; give 'mobile' or 'any'"),
        ({"region": "Paris"}, "region: 'Paris' is not a region"),
    ],
)
def test_other_arguments_are_checked(change: dict[str, str], message: str) -> None:
    arguments: dict[str, Any] = {"line": "mobile", **change}
    with pytest.raises(InvalidArgumentError) as caught:
        plan_recipients(A, **arguments)
    assert str(caught.value).startswith(message)


def test_501_recipients_are_refused_and_500_with_duplicates_are_not() -> None:
    many = [f"0612{n:06d}" for n in range(501)]
    with pytest.raises(InvalidArgumentError) as caught:
        plan_recipients(many, line="mobile")
    assert str(caught.value) == (
        "to: has 501 recipients; one call takes up to 500; split the list over mapped tasks"
    )
    plan = plan_recipients(many[:500] + many[:100], line="mobile")
    assert (len(plan.recipients), plan.duplicates) == (500, 100)
    assert len(plan_recipients(many, line="mobile", limit=None).recipients) == 501


def test_another_region_reads_its_own_numbers() -> None:
    assert numbers(plan_recipients("079 123 45 67", line="mobile", region="CH")) == ["+41791234567"]


PLANTED = [
    "+33698765432 x9", "O698765432", "698765432", "+336987654321", "0698765432 Zoé Planted",
    "98765432" * 40, "0698765432\x00", "=0698765432", {"phone_number": "+3369876543x", "name": "Planted"},
    {"number": "0698765432"}, {"phone_number": "0698765432", "name": ["Planted 98765"]}, {"0698765432": "x"},
    {"phone_number": "+33698765432", "0698765432": {}}, Recipient("+33698765432x", {"name": "Planted"}), 698765432,
]  # fmt: skip


@pytest.mark.parametrize("row", PLANTED, ids=range(len(PLANTED)))
def test_a_planted_number_or_name_shows_nowhere(row: object) -> None:
    with pytest.raises(InvalidRecipientError) as caught:
        plan_recipients([row], line="mobile")
    error = caught.value
    plan = plan_recipients([row, A], line="mobile", on_invalid="skip")
    shown = (
        f"{error!s} {error!r} {''.join(traceback.format_exception(error))} {plan!r} {plan.rejected[0].masked}"
    )
    shown = shown.replace(repr(PLANTED), "")
    assert "98765" not in shown
    assert "Planted" not in shown
    assert "12345" not in repr(plan)


def test_rejects_are_written_whole_for_the_user() -> None:
    rows: list[object] = [
        "0612345678",
        "O698765432",
        "=cmd()",
        "@x",
        {"phone_number": "0123456789"},
        'a;"b\nc',
        None,
        "\ud800",
    ]
    plan = plan_recipients(rows, line="mobile", on_invalid="skip")
    file = io.StringIO(newline="")
    writer = RejectsWriter(file)
    for row in plan.rejected:
        writer.write(row)
    assert len(plan.rejected) == 7
    file.getvalue().encode()
    written = list(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert written[0] == ["row", "number", "reason"]
    assert [row[:2] for row in written[1:]] == [
        ["2", "O698765432"], ["3", "'=cmd()"], ["4", "'@x"], ["5", "0123456789"], ["6", 'a;"b\nc'],
        ["7", ""], ["8", "?"],
    ]  # fmt: skip
    assert "letters" in written[1][2]


def test_no_rejects_still_have_a_header() -> None:
    file = io.StringIO()
    RejectsWriter(file)
    assert file.getvalue() == "row,number,reason\n"


def test_numbers_of_rows_come_from_the_reader_of_a_file() -> None:
    checked = list(
        check_rows([(17, A), (18, "x"), (40, {"phone_number": B, "name": "Zoé"})], RowReader(line="mobile"))
    )
    assert checked[0] == Recipient(A)
    assert isinstance(checked[1], RejectedRow)
    assert checked[1].row == 18
    assert checked[2] == Recipient(B, {"name": "Zoé"})
    assert describe_rejected([checked[1]], argument="people.csv").startswith(
        "people.csv[18]: '•' has letters"
    )


def test_rows_are_read_as_they_come() -> None:
    def rows() -> Iterator[tuple[int, object]]:
        yield 1, A
        raise AssertionError("read ahead")

    assert next(check_rows(rows(), RowReader(line="mobile"))) == Recipient(A)


def test_many_rows_take_no_time_to_speak_of() -> None:
    rows = [f"06 12 {n // 10000:02d} {n // 100 % 100:02d} {n % 100:02d}" for n in range(40_000)]
    started = time.process_time()
    plan = plan_recipients(rows, line="mobile", limit=None)
    assert len(plan.recipients) == 40_000
    assert time.process_time() - started < 1.2  # Asking the library takes 2 s and more.


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+33612345642", "+336••••••42"),
        ("0612345678", "0612••••78"),
        ("Zoé Planted", "••••••••"),
        ("x", "•"),
        ("", ""),
        ("0612345678" * 50, "••••••••"),
    ],
)
def test_what_does_not_look_like_a_number_is_hidden_completely(number: str, masked: str) -> None:
    assert RejectedRow(row=1, reason="has letters", number=number).masked == masked
