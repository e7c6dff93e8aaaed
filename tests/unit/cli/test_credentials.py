from __future__ import annotations

from typing import Any

import pytest

from app.credentials.credential import State
from app.credentials.lifecycle import RefreshDead, Throttled
from app.services import Services
from tests.unit.cli.conftest import Run, one_line
from tests.unit.credentials.logins import api_key, refresh_token, social

KEY = api_key().secret


def stored(services: Services) -> Any:
    return {each.id: each for each in services.store.all(fresh=True)}


def test_an_empty_list_says_how_to_begin(run: Run) -> None:
    result = run("credentials", "list")
    assert result.exit_code == 0
    assert "credentials import FILE" in result.output


@pytest.mark.parametrize(
    ("options", "typed", "kind"),
    [
        (["--kind", "social", "--refresh-token", refresh_token()], None, "social"),
        (["--kind", "social"], f"{refresh_token()}\n", "social"),
        ([], f"{refresh_token()}\n", "social"),
        (["--refresh-token", "-"], f"{refresh_token()}\n", "social"),
        (["--kind", "idc"], f"{refresh_token()}\ncid\ncsec\n", "idc"),
        (["--refresh-token", "-", "--client-id", "cid", "--client-secret", "-"], f"{refresh_token()}\ncsec\n", "idc"),
        (["--kind", "api_key"], f"{KEY}\n", "api_key"),
        (["--api-key", "-"], f"{KEY}\n", "api_key"),
        (["--api-key", KEY], None, "api_key"),
    ],
)
def test_a_login_is_added_by_option_prompt_or_standard_input(
    run: Run, services: Services, options: list[str], typed: str | None, kind: str
) -> None:
    result = run("credentials", "add", *options, input=typed)
    assert result.exit_code == 0, result.output
    assert "credential 1 is stored" in result.stdout
    login = stored(services)[1]
    assert (login.kind, login.secret) == (kind, KEY if kind == "api_key" else refresh_token())
    if kind == "idc":
        assert (login.client_id, login.client_secret) == ("cid", "csec")


def test_a_secret_that_is_typed_is_not_shown(run: Run) -> None:
    result = run("credentials", "add", "--kind", "idc", input=f"{refresh_token()}\ncid\ncsec-secret\n")
    assert refresh_token() not in result.output
    assert "csec-secret" not in result.output


def test_every_option_of_a_login_is_stored(run: Run, services: Services) -> None:
    options = {
        "--region": "eu-west-1",
        "--api-region": "eu-central-1",
        "--profile-arn": "arn:1",
        "--start-url": "https://x.awsapps.com/start",
        "--provider": "Enterprise",
        "--email": "a@example.test",
        "--label": "work",
        "--machine-id": "ab" * 32,
        "--proxy-url": "direct",
        "--priority": "4",
    }
    run("credentials", "add", "--refresh-token", refresh_token(), *[part for pair in options.items() for part in pair])
    login = stored(services)[1]
    found = (login.auth_region, login.api_region, login.profile_arn, login.start_url, login.provider)
    assert found == ("eu-west-1", "eu-central-1", "arn:1", "https://x.awsapps.com/start", "Enterprise")
    found = (login.email, login.label, login.machine_id, login.proxy_url, login.priority)
    assert found == ("a@example.test", "work", "ab" * 32, "direct", 4)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--refresh-token", "aorAAA...ZZZ"], "copy the whole of it"),
        (["--refresh-token", refresh_token(), "--region", "mars"], "AWS region"),
        (["--refresh-token", refresh_token(), "--proxy-url", "ftp://x"], "proxy"),
        (["--refresh-token", "-"], "standard input"),
        (["--refresh-token", refresh_token(), "--replace", "9"], "credentials list"),
    ],
)
def test_what_cannot_be_added_is_one_line_that_says_what_to_do(
    run: Run, services: Services, options: list[str], says: str
) -> None:
    assert says in one_line(run("credentials", "add", *options, input=""))
    assert stored(services) == {}


def test_a_login_that_is_stored_already_is_named(run: Run) -> None:
    run("credentials", "add", "--refresh-token", refresh_token())
    assert "as credential 1" in one_line(run("credentials", "add", "--refresh-token", refresh_token()))


def test_a_short_token_is_stored_with_a_remark(run: Run) -> None:
    result = run("credentials", "add", "--refresh-token", "aor-short")
    assert result.exit_code == 0
    assert "is it whole?" in result.stderr


def test_new_tokens_can_be_given_to_a_rejected_credential(run: Run, services: Services) -> None:
    id_ = services.store.add(social("old", priority=3))
    services.store.happened(id_, RefreshDead())
    result = run("credentials", "add", "--replace", str(id_), "--refresh-token", refresh_token("new"))
    assert "has new tokens and is ready" in result.output
    login = stored(services)[id_]
    assert (login.refresh_token, login.state, login.priority) == (refresh_token("new"), State.READY, 3)


def test_the_list_says_how_each_stands_and_never_shows_a_token(run: Run, services: Services) -> None:
    store = services.store
    store.add(social("a", email="a@example.test", access_token="aoa-secret", priority=2), subscription_title="KIRO PRO")
    store.happened(1, Throttled(100))
    store.happened(store.add(social("b", label="old laptop", client_secret="csec-secret")), RefreshDead())
    store.add(api_key())
    output = run("credentials", "list").output
    head, b, key, a = output.splitlines()
    assert head.split()[:8] == ["ID", "NAME", "KIND", "STATE", "REGION", "PLAN", "LEFT", "PRIORITY"]
    assert "a@example.test" in a
    assert "cools down for " in a
    assert "KIRO PRO" in a
    assert "must be signed in again" in b
    assert "old laptop" in b
    assert "never" in key
    for secret in (refresh_token("a"), refresh_token("b"), KEY, "aoa-secret", "csec-secret"):
        assert secret not in output


def test_a_credential_is_disabled_enabled_and_removed(run: Run, services: Services) -> None:
    services.store.add(social())
    assert run("credentials", "disable", "1").output == "credential 1 is disabled\n"
    assert stored(services)[1].state is State.DISABLED
    assert run("credentials", "enable", "1").output == "credential 1 is ready\n"
    assert stored(services)[1].state is State.READY
    assert run("credentials", "remove", "1").output == "credential 1 is removed\n"
    assert stored(services) == {}


@pytest.mark.parametrize("command", ["enable", "disable", "remove"])
def test_an_unknown_credential_points_to_the_list(run: Run, command: str) -> None:
    assert "credentials list" in one_line(run("credentials", command, "7"))


def test_how_a_login_is_used_can_be_changed(run: Run, services: Services) -> None:
    services.store.add(social("a", label="old", priority=1))
    result = run("credentials", "set", "1", "--priority", "-2", "--max-concurrent", "3", "--proxy-url", "direct", "--label", "")
    assert result.exit_code == 0, result.output
    login = stored(services)[1]
    assert (login.priority, login.max_concurrent, login.proxy_url, login.label) == (-2, 3, "direct", None)
    assert login.refresh_token == refresh_token()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["1"], "nothing to change"),
        (["7", "--priority", "1"], "there is no credential 7"),
        (["1", "--max-concurrent", "0"], "at least 1"),
        (["1", "--proxy-url", "ftp://proxy"], "socks5://"),
        (["1", "--api-region", "evil.example/"], "no AWS region"),
    ],
)
def test_a_change_that_cannot_work_is_refused(run: Run, services: Services, arguments: list[str], words: str) -> None:
    services.store.add(social("a"))
    assert words in one_line(run("credentials", "set", *arguments))
    assert stored(services)[1].proxy_url is None


def test_a_login_of_an_external_provider_is_added(run: Run, services: Services) -> None:
    endpoint = "https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
    result = run("credentials", "add", "--refresh-token", refresh_token(), "--client-id", "cid", "--token-endpoint", endpoint)
    assert result.exit_code == 0, result.output
    assert (stored(services)[1].kind, stored(services)[1].token_endpoint) == ("external_idp", endpoint)
