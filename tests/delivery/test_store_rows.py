"""What comes in becomes rows: joined in any order, made to fit whatever it holds."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from typing import Any

import pendulum
import pytest

from airflow_provider_voicepartner.delivery.inbound import (
    CampaignKey,
    Completion,
    DeadLetter,
    InboundRecord,
    fit_keys,
    of_gateway_id,
    of_reference,
)
from airflow_provider_voicepartner.delivery.store_rows import Rows, merge_reports, to_rows
from airflow_provider_voicepartner.gateways.model import (
    CampaignDeliveryReport,
    DeliveryReport,
    OptOut,
    Reply,
)
from airflow_provider_voicepartner.gateways.status import DeliveryStatus

KEY = of_reference("octopush", "k3v9x0q2w7ha")
NUMBER = "+33612345678"


def report(
    status: DeliveryStatus = DeliveryStatus.DELIVERED,
    *,
    received_at: float = 1.0,
    key: CampaignKey | None = KEY,
    **fields: Any,
) -> InboundRecord:
    told = {"gateway": "octopush", "campaign_id": None, "phone_number": NUMBER, "status": status, **fields}
    return InboundRecord(key=key, event=DeliveryReport(**told), received_at=received_at)


def joined(*arrivals: InboundRecord) -> dict[str, Any]:
    """Return the one row that arrivals become, which is the same in any order."""
    found = [rows_of(*order).delivery_reports for order in itertools.permutations(arrivals)]
    assert all(rows == found[0] for rows in found), "the order makes a difference"
    (row,) = found[0].values()
    return row


def rows_of(*items: Any) -> Rows:
    return to_rows(items, now=9.0)


class TestKeys:
    def test_references_and_gateway_ids_never_meet(self) -> None:
        assert of_reference("octopush", "1") == ("octopush", "ref:1")
        assert of_gateway_id("octopush", "1") == ("octopush", "id:1")
        assert of_reference("octopush", "id:1") != of_gateway_id("octopush", "1")

    def test_a_key_that_is_too_long_fits_and_stays_itself(self) -> None:
        one, other = (of_gateway_id("octopush", "9" * 1_000 + end) for end in "ab")
        assert len(one.campaign) == len(other.campaign) == 255
        assert one != other
        assert fit_keys([one, one]) == [one]
        assert fit_keys([CampaignKey("octopush", "id:" + "9" * 1_000 + "a")]) == [one]


class TestJoining:
    def test_a_final_status_goes_before_a_pending_one(self) -> None:
        row = joined(report(received_at=1.0), report(DeliveryStatus.PENDING, received_at=2.0))
        assert (row["status"], row["received_at"]) == ("delivered", 1.0)

    def test_of_two_final_ones_the_first_counts(self) -> None:
        row = joined(report(received_at=5.0), report(DeliveryStatus.FAILED, received_at=4.0, detail="busy"))
        assert (row["status"], row["detail"]) == ("failed", "busy")

    def test_of_two_pending_ones_the_newer_says_more(self) -> None:
        row = joined(
            report(DeliveryStatus.PENDING, received_at=1.0, gateway_status="queued"),
            report(DeliveryStatus.PENDING, received_at=2.0, gateway_status="ringing"),
        )
        assert row["gateway_status"] == "ringing"

    def test_what_only_one_of_them_tells_is_kept(self) -> None:
        row = joined(
            report(received_at=1.0),
            report(received_at=2.0, duration=12, cost=Decimal("0.045"), pressed_keys="1"),
            report(DeliveryStatus.PENDING, received_at=3.0, opted_out=True, campaign_id="77"),
        )
        told = ("duration", "cost", "pressed_keys", "opted_out", "gateway_campaign", "received_at")
        assert [row[name] for name in told] == [12, "0.045", "1", True, "77", 1.0]

    def test_more_keys_and_more_money_win_by_their_worth(self) -> None:
        row = joined(
            report(pressed_keys="9", cost=Decimal("9.5")), report(pressed_keys="12", cost=Decimal("10"))
        )
        assert (row["pressed_keys"], row["cost"]) == ("12", "10")

    @pytest.mark.parametrize("spoilt", ["", "?", "0,50"])
    def test_an_amount_that_cannot_be_read_gives_way_to_one_that_can(self, spoilt: str) -> None:
        (row,) = rows_of(report(cost=Decimal("0.045"))).delivery_reports.values()
        other = {**row, "cost": spoilt}
        assert merge_reports(row, other)["cost"] == merge_reports(other, row)["cost"] == "0.045"

    def test_two_at_the_same_moment_are_told_apart_by_what_they_say(self) -> None:
        joined(
            report(DeliveryStatus.FAILED, gateway_status="a"),
            report(DeliveryStatus.FAILED, gateway_status="b"),
            report(DeliveryStatus.DELIVERED, at=pendulum.datetime(2026, 1, 1)),
        )

    def test_the_totals_that_reach_more_people_count(self) -> None:
        def totals(delivered: int, received_at: float) -> InboundRecord:
            event = CampaignDeliveryReport(
                gateway="voicepartner", campaign_ids=("a", "b"), delivered=delivered, total=9
            )
            return InboundRecord(key=KEY, event=event, received_at=received_at)

        for order in itertools.permutations([totals(3, 1.0), totals(8, 2.0), totals(8, 3.0)]):
            (row,) = rows_of(*order).campaign_reports.values()
            assert (row["delivered"], row["received_at"], row["gateway_campaign"]) == (8, 2.0, "a")


class TestWithoutACampaign:
    def test_a_report_is_kept_where_a_person_may_find_it(self) -> None:
        rows = rows_of(report(key=None, raw={"number": NUMBER}, pressed_keys="1"))
        (letter,) = rows.dead_letters
        assert json.loads(letter["body"]) == {"number": NUMBER}
        assert NUMBER not in letter["why"]
        assert [event["kind"] for event in rows.events] == ["pressed_keys"]
        assert not rows.delivery_reports

    def test_totals_go_under_each_id_that_they_name(self) -> None:
        event = CampaignDeliveryReport(gateway="voicepartner", campaign_ids=("a", "b"), delivered=1, total=2)
        rows = rows_of(InboundRecord(key=None, event=event, received_at=1.0))
        assert {place[1] for place in rows.campaign_reports} == {"id:a", "id:b"}


class TestEvents:
    def digests(self, *items: Any) -> list[str]:
        return [event["digest"] for event in rows_of(*items).events]

    def reply(self, text: str, *, received_at: float = 1.0, **fields: Any) -> InboundRecord:
        told: dict[str, Any] = {"gateway": "octopush", "campaign_id": None, "phone_number": NUMBER, **fields}
        return InboundRecord(key=KEY, event=Reply(text=text, **told), received_at=received_at)

    def test_a_repeat_is_the_same_event_and_another_time_or_part_is_not(self) -> None:
        noon = pendulum.datetime(2026, 5, 1, 12)
        replies = [
            self.reply("oui", at=noon),
            self.reply("oui", at=noon.add(seconds=1)),
            self.reply("oui", at=noon, part=2, parts=2),
            self.reply("non", at=noon),
            self.reply("oui", at=noon, phone_number="+33612345679"),
        ]
        digests = self.digests(*replies, *replies)
        assert len(set(digests)) == 5
        assert digests[:5] == digests[5:]

    @pytest.mark.parametrize(
        ("seconds", "events"),
        [((0.0, 1.0, 599.0), 1), ((0.0, 86_400.0), 2), ((0.0, 1_200.0), 2), ((599.0, 601.0), 2)],
        ids=["a repeat", "a day later", "soon after", "across the edge"],
    )
    def test_the_same_words_without_a_time_are_a_repeat_for_ten_minutes(
        self, seconds: tuple[float, ...], events: int
    ) -> None:
        """SMS Partner does not say when an answer to a short number was written."""
        assert len(set(self.digests(*[self.reply("OK", received_at=at) for at in seconds]))) == events
        stop = OptOut(gateway="smspartner", campaign_id=None, phone_number=NUMBER, text="STOP")
        stops = [InboundRecord(key=None, event=stop, received_at=at) for at in seconds]
        assert len(set(self.digests(*stops))) == events

    def test_keys_that_were_pressed_in_calls_without_a_campaign_are_told_apart_by_their_time(self) -> None:
        noon = pendulum.datetime(2026, 5, 1, 12)
        calls = [report(key=None, pressed_keys="1", at=at) for at in (noon, noon, noon.add(days=1))]
        assert len(set(self.digests(*calls))) == 2

    def test_what_a_report_says_is_one_event_however_often_it_says_so(self) -> None:
        one, other = report(pressed_keys="1"), report(pressed_keys="1", at=pendulum.datetime(2026, 1, 1))
        assert len(set(self.digests(one, other))) == 1
        assert len(set(self.digests(one, report(pressed_keys="2")))) == 2

    def test_a_report_of_an_opt_out_is_an_opt_out(self) -> None:
        (event,) = rows_of(report(DeliveryStatus.OPTED_OUT, opted_out=True)).events
        assert (event["kind"], event["phone_number"]) == ("opt_out", NUMBER)
        stop = OptOut(gateway="octopush", campaign_id=None, phone_number=NUMBER, text="STOP")
        (event,) = rows_of(InboundRecord(key=None, event=stop, received_at=3.0)).events
        assert (event["kind"], event["campaign"], event["text"]) == ("opt_out", None, "STOP")

    def test_a_campaign_completes_once(self) -> None:
        twice = [Completion(key=KEY, at=at, counts={"delivered": 3}) for at in (1.0, 2.0)]
        first, second = rows_of(*twice).events
        assert first["digest"] == second["digest"]
        assert json.loads(first["text"]) == {"delivered": 3}


@pytest.mark.parametrize("text", ["a\0b", "half \ud83d of a pair", "x" * 200_000])
def test_no_text_holds_what_a_database_refuses(text: str) -> None:
    rows = rows_of(
        report(phone_number=text, gateway_status=text, detail=text, pressed_keys=text, campaign_id=text),
        InboundRecord(
            key=CampaignKey(text, text),
            event=Reply(
                gateway=text, campaign_id=text, phone_number=text, text=text, to=text, parts_reference=text
            ),
            received_at=1.0,
        ),
        DeadLetter(
            gateway=text, campaign=text, method=text, content_type=text, query=text, why=text,
            body=text.encode("utf-8", "replace"),
            received_at=1.0,
        ),
    )  # fmt: skip
    every = [*rows.delivery_reports.values(), *rows.events, *rows.dead_letters]
    assert len(every) == 4
    for value in itertools.chain.from_iterable(row.values() for row in every):
        if isinstance(value, str):
            assert "\0" not in value
            assert len(value.encode()) <= 65_536


def test_no_number_is_beyond_64_bits() -> None:
    event = CampaignDeliveryReport(gateway="v", campaign_ids=("a",), delivered=10**18, total=10**19)
    rows = rows_of(report(duration=10**19), InboundRecord(key=KEY, event=event, received_at=1.0))
    (row,) = rows.delivery_reports.values()
    (totals,) = rows.campaign_reports.values()
    assert max(row["duration"], totals["delivered"], totals["total"]) < 2**63


def test_a_stop_is_whole_and_says_nothing_that_was_not_told() -> None:
    for key in (KEY, None):
        event = OptOut(gateway="octopush", campaign_id=None, phone_number=NUMBER, text="STOP")
        (row,) = rows_of(InboundRecord(key=key, event=event, received_at=1.0)).events
        assert (row["kind"], row["part"], row["parts"], row["parts_reference"]) == ("opt_out", 1, 1, None)
        assert (row["sent_to"], row["at"], row["text"], row["received_at"]) == (None, None, "STOP", 1.0)
    (row,) = rows_of(report(opted_out=True)).events
    assert (row["kind"], row["part"], row["parts"], row["text"]) == ("opt_out", 1, 1, "")
