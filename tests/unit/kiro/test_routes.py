"""Where a chat goes, and what is tried when that is refused. Source: protocol 1.1 and 1.8."""

from __future__ import annotations

import pytest

from app.kiro.endpoints import BUILDER_ID_PLACEHOLDER_ARN, SOCIAL_PROFILE_ARN
from app.kiro.routes import Route, first_route, other_arn, other_host

Login = tuple[str, str | None, str | None]
REAL = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEF123456"
SOCIAL: Login = ("social", "Google", None)
BUILDER_ID: Login = ("idc", "BuilderId", None)
COMPANY: Login = ("idc", "Enterprise", REAL)
API_KEY: Login = ("api_key", None, None)
WITHOUT = {"chat_arn": "left_out"}
ON_RUNTIME = {"chat_host": "runtime"}


@pytest.mark.parametrize(
    ("login", "learned", "hosts", "route"),
    [
        (SOCIAL, {}, "auto", Route("q", SOCIAL_PROFILE_ARN)),
        (BUILDER_ID, {}, "auto", Route("q", BUILDER_ID_PLACEHOLDER_ARN)),
        (COMPANY, {}, "auto", Route("q", REAL)),
        (API_KEY, {}, "auto", Route("q", None)),
        (BUILDER_ID, WITHOUT, "auto", Route("q", None)),
        (BUILDER_ID, ON_RUNTIME, "auto", Route("runtime", BUILDER_ID_PLACEHOLDER_ARN)),
        (BUILDER_ID, ON_RUNTIME | WITHOUT, "auto", Route("runtime", BUILDER_ID_PLACEHOLDER_ARN)),
        (BUILDER_ID, ON_RUNTIME, "q", Route("q", BUILDER_ID_PLACEHOLDER_ARN)),
        (SOCIAL, {}, "runtime", Route("runtime", SOCIAL_PROFILE_ARN)),
        (SOCIAL, {"chat_host": "nonsense"}, "auto", Route("q", SOCIAL_PROFILE_ARN)),
    ],
)
def test_a_chat_begins_where_it_worked_before(login: Login, learned: dict[str, str], hosts: str, route: Route) -> None:
    assert first_route(*login, learned, hosts) == route


@pytest.mark.parametrize(
    ("login", "route", "other"),
    [
        (BUILDER_ID, Route("q", BUILDER_ID_PLACEHOLDER_ARN), Route("q", None)),
        (BUILDER_ID, Route("q", None), Route("q", BUILDER_ID_PLACEHOLDER_ARN)),
        (COMPANY, Route("q", REAL), Route("q", None)),
        (BUILDER_ID, Route("runtime", BUILDER_ID_PLACEHOLDER_ARN), None),
        (API_KEY, Route("q", None), None),
        (("idc", "Enterprise", None), Route("q", None), None),
    ],
)
def test_the_other_form_of_the_arn_is_tried_where_there_is_one(login: Login, route: Route, other: Route | None) -> None:
    assert other_arn(route, *login) == other


def test_the_other_host_gets_the_arn_it_insists_on() -> None:
    assert other_host(Route("q", None), *BUILDER_ID, "auto") == Route("runtime", BUILDER_ID_PLACEHOLDER_ARN)
    assert other_host(Route("runtime", REAL), *COMPANY, "auto") == Route("q", REAL)


@pytest.mark.parametrize("hosts", ["q", "runtime"])
def test_a_host_that_was_asked_for_is_kept(hosts: str) -> None:
    assert other_host(Route("q", REAL), *COMPANY, hosts) is None


@pytest.mark.parametrize("route", [Route("q", None), Route("runtime", BUILDER_ID_PLACEHOLDER_ARN)])
def test_what_worked_begins_the_next_chat(route: Route) -> None:
    assert first_route(*BUILDER_ID, route.learned(), "auto") == route
