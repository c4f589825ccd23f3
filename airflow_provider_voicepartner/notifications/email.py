"""
An e-mail backend for Airflow that sends mails to addresses such as ``oncall@sms`` as SMS.

Set ``[email] email_backend = airflow_provider_voicepartner.notifications.email.send_email``. All other addresses get
their mail as before.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, Final

from airflow_provider_voicepartner.constants import LONGEST_MAIL_READ

log = logging.getLogger(__name__)

DOMAIN: Final = "sms"
"""Of the addresses that are messaged: no mail server can have it, since it has no dot."""

_SEPARATORS: Final = re.compile(r"\s*[,;]\s*")
_NUMBER: Final = re.compile(r"\+?[\d .()/-]+")
_SUBJECTS: Final = (
    # Airflow 2: <TaskInstance: dag.task run [failed]>, with map_index=3 before the state.
    re.compile(
        r"^Airflow alert: <TaskInstance: (?P<dag>\S+)\.(?P<task>[^.\s]+) (?P<run>\S+)"
        r"(?: map_index=(?P<index>\d+))? \[(?P<state>\w+)\]>$"
    ),
    # Airflow 3 writes the fields of a task instance in a row.
    re.compile(
        r"^Airflow alert: id=\S+ task_id='(?P<task>[^']+)' dag_id='(?P<dag>[^']+)' run_id='(?P<run>[^']+)' "
        r".*?map_index=(?:(?P<index>\d+)|-1|None)"
    ),
)
_TRIES: Final = re.compile(r"^\s*Try (?P<this>\d{1,4}) out of (?P<all>\d{1,4})\b")
_ERROR: Final = re.compile(r"Exception:\s*<br\s*/?>\s*(?P<error>.+?)\s*(?:<br|$)", re.IGNORECASE | re.DOTALL)


def send_email(
    to: str | Iterable[str],
    subject: str,
    html_content: str,
    files: list[str] | None = None,
    dryrun: bool = False,
    cc: str | Iterable[str] | None = None,
    bcc: str | Iterable[str] | None = None,
    mime_subtype: str = "mixed",
    mime_charset: str = "utf-8",
    conn_id: str | None = None,
    from_email: str | None = None,
    custom_headers: dict[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """
    Send an e-mail, and an SMS to everybody whose address ends in ``@sms``.

    The part before it is a name of the contacts or a number. The SMS says the first line of the subject, in one
    segment; of Airflow's own failure mails it says what failed, and the error, in the language of each contact.
    Nothing is raised for an SMS: what goes wrong is logged. If somebody was messaged, a mail that fails is logged too,
    since whoever is told of it tries again.

    :param to: addresses, as a list or separated by commas or semicolons; likewise ``cc`` and ``bcc``.
    :param dryrun: send nothing.
    :param conn_id: of the mail server; the SMS go through ``[voicepartner] alert_conn_id``.
    """
    people: list[str] = []
    others: dict[str, list[str]] = {}
    for name, addresses in (("to", to), ("cc", cc), ("bcc", bcc)):
        others[name] = []
        for address in _as_list(addresses):
            person = recipient_of(address) if isinstance(address, str) else None
            if person is None:
                others[name].append(address)
            elif person not in people:
                people.append(person)
    is_messaged = bool(people) and not dryrun
    if is_messaged:
        _message(people, text_of(subject), context_of(subject, html_content))
    if not any(others.values()):
        return
    try:
        _mail(
            others["to"],
            subject,
            html_content,
            files=files,
            dryrun=dryrun,
            cc=others["cc"] or None,
            bcc=others["bcc"] or None,
            mime_subtype=mime_subtype,
            mime_charset=mime_charset,
            conn_id=conn_id,
            from_email=from_email,
            custom_headers=custom_headers,
            **kwargs,
        )
    except Exception as error:
        if not is_messaged:
            raise
        kind = type(error).__name__
        log.error(
            "The mail to the addresses that are not messaged was not sent: %s. Mails need the connection %s, and on "
            "Airflow 3 the provider smtp",
            kind, conn_id,
        )  # fmt: skip


def recipient_of(address: str) -> str | None:
    """
    Return the recipient whom an address means: a number, or an ``@name`` of the contacts.

    :returns: None for the address of a mailbox.
    """
    local, mark, domain = address.strip().strip("<>").rpartition("@")
    local = local.strip().lstrip("@")
    if not mark or not local or domain.strip().lower() != DOMAIN:
        return None
    return local if _NUMBER.fullmatch(local) else f"@{local}"


def text_of(subject: Any) -> str:
    """Return what an SMS says of any mail that is not Airflow's own: the first line of its subject."""
    return _read_subject(subject)[0] or "Airflow: a mail without a subject"


def context_of(subject: Any, html_content: Any) -> dict[str, Any]:
    """
    Return what one of Airflow's own failure mails is about, as the context of a callback would say it.

    So mails join the incidents of their tasks, and a storm of them is one message. A mail between two tries counts as
    a retry, which never hides the failure of the last one.

    :returns: nothing for any other mail.
    """
    _, given = _read_subject(subject)
    if not given:
        return {}
    this, of_tries, error = _read_body(html_content)
    state = given.get("state") or ("up_for_retry" if this < of_tries else "failed")
    ti = SimpleNamespace(
        dag_id=given["dag"],
        task_id=given["task"],
        run_id=given["run"],
        map_index=int(given["index"] or -1),
        try_number=this,
        max_tries=of_tries - 1,
        state=state,
    )
    from airflow_provider_voicepartner.notifications.mail_sms import SAID_STATE

    said = given.get("state") or "failed"
    return {"ti": ti, "run_id": given["run"], "exception": error or None, SAID_STATE: said}


def _read_subject(subject: Any) -> tuple[str, dict[str, str | None]]:
    """Return the first line, and what it says of a task if it is Airflow's own."""
    lines = str(subject or "")[:LONGEST_MAIL_READ].splitlines()
    line = next((" ".join(part.split()) for part in lines if part.strip()), "")
    found = next(filter(None, (pattern.match(line) for pattern in _SUBJECTS)), None)
    return line, {} if found is None else found.groupdict()


def _read_body(html_content: Any) -> tuple[int, int, str]:
    """Return which try failed of how many, 0 where that is not said, and the error."""
    body = str(html_content or "")[:LONGEST_MAIL_READ]
    tries, error = _TRIES.match(body), _ERROR.search(body)
    this, of_tries = (int(tries["this"]), int(tries["all"])) if tries else (0, 0)
    return this, of_tries, _without_markup(error["error"]) if error else ""


def _without_markup(html_content: str) -> str:
    from html import unescape

    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html_content)).split())


def _as_list(addresses: str | Iterable[str] | None) -> Sequence[str]:
    if addresses is None:
        return ()
    given = _SEPARATORS.split(addresses) if isinstance(addresses, str) else [*addresses]
    return [address for address in given if not isinstance(address, str) or address.strip()]


def _message(people: Sequence[str], text: str, context: Any) -> None:
    from airflow_provider_voicepartner.gateways.placeholders import without_braces
    from airflow_provider_voicepartner.notifications.all_dags import default_notifier
    from airflow_provider_voicepartner.notifications.mail_sms import MailSmsNotifier

    try:
        # Airflow's own mails get the default text, which is in the language of each contact.
        notifier = default_notifier(
            list(people), sms=MailSmsNotifier, message=None if context else text, max_segments=1
        )
        for other in notifier.fallback if not context else ():
            # Rendered when it is due: without braces it is no template, whatever the mail says.
            setattr(other, other.text_field, without_braces(text))
        notifier.notify(context)
    except Exception as error:
        log.error("The SMS in place of a mail was not sent: %s", type(error).__name__)


def _mail(to: Sequence[str], subject: str, html_content: str, **arguments: Any) -> None:
    """Send a mail as Airflow does where no backend is set: by its SMTP provider on Airflow 3, if that is installed."""
    try:
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier
        from airflow.sdk import BaseNotifier  # noqa: F401  # Airflow 3
    except ImportError:
        from airflow.utils.email import send_email_smtp

        send_email_smtp(list(to), subject, html_content, **arguments)
        return
    if arguments.pop("dryrun"):
        return
    known = ("files", "cc", "bcc", "mime_subtype", "mime_charset", "from_email", "custom_headers")
    SmtpNotifier(
        to=list(to),
        subject=subject,
        html_content=html_content,
        smtp_conn_id=arguments["conn_id"],
        **{name: arguments[name] for name in known},
    ).notify({})
