"""How strict the stand-in is and how fast it answers; changed as a whole or in part at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Options:
    """Every option, with its default. Seconds may be fractions.

    rules_off                   names of validation rules that are not applied (`simulator.validation.ALL_RULES`)
    check_token                 False: every call is taken as the first account's, whatever its bearer token
    check_host                  False: a Host header that belongs to no real service is accepted as us-east-1
    user_agent_minimum          lowest KiroIDE version of a chat call; "" switches the gate off
    rest_user_agent_minimum     lowest KiroIDE version of the REST GETs; "" switches the gate off
    rest_profile_arn_from       from this KiroIDE version on, REST GETs need the profile ARN; before it they must not have it
    rest_profile_arn            "by_version" as above, or "required", "refused", "optional" whatever the version
    access_token_seconds        life of access tokens given out
    rotate                      False: a refresh keeps the refresh token
    kept_token_sent             False: a refresh that keeps the refresh token leaves it out of its answer
    refresh_delay               seconds between the rotation and its answer
    expires_in_sent             False: refresh answers leave `expiresIn` out
    delay_before                seconds before the HTTP headers of an unscripted chat answer
    delay_between               seconds between two frames of an unscripted chat answer
    chunk_bytes                 re-cut unscripted chat bodies into pieces of so many bytes; 0: one chunk per frame
    tool_name_bytes             longest tool name
    image_bytes                 longest image, in characters of base64
    body_bytes                  longest chat request
    field_bytes                 longest single text or image; 0: no such limit (reports differ)
    strict_schema               True: tool schemas with keywords that only some hosts refuse are refused
    enforce_turns_of_cli        True: history must alternate for origin KIRO_CLI too
    models_per_page             page size of ListAvailableModels
    q_answers                   200, or the status a chat call on a q host gets instead of its answer: 404, 410
    device_interval             seconds between two questions about a device code; who asks sooner is told slow_down
    device_seconds              life of a device code
    device_approved_after       the person approves by itself once so many questions were answered pending; -1: never
    signs_in_as                 id of the account that people sign in to in their browser; "": a new one each time
    record_bodies               False: recorded calls leave the bodies out (load tests)
    """

    rules_off: tuple[str, ...] = ()
    check_token: bool = True
    check_host: bool = True
    user_agent_minimum: str = "0.12"
    rest_user_agent_minimum: str = "0.9"
    rest_profile_arn_from: str = "0.12"
    rest_profile_arn: str = "by_version"
    access_token_seconds: float = 3600.0
    rotate: bool = True
    kept_token_sent: bool = True
    refresh_delay: float = 0.0
    expires_in_sent: bool = True
    delay_before: float = 0.0
    delay_between: float = 0.0
    chunk_bytes: int = 0
    tool_name_bytes: int = 63
    image_bytes: int = 5 * 1024 * 1024
    body_bytes: int = 10 * 1024 * 1024
    field_bytes: int = 0
    strict_schema: bool = False
    enforce_turns_of_cli: bool = False
    models_per_page: int = 10
    q_answers: int = 200
    device_interval: int = 1
    device_seconds: float = 600.0
    device_approved_after: int = -1
    signs_in_as: str = ""
    record_bodies: bool = True

    def changed(self, values: Mapping[str, Any]) -> Options:
        """A copy with `values` instead; raises ValueError for an unknown name or a value of another type."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        clean: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"unknown option {name}")
            default = known[name]
            if isinstance(default, tuple) and isinstance(value, list):
                value = tuple(value)
            if isinstance(default, float) and type(value) is int:
                value = float(value)
            if type(value) is not type(default):
                raise ValueError(f"{name}: expected {type(default).__name__}")
            clean[name] = value
        return replace(self, **clean)
