"""
Contacts as ``[voicepartner] contacts`` names them, read from a file, an Airflow Variable or a connection.

While a DAG file is parsed, only a file is looked into, and only for its names. Whoever sends reads all of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from airflow_provider_voicepartner import settings
from airflow_provider_voicepartner.constants import LARGEST_CONTACTS
from airflow_provider_voicepartner.contacts.names import (
    MARK,
    defined_names,
    meant,
    name_of,
    references_in,
    shown,
)
from airflow_provider_voicepartner.contacts.reading import (
    FORMATS,
    UnreadableContactsError,
    format_of,
    read_text,
)
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    RetryableNotSentError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.hooks.aside import Aside

if TYPE_CHECKING:
    from airflow_provider_voicepartner.contacts.directory import Directory
    from airflow_provider_voicepartner.contacts.policy import Policy

log = logging.getLogger(__name__)

OPTION: Final = f"[{settings.SECTION}] contacts"

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Source:
    """
    Where contacts are.

    :param kind: ``file``, ``variable`` or ``connection``.
    :param name: the path, or the name of the Variable or the connection.
    """

    kind: Literal["file", "variable", "connection"]
    name: str

    @classmethod
    def of(cls, text: str) -> Source:
        """
        Read the option.

        :raises ConfigurationError: it names nothing that can be read.
        """
        kind, mark, name = text.partition(":")
        if mark and kind in ("variable", "connection"):
            if name.strip():
                return cls(cast(Any, kind), name.strip())
            raise ConfigurationError(f"{OPTION}: names no {kind}; write {kind}:NAME")
        path = os.path.expanduser(text)
        if os.path.isabs(path) and format_of(path):
            return cls("file", path)
        raise ConfigurationError(
            f"{OPTION}: {shown(text)} cannot be read; give the absolute path of a file that ends in "
            f"{', '.join(FORMATS)}, or variable:NAME, or connection:ID"
        )

    @property
    def label(self) -> str:
        """What it is, for errors."""
        what = {"file": "the file", "variable": "the Variable", "connection": "the connection"}[self.kind]
        return f"the contacts ({what} {self.name!r})"

    @property
    def kind_of_text(self) -> str | None:
        """The format, where the name tells it."""
        return format_of(self.name) if self.kind == "file" else None


def read_source() -> Source | None:
    """Return what the option names, None where it is not set; errors as :meth:`Source.of`."""
    text = settings.contacts()
    return None if text is None else Source.of(text)


def has_contacts() -> bool:
    """Say whether the option is set, to whatever it is."""
    try:
        return settings.contacts() is not None
    except Exception:  # Airflow's configuration cannot be read; whoever asks must not fail
        return False


def needed_source(names: str) -> Source:
    """
    Return what the option names.

    :param names: what needs it, for the error; "is a name of the contacts" follows.
    :raises ConfigurationError: it is not set, or names nothing that can be read.
    """
    source = read_source()
    if source is None:
        raise ConfigurationError(
            f"to: {names} is a name of the contacts, and {OPTION} is not set; set it to a file of contacts"
        )
    return source


# While a DAG file is parsed

_names_of_files: dict[str, tuple[Version, tuple[frozenset[str], frozenset[str]] | None]] = {}
"""By path: of which version, the names in it, and those of policies; None where it could not be read."""


def check_contact_names(to: Any, column: object = "phone_number") -> None:
    """
    Refuse a name that is certainly in no contacts, when a DAG file is parsed.

    A template, a Variable, a connection and a file that cannot be read now tell nothing, so they are left for later.

    :param to: as given.
    :param column: what holds the number in dicts and rows.
    :raises ConfigurationError: there is no such name, it can be none, or there are no contacts.
    """
    references = list(dict.fromkeys(references_in(to, column)))
    if not references:
        return
    names = [_name_of(reference) for reference in references]
    source = needed_source(f"{MARK}{names[0]}")
    known = _names_in_file(source.name) if source.kind == "file" else None
    if known is None:
        return
    for name in names:
        if name not in known[0]:
            how = meant(name, known[0]) or "; add it there"
            raise ConfigurationError(f"to: {MARK}{name} is not in {source.label}{how}")


def check_policy_name(policy: str) -> None:
    """
    Refuse an escalation policy that is certainly in no contacts, when a DAG file is parsed.

    :raises ConfigurationError: there is no such policy, or there are no contacts.
    """
    source = needed_source(f"the policy {policy!r}")
    known = _names_in_file(source.name) if source.kind == "file" else None
    if known is not None and policy.strip().lower() not in known[1]:
        how = meant(policy, known[1]) or "; add it there"
        raise ConfigurationError(f"policy: {shown(policy)} is no policy of {source.label}{how}")


def _name_of(reference: str) -> str:
    try:
        return name_of(reference)
    except InvalidArgumentError as error:
        problem = str(error)
    raise ConfigurationError(problem)


def _names_in_file(path: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """
    Return the names in a file, and those of policies, read again only when it has changed.

    :returns: None where it cannot be read.
    """
    try:
        version = _version_of(path)
        known = _names_of_files.get(path)
        if known is not None and known[0] == version:
            return known[1]
        data = read_text(_read_file(path), format_of(path))
        names = defined_names(data), defined_names(data, ("policies",))
    except (OSError, UnreadableContactsError) as error:
        # Not an error of the DAG: a mistake in the contacts must not stop pipelines.
        why = str(error) if isinstance(error, UnreadableContactsError) else type(error).__name__
        log.warning("The contacts (the file %r) cannot be read: %s. Names in DAGs are not checked", path, why)
        if not isinstance(error, OSError):
            _names_of_files[path] = version, None
        return None
    _names_of_files[path] = version, names
    return names


def _version_of(path: str) -> Version:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read_file(path: str) -> str:
    with open(path, "rb") as handle:
        data = handle.read(LARGEST_CONTACTS + 1)
    if len(data) > LARGEST_CONTACTS:
        raise UnreadableContactsError(f"is larger than {LARGEST_CONTACTS:,} bytes; is it the right file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    raise UnreadableContactsError("is no UTF-8; save it as UTF-8")


# When something is sent

_directories: dict[str, tuple[Version, Directory]] = {}
"""Of files, by path."""
_last_good: dict[Source, Directory] = {}


def load_directory(source: Source) -> Directory:
    """
    Read contacts.

    :returns: what could be read of them, with the mistakes.
    :raises ConfigurationError: they do not exist, or are no TOML, YAML or JSON.
    :raises RetryableNotSentError: they cannot be reached now.
    """
    problem: Exception
    try:
        directory = _load(source)
        _last_good[source] = directory
        return directory
    except UnreadableContactsError as error:
        problem = ConfigurationError(f"{source.label}: {error}")
    except VoicePartnerProviderError:
        raise
    except FileNotFoundError:
        problem = ConfigurationError(f"{OPTION}: {source.label} do not exist on this machine; make the file")
    except Exception as error:  # whatever a secrets backend or a file system raises, and may quote
        problem = RetryableNotSentError(f"{source.label} cannot be read now: {type(error).__name__}")
    raise problem


def _load(source: Source) -> Directory:
    # Here, because DAG files import this module, and phonenumbers takes long to import.
    from airflow_provider_voicepartner.contacts.validation import read_directory

    version: Version | None = None
    if source.kind == "file":
        version = _version_of(source.name)
        known = _directories.get(source.name)
        if known is not None and known[0] == version:
            return known[1]
    text = _READERS[source.kind](source.name)
    directory = read_directory(read_text(text, source.kind_of_text), label=source.label)
    if version is not None:
        _directories[source.name] = version, directory
    return directory


def _read_variable(name: str) -> str:
    from airflow_provider_voicepartner.compat import Variable

    try:
        return str(Variable.get(name))
    except Exception as error:
        # Of an outage Airflow 3 says, too, that there is no such Variable.
        reported = getattr(getattr(error, "error", None), "error", None)
        if not isinstance(error, KeyError) and getattr(reported, "name", None) != "VARIABLE_NOT_FOUND":
            raise
    found = _variable_in_metadata(name)
    if found is not None:
        return found
    raise RetryableNotSentError(
        f"{OPTION}: the Variable {name!r} was not found, or what holds it could not be asked; nothing was sent"
    )


def _variable_in_metadata(name: str) -> str | None:
    from airflow_provider_voicepartner.hooks.connection import ask_metadata

    found: str | None = ask_metadata(lambda backend: backend.get_variable(name))[0]
    return found


def _read_connection(conn_id: str) -> str:
    from airflow_provider_voicepartner.hooks.connection import look_up

    return look_up(conn_id).extra or ""


_READERS: Final[dict[str, Callable[[str], str]]] = {
    "file": _read_file,
    "variable": _read_variable,
    "connection": _read_connection,
}


@dataclass(frozen=True, slots=True)
class KnownContacts:
    """
    What an alert knows of the contacts.

    :param directory: None where they could never be read in this process.
    :param problems: what is to be logged.
    """

    directory: Directory | None
    problems: Sequence[str] = ()


def known_contacts() -> KnownContacts:
    """Return the contacts for an alert, which must not fail: where they cannot be read, as they were read last."""
    try:
        return KnownContacts(load_directory(needed_source("one of the recipients")))
    except VoicePartnerProviderError as error:
        problem = str(error)
    except Exception as error:  # whatever Airflow's configuration raises, and may quote
        problem = f"{OPTION}: cannot be read: {type(error).__name__}"
    return contacts_read_before(problem)


def contacts_within(seconds: float) -> KnownContacts:
    """Do the same in a bounded time, so that enough is left to tell those whose numbers are known."""
    found: list[KnownContacts] = []
    Aside(lambda: found.append(known_contacts()), name="contacts").is_over(seconds)
    return found[0] if found else late_contacts(seconds)


def late_contacts(seconds: float) -> KnownContacts:
    """Return the contacts for an alert that waited for them in vain."""
    return contacts_read_before(f"the contacts could not be read within {seconds:g} s")


def policy_of(directory: Directory, name: str) -> tuple[Policy | None, str]:
    """
    Return an escalation policy for a page, which must reach somebody: the last resort for a name that is none.

    :returns: None where nobody can be paged, and what is to be logged as an error.
    """
    try:
        return directory.policy(name), ""
    except InvalidArgumentError as error:
        problem = str(error)
    instead = directory.without_policy(name, otherwise=settings.alert_conn_id())
    what = "Nobody can be paged" if instead is None else "The last resort is paged"
    return instead, f"{what}: {problem}"


def contacts_read_before(problem: str) -> KnownContacts:
    """
    Return the contacts as this process read them last.

    :param problem: why they cannot be read now.
    """
    try:
        source = read_source()
    except Exception:
        source = None
    directory = _last_good.get(source) if source is not None else None
    if directory is None:
        return KnownContacts(None, (problem,))
    return KnownContacts(
        directory, (f"{problem}. The alert goes by the contacts that this process read before",)
    )
