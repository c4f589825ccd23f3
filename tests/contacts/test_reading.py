"""TOML, YAML and JSON are read, also where nobody says which it is, and an error shows the line and nothing of it."""

from __future__ import annotations

import pytest

from airflow_provider_voicepartner.contacts import reading
from airflow_provider_voicepartner.contacts.reading import UnreadableContactsError, format_of, read_text

SAME = {
    "TOML": '[people.anne]\nphone = "0612345601"\n',
    "YAML": "people:\n  anne:\n    phone: 0612345601\n",
    "JSON": '{"people": {"anne": {"phone": "0612345601"}}}',
}


@pytest.mark.parametrize("kind", SAME)
def test_all_three_say_the_same(kind: str) -> None:
    expected = {"people": {"anne": {"phone": "0612345601"}}}
    assert read_text(SAME[kind], kind) == read_text(SAME[kind]) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("/a/contacts.toml", "TOML"),
        ("b.YAML", "YAML"),
        ("b.yml", "YAML"),
        ("c.json", "JSON"),
        ("c.csv", None),
    ],
)
def test_a_file_says_by_its_name_what_it_is(name: str, kind: str | None) -> None:
    assert format_of(name) == kind


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("[people.anne]\nphone = 0612345601\n", "TOML", "is no TOML, line 2"),
        ("people:\n  anne: [0612345601\n", "YAML", "is no YAML, line"),
        ("people:\n  anne: 1\n  anne: 0612345601\n", "YAML", "has a key twice, line 3"),
        ('{"people": 0612345601}', "JSON", "is no JSON, line 1"),
        ('{"people": 0612345601}', None, "is no JSON, line 1"),
        ('{"people": {"anne": "0612345601", "anne": "0612345602"}}', "JSON", "has a key twice"),
        ('{"a":' * 100_000 + "0612345601", None, "is no JSON"),
        ("a = " + "[" * 100_000 + "0612345601", "TOML", "is no TOML"),
        ("a = " + "1" * 5_000 + "0612345601", "TOML", "is no TOML"),
        ("0612345601", None, "is no TOML"),
        ("a: [0612345601", None, "is no TOML, line 1.*is no YAML, line 1"),
    ],
)
def test_what_cannot_be_read_is_not_shown(text: str, kind: str | None, expected: str) -> None:
    with pytest.raises(UnreadableContactsError, match=expected) as caught:
        read_text(text, kind)
    assert "0612345601" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_yaml_alias_stands_for_what_it_names() -> None:
    text = "people:\n  anne: &same {phone: 0612345601}\n  bruno: *same\n"
    assert read_text(text, "YAML")["people"]["bruno"] == {"phone": "0612345601"}


def test_yaml_aliases_that_multiply_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_CONTACTS", 1_000)
    lines = [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}' if at else '0612345601'] * 10)}]" for at in range(4)]
    with pytest.raises(UnreadableContactsError, match="becomes too large with its aliases") as caught:
        read_text("\n".join(lines), "YAML")
    assert "0612345601" not in str(caught.value)


def test_nothing_in_yaml_is_run() -> None:
    assert read_text("a: !!python/object/apply:os.system ['true']\n", "YAML") == {"a": ["true"]}
