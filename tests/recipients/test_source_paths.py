"""What a log shows of a path: enough to find the file, and nothing that opens it or calls somebody."""

from __future__ import annotations

import pytest

from airflow_provider_voicepartner.recipients.source import shown_path, without_query


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/data/people.csv", "/data/people.csv"),
        ("people 2.csv", "people 2.csv"),
        ("s3://bucket/a/people.csv", "s3://bucket/a/people.csv"),
        ("s3://bucket/a@b.csv", "s3://bucket/a@b.csv"),
        ("http://host:8080/x@y.csv", "http://host:8080/x@y.csv"),
        ("https://b/x.csv?X-Amz-Signature=SECRET", "https://b/x.csv?…"),
        ("https://b/x.csv#SECRET", "https://b/x.csv?…"),
        ("s3://KEY:SECRET@bucket/x.csv", "s3://bucket/x.csv"),
        ("https://user:SE/CR?ET@host/x.csv", "https://host/x.csv"),
        ("https://SECRET@host/x.csv", "https://host/x.csv"),
        ("+33612345678 s3://x", "+336••••••78 s3://x"),
        ("06 12 34 56 78, s3://x?k=SECRET", "06 1••••••••78, s3://x?…"),
        ("/data/33612345678.csv", "/data/3361•••••78.csv"),
        ("/data/2031-05-06/people_20310506.csv", "/data/2031-05-06/people_20310506.csv"),
        ("/data/20310506T1200_20310506120000.csv", "/data/20310506T1200_20310506120000.csv"),
    ],
)
def test_a_path_is_shown_without_what_is_private_in_it(path: str, shown: str) -> None:
    assert shown_path(path) == shown
    assert "SECRET" not in shown_path(path)


def test_only_a_uri_has_a_query() -> None:
    assert without_query("s3://b/x.csv?v=1") == "s3://b/x.csv"
    assert without_query("/data/what?.csv") == "/data/what?.csv"
