"""The shape of a gateway, its facts and its hook."""

from __future__ import annotations

import inspect
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.model import Kind
from airflow_provider_voicepartner.gateways.validation import GatewayOptions
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse
from airflow_provider_voicepartner.testing.gateway_cases.requests import places
from airflow_provider_voicepartner.testing.gateway_cases.samples import (
    ANNA,
    CREDENTIALS,
    KEY,
    LOGIN,
    MESSAGES,
    NOW,
    NUMBER,
    TEXT,
    Cases,
)

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook


class ShapeCases(Cases):
    def test_has_everything_that_hooks_call(self, gateway: Gateway) -> None:
        for name, promised in inspect.getmembers(Gateway, inspect.isfunction):
            if name.startswith("_"):
                continue
            offered = inspect.signature(getattr(gateway, name)).parameters
            needed = [
                parameter for parameter in inspect.signature(promised).parameters if parameter != "self"
            ]
            assert list(offered)[: len(needed)] == needed, name
            extra = list(offered.values())[len(needed) :]
            assert all(parameter.default is not inspect.Parameter.empty for parameter in extra), name

    def test_says_who_it_is(self, gateway: Gateway) -> None:
        assert gateway.INFO.name.lower() == gateway.INFO.name
        assert gateway.INFO.label
        url = urlsplit(gateway.INFO.base_url)
        assert url.scheme == "https"
        assert not gateway.INFO.base_url.endswith("/")
        assert set(MESSAGES) >= gateway.INFO.kinds

    @pytest.mark.parametrize("kind", MESSAGES)
    def test_refuses_the_kinds_that_it_cannot_send(self, gateway: Gateway, kind: Kind) -> None:
        if kind in gateway.INFO.kinds:
            gateway.check_message(MESSAGES[kind], False)
            gateway.build_cancel("8123456", kind)
            return
        with pytest.raises(InvalidArgumentError):
            gateway.check_message(MESSAGES[kind], False)
        with pytest.raises(InvalidArgumentError):
            gateway.build_batch(MESSAGES[kind], [ANNA], reference="k3v9x0q2w7ha", now=NOW)
        with pytest.raises(InvalidArgumentError, match="kind"):
            gateway.build_cancel("8123456", kind)

    def test_knows_its_status_words(self, gateway: Gateway) -> None:
        if self.reported is not None:
            word = str(self.reported[self.status_key])
            assert gateway.knows_status(word), f"knows_status: {word!r} is a status"
        for word in ("", "no such message", TEXT):
            assert not gateway.knows_status(word), f"knows_status: {word!r} is none"

    def test_every_path_stays_below_the_base(self, gateway: Gateway) -> None:
        for request in self.every_request():
            assert not request.path.startswith("/"), "path: no slash at its beginning"
            assert "//" not in request.path
            assert not {"..", "."} & set(request.path.split("/"))
        for odd in ("", " ", "..", "../me", "a/b?c#d"):
            with suppress(InvalidArgumentError):
                request = gateway.build_cancel(odd, next(iter(gateway.INFO.kinds)))
                assert not {"..", "."} & set(request.path.split("/")), (
                    "refuse such an id: it leads to another path"
                )
                assert not set("?#") & set(request.path), "quote the id"


class FactCases(Cases):
    """What ``INFO`` names is there, and requests keep to it. Its own values are checked when it is made."""

    def test_every_request_is_to_an_endpoint_of_the_list(self, gateway: Gateway) -> None:
        named = {*gateway.INFO.sends.values(), *(request.endpoint for request in self.every_request())}
        assert named <= set(gateway.INFO.endpoints), "INFO.endpoints: name every endpoint"

    def test_the_key_travels_where_it_may(self, gateway: Gateway) -> None:
        taken = {"basic": "headers", "header": "headers", "query": "params"}
        allowed = {taken.get(place, place) for place in gateway.INFO.credentials}
        for request in self.every_request():
            used = set(places(gateway.authenticate(request, CREDENTIALS), gateway.INFO))
            assert used <= allowed, "INFO.credentials: name every place"

    def test_settings_can_be_loaded(self, gateway: Gateway) -> None:
        for path in gateway.INFO.options.values():
            assert issubclass(loaded(path), GatewayOptions), "INFO.options: paths of GatewayOptions models"


def loaded(path: str) -> Any:
    """Return what is at a dotted path."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


class HookCases(Cases):
    """The hook that ``INFO`` names does what ``INFO`` promises. Needs Airflow."""

    @property
    def hook(self) -> type[GatewayHook]:
        """The class that ``INFO.hook`` names."""
        found: type[GatewayHook] = loaded(self.gateway.INFO.hook)
        return found

    def test_is_this_gateway_s(self, gateway: Gateway) -> None:
        from airflow_provider_voicepartner.hooks.base import GatewayHook

        assert issubclass(self.hook, GatewayHook), "INFO.hook: the path of a GatewayHook"
        assert self.hook.gateway.INFO is gateway.INFO, "INFO.hook: that class has another gateway"

    def test_reads_the_fields_of_the_form(self, gateway: Gateway) -> None:
        from airflow_provider_voicepartner.hooks.connection import ConnectionExtra

        own = set(self.hook.extra_model.model_fields) - set(ConnectionExtra.model_fields)
        assert own == set(gateway.INFO.fields), "extra_model: the same fields as INFO.fields"

    def test_has_the_methods_that_are_promised(self, gateway: Gateway) -> None:
        from airflow_provider_voicepartner.hooks.base import GatewayHook

        info = gateway.INFO
        promised = {
            "poll_delivery": info.polls,
            "poll_recipients": info.most_polled > 0,
            "tag_of": info.listed_by_tag,
            "poll_by_tag": info.listed_by_tag,
            "find_proof": info.listed_by_tag,
            "account_urls": info.reports == "account",
            "set_account_urls": info.reports == "account",
        }
        for name, is_promised in promised.items():
            is_written = getattr(self.hook, name) is not getattr(GatewayHook, name)
            assert is_written or not is_promised, f"INFO promises {name}; write it in the hook"

    def test_polls_as_its_facts_say(self, gateway: Gateway) -> None:
        info, polls = gateway.INFO, dict[str, Any]()
        if info.polls:
            polls["poll_delivery"] = ("8123456",)
        if info.most_polled:
            polls["poll_recipients"] = ([("8123456", NUMBER)],)
        for method, arguments in polls.items():
            request = self._first_request(method, *arguments)
            assert request.endpoint in info.endpoints, f"{method}: INFO.endpoints does not name its endpoint"
            assert request.safe_to_repeat, f"{method}: reads are safe to repeat"
            assert not request.path.startswith("/"), f"{method}: no slash at the path's beginning"
            assert not places(request, info), f"{method}: the key goes in last, in authenticate"

    def _first_request(self, method: str, *arguments: Any) -> ApiRequest:
        """Return what a method of the hook would ask; nothing is sent."""
        from airflow_provider_voicepartner.compat import Connection

        class CaughtError(Exception):
            pass

        class Hook(self.hook):  # type: ignore[misc, name-defined]  # which class is known when it runs
            def run(self, request: ApiRequest, **_: Any) -> ApiResponse:
                caught.append(request)
                raise CaughtError

        caught: list[ApiRequest] = []
        connection = Connection(conn_id="kit", conn_type=self.gateway.INFO.name, login=LOGIN, password=KEY)
        with suppress(CaughtError):
            getattr(Hook(connection=connection), method)(*arguments)
        assert caught, f"{method}: call self.call or self.run"
        return caught[0]
