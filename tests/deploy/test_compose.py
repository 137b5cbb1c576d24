"""The distributed house's files agree with each other and carry no secret. (No engine is needed to read them.)"""

import re
from typing import Any

import pytest
import yaml

from services.billing.settings import BillingSettings
from services.dispatch.settings import DispatchSettings
from services.kit.settings import HouseSettings, ServiceSettings
from services.orders.settings import OrdersSettings
from tests.servers.parts import PROJECT

SETTINGS: dict[str, type[ServiceSettings]] = {
    "orders": OrdersSettings,
    "dispatch": DispatchSettings,
    "billing": BillingSettings,
}
SECRETS = {
    line.partition("=")[0]: line.partition("=")[2]
    for line in (PROJECT / "deploy/env/secrets.env.example").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
}
COMPOSE = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(COMPOSE)
    return read


def test_it_runs_the_three_services_and_what_they_need(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"kafka", "postgres", "gateway", *SETTINGS}
    for name in SETTINGS:
        assert compose["services"][name]["command"][:2] == ["serve", name]


def test_everything_says_how_it_is_and_waits_for_what_it_needs(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"], name
        for needed, how in service.get("depends_on", {}).items():
            assert needed in compose["services"]
            assert how == {"condition": "service_healthy"}


def test_every_image_has_a_version(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert "build" in service or re.search(r":\d+(\.\d+)*", service["image"]), name
        assert ":latest" not in service["image"]


def test_volumes_and_files_that_are_mounted_exist(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            assert (PROJECT / source).is_file() if source.startswith(".") else source in compose["volumes"], mount
        if "env_file" in service:
            assert (PROJECT / service["env_file"]).is_file()


def test_our_containers_have_no_more_rights_than_they_need(compose: dict[str, Any]) -> None:
    for name in (*SETTINGS, "gateway"):
        service = compose["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    for name in SETTINGS:
        assert "ports" not in compose["services"][name], "only the gateway is reached from outside"


def test_secrets_have_no_default() -> None:
    assert set(SECRETS.values()) == {""}
    used = set(re.findall(r"\$\{(\w+)", COMPOSE))
    assert used == set(SECRETS)
    for name in SECRETS:
        assert f"${{{name}:?" in COMPOSE, f"{name} would silently be empty"
    assert not re.findall(r"\$\{\w+:?-", COMPOSE)


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_is_one_that_the_service_knows(service: str, compose: dict[str, Any]) -> None:
    own = SETTINGS[service]
    known = {f"{service.upper()}_{name}".upper() for name in own.model_fields} | {
        f"TOURNEE_{name}".upper() for name in HouseSettings.model_fields
    }
    text = (PROJECT / f"deploy/env/{service}.env").read_text(encoding="utf-8")
    given = {line.partition("=")[0] for line in text.splitlines() if line and not line.startswith("#")}
    given |= set(compose["services"][service]["environment"])
    assert given <= known
    assert {"TOURNEE_BUS_URL", "TOURNEE_SECRET_KEY", f"{service.upper()}_DATABASE_URL"} <= given


def test_the_image_does_not_run_as_root() -> None:
    instructions = re.findall(
        r"^(\w+) (.*)$", (PROJECT / "deploy/Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    users = [value for name, value in instructions if name == "USER"]
    assert users and not users[-1].startswith(("0", "root"))
    assert all(":" in value.split()[0] for name, value in instructions if name == "FROM"), "an image without a version"


def test_the_image_copies_what_exists() -> None:
    text = (PROJECT / "deploy/Dockerfile").read_text(encoding="utf-8")
    allowed = (PROJECT / "deploy/Dockerfile.dockerignore").read_text(encoding="utf-8")
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for source in sources.split():
            assert (PROJECT / source).exists(), source
            assert f"!{source}\n" in allowed, f"{source} does not reach the builder"


def test_the_image_carries_the_same_versions_as_we_test() -> None:
    def entries(name: str) -> set[str]:
        lock = (PROJECT / name).read_text(encoding="utf-8")
        return {entry.split(" ")[0] for entry in re.findall(r"^[a-z].*$", lock, re.MULTILINE)}

    image, all_of_it = entries("deploy/requirements.lock"), entries("requirements.lock")
    assert image < all_of_it
    assert not {name for name in image if name.startswith(("pytest", "mypy", "ruff", "playwright", "nodejs"))}
