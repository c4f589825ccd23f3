"""A question to people that can be answered by phone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from airflow_provider_voicepartner.constants import MOST_OWN_LINKS
from airflow_provider_voicepartner.contacts.languages import VOICE_LANGUAGES, Language, language_of
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.notifications.base import GatewayNotifier

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context
    from airflow_provider_voicepartner.gateways.model import Kind, Message
    from airflow_provider_voicepartner.hooks.alert import SentAlert
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.hooks.questions import AskedQuestion
    from airflow_provider_voicepartner.incidents.question_model import Asked, Asking, Question
    from airflow_provider_voicepartner.notifications.audience import Audience
    from airflow_provider_voicepartner.notifications.failure import AlertFailure

_CONNECTIONS: Final = {"sms": "smspartner_default", "call": "octopush_default"}
_ANSWER: Final = {
    "en": {"reply": "Reply {0}, or answer in Airflow", "or link": "Reply {0}, or answer here", "or": " or ",
           "number": "{0} and a number",
           "press": "Press the number of your choice."},
    "fr": {"reply": "Répondez {0}, ou dans Airflow", "or link": "Répondez {0}, ou ici", "or": " ou ",
           "number": "{0} et un numéro",
           "press": "Appuyez sur le numéro de votre choix."},
}  # fmt: skip


class QuestionNotifier(GatewayNotifier):
    """
    Ask a question that can be answered by phone: one of the ``notifiers`` of a HITL operator.

    The answer is given to Airflow by the watchdog. Where nothing reads answers, where there are more than nine options,
    or a form, the question says that it is answered in Airflow.

    :param to: a number, an ``@name`` of the contacts, a comma-separated text or a list of these.
    :param by: ``sms``, or ``call`` for one that is answered by a key.
    :param max_segments: cut the text to this many SMS segments, from 1; 3 unless given. The subject is cut first.
    :param conn_id: the connection; unless given, the default one of a gateway that reports answers.
    :param sender: sender ID or caller ID.
    :param options: gateway-specific settings.
    :param fallback: other notifiers, tried in order when nobody was reached or that is unknown.
    """

    kind: ClassVar[Kind] = "sms"
    text_field: ClassVar[str] = "message"
    needs_mobile: ClassVar[bool] = True

    def __init__(
        self,
        *,
        to: Any,
        by: Literal["sms", "call"] = "sms",
        max_segments: int | None = None,
        conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        if by not in _CONNECTIONS:
            raise ConfigurationError(f"by: is {by!r}; give 'sms' or 'call'")
        if max_segments is not None and (type(max_segments) is not int or max_segments < 1):
            raise ConfigurationError(
                f"max_segments: is {max_segments!r}; give a whole number from 1, or leave it out"
            )
        # In place of the class's: before the settings are checked, which differ by kind.
        self.__dict__.update(kind="sms" if by == "sms" else "tts", needs_mobile=by == "sms")
        super().__init__(conn_id=conn_id or _CONNECTIONS[by], to=to, **kwargs)
        self.by = by
        self.max_segments = max_segments
        self._opened: AskedQuestion | None = None
        self._is_one_by_one = False
        self._answer_options: dict[str, Any] = {}

    def before_sending(self, hook: GatewayHook, context: Context, numbers: Any) -> None:
        """Open the question in the store, and store who is asked; the plain question goes out where that fails."""
        self._opened, self._is_one_by_one = None, False
        info = hook.gateway.INFO
        asking = asking_of(context)
        problem = ""
        if asking is None:
            problem = "it is no question with up to nine options and without a form"
        elif self.kind not in info.answer_options or info.reports == "never":
            problem = f"{info.label} does not report answers to this kind of message"
        else:
            from airflow_provider_voicepartner.hooks.questions import AskedQuestion

            opened = AskedQuestion(asking, self._people(numbers))
            problem = opened.problem
            self._opened = None if problem else opened
            self._is_one_by_one &= self._opened is not None
            self._answer_options = dict(info.answer_options[self.kind])
        if problem:
            self.log.warning("%s: the question is answered in Airflow only: %s", self._who(), problem)

    def _people(self, numbers: Any) -> list[Asked]:
        from airflow_provider_voicepartner.hooks.alert import valid_numbers
        from airflow_provider_voicepartner.incidents.question_model import Asked
        from airflow_provider_voicepartner.sending.fingerprint import new_reference

        asked = valid_numbers(numbers, needs_mobile=self.needs_mobile)
        self._is_one_by_one = self.by == "sms" and len(asked) <= MOST_OWN_LINKS
        audiences = {number: self.audience_of(number) for number in asked}
        references = {audience: new_reference() for audience in dict.fromkeys(audiences.values())}
        return [
            Asked(
                phone_number=number,
                kind=self.kind,
                conn_id=str(self.conn_id),
                person=self._person_of.get(number, ""),
                language=super(QuestionNotifier, self).audience_of(number).language or "",
                reference=references[audience],
            )
            for number, audience in audiences.items()
        ]

    def audience_of(self, phone_number: str) -> Audience:
        """
        Say for whom the message of a number is written: one person by text message, whose link is their own.

        Those who share a message have the same audience, since they also share the reference that answers carry.
        """
        from airflow_provider_voicepartner.notifications.audience import Audience

        language = language_of(super().audience_of(phone_number).language)
        return Audience(language, alone=phone_number if self._is_one_by_one else "")

    def make_reference(self, numbers: Sequence[str]) -> str:
        """Return our own id of a request, which answers carry; of a large list, the first request's is known."""
        mine = "" if self._opened is None else self._opened.take_reference(numbers)
        return mine or super().make_reference(numbers)

    def message_to_send(self, context: Context) -> Message:
        """Build the message."""
        from airflow_provider_voicepartner.gateways.model import SmsMessage, VoiceMessage
        from airflow_provider_voicepartner.notifications.message import (
            as_repeat,
            default_text,
            spoken_text,
        )

        language = language_of(self.audience.language)
        question = None if self._opened is None else self._opened.question
        options = {**({} if question is None else self._answer_options), **self.given_options()}
        if self.by == "sms":
            text = default_text(
                context,
                language,
                segments=self.max_segments,
                is_repeat=self.may_be_repeat,
                answer="" if question is None else how_to_reply(question, language),
                answer_link="" if self._opened is None else self._opened.link_of(self.audience.alone),
                answer_by_link="" if question is None else how_to_reply(question, language, "or link"),
            )
            return SmsMessage(text=text, sender=self.given_sender(), purpose="alert", options=options)
        text = spoken_text(context, language, answer="" if question is None else _ANSWER[language]["press"])
        if self.may_be_repeat:
            text = as_repeat(text, language, is_spoken=True)
        return VoiceMessage(
            text=text,
            language=VOICE_LANGUAGES[language],
            sender=self.given_sender(),
            purpose="alert",
            options=options,
        )

    def after_sending(self, hook: GatewayHook, sent: SentAlert) -> None:
        """Store by which batch people were asked."""
        if self._opened is not None:
            self._opened.was_sent(sent, hook.gateway.INFO.name, self.kind)

    def _failed(self, why: BaseException | str, *, has_left: bool) -> AlertFailure:
        failure = super()._failed(why, has_left=has_left)
        if self._opened is not None and not failure.in_doubt:
            self._opened.was_not_sent(self.kind)
        return failure


def asking_of(context: Any) -> Asking | None:
    """
    Return what the HITL operator of a context asks; None where it cannot be answered by phone.

    :param context: as the operator gives it to its notifiers. Nothing here may raise.
    """
    from airflow_provider_voicepartner.incidents.choices import are_for_phones
    from airflow_provider_voicepartner.incidents.question_model import Asking
    from airflow_provider_voicepartner.notifications.event import What, read_event

    event = read_event(context)
    if event.what is not What.QUESTION:
        return None
    try:
        task, ti = context["task"], context["ti"]
        options = tuple(task.options)
        has_form = bool(dict(getattr(task, "params", None) or {}))
        seconds = getattr(task, "response_timeout", None)
        if has_form or not all(isinstance(one, str) for one in options) or not are_for_phones(options):
            return None
        return Asking(
            ti_id=str(ti.id),
            dag_id=str(ti.dag_id),
            run_id=str(ti.run_id),
            task_id=str(ti.task_id),
            map_index=int(ti.map_index),
            options=options,
            most=len(options) if getattr(task, "multiple", False) else 1,
            link=event.link,
            seconds=seconds.total_seconds() if isinstance(seconds, timedelta) else None,
        )
    except Exception:
        return None


def how_to_reply(question: Question, language: Language, where: str = "reply") -> str:
    """
    Say how a question is answered by text message: with its code, since another may be open, or come later.

    :param where: else it can be answered: ``reply`` for in Airflow, ``or link`` for the page behind a link.
    """
    words = _ANSWER[language]
    words = {**words, "reply": words[where]}
    if question.code is None:  # all codes are taken
        return words["reply"].format("1" if len(question.options) == 1 else f"1{words['or']}2")
    if len(question.options) > 2 or question.most > 1:
        return words["reply"].format(words["number"].format(question.code))
    numbers = [f"{question.code} {number}" for number in range(1, len(question.options) + 1)]
    return words["reply"].format(words["or"].join(numbers))


send_question_notification = QuestionNotifier
