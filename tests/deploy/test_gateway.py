"""The gateway sends every route of every service to that service, tried with a real nginx."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from starlette.routing import Mount

from services.assembly import NAMES as SERVICES
from services.assembly import build
from services.kit.service import assemble
from services.kit.settings import HouseSettings
from tests.conftest import PartGetter
from tests.servers.nginx import CONFIGURATION, NginxServer

# A supervisor asks each process itself; the world does not.
INSIDE_ONLY = {"/healthz", "/readyz", "/metrics", "/openapi.json"}


def _paths(service: str, folder: Path) -> set[str]:
    """Return a path of each route that the service has when it runs alone."""
    url = f"sqlite:///{folder}/{service}.db"
    made = build(service, database_url=url, data_dir=folder)
    house = HouseSettings.model_validate(
        {"bus_url": "kafka://127.0.0.1:1", "secret_key": "only-for-this-test-" * 3, "accounts": folder / "none.json"}
    )
    app = assemble([made], house)
    made.database.dispose()
    routes = [door for route in app.routes for door in getattr(route, "doors", [route])]
    paths = {f"{route.path}/a.file" if isinstance(route, Mount) else route.path for route in routes}
    return {re.sub(r"\{[^}]*\}", "x1", path.replace("{service}", service)) for path in paths}


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    folder = tmp_path_factory.mktemp("services")
    return {service: _paths(service, folder) for service in SERVICES}


@pytest.fixture(scope="module")
def gateway(part: PartGetter, pytestconfig: pytest.Config) -> Iterator[httpx.Client]:
    stand_ins = {name: _stand_in(name) for name in SERVICES}
    server = part("nginx", lambda: NginxServer({name: one.server_port for name, one in stand_ins.items()}))
    with server, httpx.Client(base_url=server.origin, timeout=10) as client:
        yield client
    for one in stand_ins.values():
        one.shutdown()


def _stand_in(name: str) -> ThreadingHTTPServer:
    class SaysItsName(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{name} {self.headers['Host']} {self.headers['X-Forwarded-For']}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), SaysItsName)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_every_route_reaches_its_service(routes: dict[str, set[str]], gateway: httpx.Client) -> None:
    common = set.intersection(*routes.values())
    own = [(path, service) for service in SERVICES for path in sorted(routes[service] - common)]
    assert {service for _, service in own} == set(SERVICES)
    wrong = [
        f"{path}: {reached}, not {service}"
        for path, service in own
        if (reached := gateway.get(path).text.partition(" ")[0]) != service
    ]
    assert wrong == []


def test_what_all_services_have_reaches_one_of_them(routes: dict[str, set[str]], gateway: httpx.Client) -> None:
    common = set.intersection(*routes.values())
    assert {"/", "/connexion", "/oauth/token", "/static/a.file"} <= common
    lost = [path for path in common - INSIDE_ONLY if gateway.get(path).is_error]
    assert lost == []


def test_what_is_for_supervisors_stays_inside(routes: dict[str, set[str]], gateway: httpx.Client) -> None:
    assert set.intersection(*routes.values()) >= INSIDE_ONLY
    assert {path: gateway.get(path).status_code for path in INSIDE_ONLY} == dict.fromkeys(INSIDE_ONLY, 404)


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/ordersx", "/v1/operations/", "/v1/operations/kitchen/lane", "/finance", "/v2/orders"]
)
def test_a_path_of_nobody_is_not_found(path: str, gateway: httpx.Client) -> None:
    assert gateway.get(path).status_code == 404


def test_a_path_cannot_climb_to_another_service(gateway: httpx.Client) -> None:
    assert gateway.get("/v1/orders/%2e%2e/%2e%2e/metrics").status_code == 404


def test_the_service_sees_the_name_that_was_asked_for_and_the_caller(gateway: httpx.Client) -> None:
    _, host, caller = gateway.get("/v1/orders").text.split()
    assert host == httpx.URL(str(gateway.base_url)).netloc.decode()
    assert caller == "127.0.0.1"


def test_no_two_lines_of_the_map_want_the_same_route(routes: dict[str, set[str]]) -> None:
    lines = re.findall(r"^\s+~(\S+) (\w+);$", CONFIGURATION.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) > 5
    for path in sorted(set.union(*routes.values()) - INSIDE_ONLY):
        wanted = [pattern for pattern, _ in lines if re.search(pattern, path)]
        assert len(wanted) == 1, f"{path}: {wanted}"
